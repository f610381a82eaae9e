"""Ending sessions: revoked in the rows, told to every process at commit, written to the outbox.

Accounts (logout, password change) and administration (ban, role) call it within their transaction.
"""

from __future__ import annotations

import uuid

from kit.events import EventName
from storage.database import Connection
from storage.events import append_event
from storage.sessions import revoke_session, revoke_sessions


async def end_session(connection: Connection, session_id: uuid.UUID, *, why: str) -> None:
    """Revoke one session; again does nothing."""
    user_id = await revoke_session(connection, session_id, why=why)
    if user_id is not None:
        await _tell(connection, user_id, session_id, why)


async def end_sessions(
    connection: Connection, user_id: uuid.UUID, *, why: str, keep: uuid.UUID | None = None
) -> list[uuid.UUID]:
    """Revoke all of a person's sessions but `keep`; return those that ended now."""
    ended = await revoke_sessions(connection, user_id, why=why, keep=keep)
    for session_id in ended:
        await _tell(connection, user_id, session_id, why)
    return ended


async def _tell(
    connection: Connection, user_id: uuid.UUID, session_id: uuid.UUID, why: str
) -> None:
    await append_event(
        connection,
        EventName.SESSION_REVOKED,
        subject_id=session_id,
        actor_id=user_id,
        data={"why": why},
    )
