"""The record of privileged acts: written in the act's own transaction, never changed."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import msgspec

from storage.database import Connection, read_rows


class AuditEntry(msgspec.Struct, frozen=True):
    """One act; `actor` None: from the command line, or by somebody who was deleted since."""

    id: uuid.UUID
    at: datetime
    actor: str | None
    action: str
    subject: str
    details: dict[str, Any]


class AuditDraft(msgspec.Struct, frozen=True):
    """An act about to be recorded; `subject` reads `kind:name`."""

    id: uuid.UUID
    actor_id: uuid.UUID | None
    action: str
    subject: str
    details: dict[str, Any] = {}


async def append_audit(connection: Connection, draft: AuditDraft, now: datetime) -> None:
    """Record an act."""
    await connection.execute(
        "INSERT INTO audit_entries (id, at, actor_id, action, subject, details)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        draft.id,
        now,
        draft.actor_id,
        draft.action,
        draft.subject,
        draft.details,
    )


async def list_audit(
    connection: Connection, *, before: tuple[datetime, uuid.UUID] | None, limit: int
) -> list[AuditEntry]:
    """Return acts, the newest first."""
    at, entry_id = before or (None, None)
    rows = await connection.fetch(
        "SELECT a.id, a.at, u.username AS actor, a.action, a.subject, a.details"
        " FROM audit_entries a LEFT JOIN users u ON u.id = a.actor_id"
        " WHERE $1::timestamptz IS NULL OR (a.at, a.id) < ($1, $2::uuid)"
        " ORDER BY a.at DESC, a.id DESC LIMIT $3",
        at,
        entry_id,
        limit,
    )
    return read_rows(AuditEntry, rows)
