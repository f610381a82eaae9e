"""What people were told: read a page at a time, and remembered as seen.

Functions take the transaction's connection and never commit. Entries are written by the host of
the person's session alone; here only the place up to which they were seen changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kit.cursors import CursorMalformed, Page, cut_page, decode_cursor
from serve_apps.access.identity import Identity
from storage import user_entries
from storage.database import Connection
from storage.user_entries import UserEntry

UNSEEN_MAX = 100


@dataclass(frozen=True)
class Seen:
    """Up to where somebody has seen what they were told, and how much came since."""

    seq: int
    unseen: int


async def list_notices(
    connection: Connection, user: Identity, *, cursor: str | None, limit: int
) -> Page[UserEntry]:
    """List what the caller was told, newest first; raises CursorMalformed."""
    before = None if cursor is None else _read_cursor(cursor)
    found: Sequence[UserEntry] = await user_entries.list_newest_entries(
        connection, user.user_id, limit + 1, before=before
    )
    return cut_page(found, limit, lambda entry: (entry.seq,))


async def count_unseen(connection: Connection, user: Identity) -> int:
    """Return how much the caller has not seen, at most a hundred."""
    return await user_entries.count_unseen(connection, user.user_id, UNSEEN_MAX)


async def mark_seen(connection: Connection, user: Identity, seq: int) -> Seen:
    """Remember up to where the caller has seen; never further back, never beyond the newest."""
    seen = await user_entries.mark_seen(connection, user.user_id, seq)
    return Seen(seen, await count_unseen(connection, user))


def _read_cursor(cursor: str) -> int:
    part = decode_cursor(cursor, 1)[0]
    if not isinstance(part, int):
        raise CursorMalformed
    return part
