"""Whether a stream key that let a publisher in opens its live still; keys travel by their mark.

The API issues tickets with the mark (`KEY_CLAIM`), edges ask before media begins. A mark is a name
of a key (`storage.lives.mark_stream_key`) and opens nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection

from kit.errors import AppError, NotAuthenticated
from storage.database import Connection, Database
from storage.lives import LiveRow, find_live_by_key, find_takedown_reason, list_key_marks

KEY_CLAIM = "key"
"""Where a publisher's ticket names the key that it was issued for."""
CHECK_TIMEOUT_S = 3.0


class StreamKeyInvalid(NotAuthenticated):
    """The stream key opens no live, or was replaced."""

    code, message = "stream_key_invalid", "This stream key is not valid; copy it anew."


class LiveTakenDown(AppError):
    """A moderator took the live of this key down; whoever holds the key is told why."""

    code, status, message = "live_taken_down", 410, "A moderator took this live down."


async def get_live_by_key(connection: Connection, stream_key: str) -> LiveRow:
    """Return the live that a stream key opens; raises StreamKeyInvalid, LiveTakenDown."""
    live = await find_live_by_key(connection, stream_key) if stream_key else None
    if live is None:
        reason = await find_takedown_reason(connection, stream_key) if stream_key else None
        if reason is not None:
            raise LiveTakenDown(f"A moderator took this live down: {reason}")
        raise StreamKeyInvalid
    return live


async def check_key_mark(database: Database, live_id: uuid.UUID, mark: str) -> None:
    """Raise StreamKeyInvalid unless the live's key is the one so named; costs one statement.

    DatabaseBusy: nobody can tell.
    """
    if (await read_key_marks(database, [live_id])).get(live_id) != mark:
        raise StreamKeyInvalid


async def read_key_marks(
    database: Database, live_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, str]:
    """Return which key opens each live now, of those that have one; costs one statement.

    DatabaseBusy: nobody can tell.
    """
    async with database.statement(writes=False) as connection, asyncio.timeout(CHECK_TIMEOUT_S):
        return await list_key_marks(connection, live_ids)
