"""Rows of `lives`: the broadcasts as their owners and the API see them.

The live service calls it. Status and origin change only through the room's host (`rooms.py`).
Stream keys are kept as SHA-256 of a 256-bit random text, so no slow hash is needed.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from storage.database import Connection, read_row, read_rows
from storage.live_segments import IS_SENT, LISTING_S

HINT_CHARS = 4
MARK_BYTES = 8
"""As `substr` says in the statements below."""
COLUMNS = f"""
    l.id, l.owner_id, u.username AS owner_username, u.display_name AS owner_display_name,
    l.title, l.status, l.visibility, l.access_version, l.key_hint, l.epoch, l.origin,
    l.viewers_peak, l.created_at, l.scheduled_at, l.started_at, l.ended_at, l.is_recorded,
    encode(substr(l.key_hash, 1, 8), 'hex') AS key_mark,
    (SELECT r.video_id FROM recordings r JOIN videos v ON v.id = r.video_id
     WHERE r.live_id = l.id AND r.is_whole AND v.deleted_at IS NULL) AS recording_id,
    (l.status = 'ended' AND l.is_recorded
     AND NOT EXISTS (SELECT 1 FROM recordings r WHERE r.live_id = l.id AND r.is_whole)
     AND NOT EXISTS (SELECT 1 FROM live_segments s WHERE s.live_id = l.id AND {IS_SENT})
     AND (coalesce(l.ended_at < now() - interval '{LISTING_S} seconds', false)
          OR NOT EXISTS (SELECT 1 FROM live_origins o
                         WHERE o.live_id = l.id AND o.closed_at IS NULL))) AS is_nothing_kept
"""  # noqa: S608 - constants
FROM = "FROM lives l JOIN users u ON u.id = l.owner_id AND u.deleted_at IS NULL"


class LiveRow(msgspec.Struct, frozen=True):
    """One broadcast with its owner's names; `origin` is where its media enters, when it does."""

    id: uuid.UUID
    owner_id: uuid.UUID
    owner_username: str
    owner_display_name: str
    title: str
    status: str
    visibility: str
    access_version: int
    key_hint: str
    """How the stream key ends; empty: it was revoked, and nobody knows the one there is."""
    key_mark: str
    """Names the stream key as `mark_stream_key` does; opens nothing."""
    epoch: uuid.UUID
    origin: dict[str, Any] | None
    viewers_peak: int
    created_at: datetime
    scheduled_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    is_recorded: bool
    recording_id: uuid.UUID | None
    """The video it became, while that exists."""
    is_nothing_kept: bool
    """It was to become a video and has ended, and none comes: no segment of it was stored."""


class LiveAccess(msgspec.Struct, frozen=True):
    """Who owns a broadcast and who may see it; the version grows with each change."""

    id: uuid.UUID
    owner_id: uuid.UUID
    visibility: str
    access_version: int


@dataclass(frozen=True)
class LiveDraft:
    """A broadcast about to be created; the key itself is never stored."""

    id: uuid.UUID
    owner_id: uuid.UUID
    title: str
    visibility: str
    stream_key: str
    epoch: uuid.UUID
    scheduled_at: datetime | None = None
    is_recorded: bool = True


@dataclass(frozen=True)
class Programme:
    """Which broadcasts to come are asked for: public ones, and all of the viewer's own."""

    since: datetime
    """Those whose time was earlier are left out."""
    viewer_id: uuid.UUID | None
    owner: str | None
    """A username: theirs alone."""


def hash_stream_key(stream_key: str) -> bytes:
    """Return what is stored instead of a stream key."""
    return hashlib.sha256(stream_key.encode()).digest()


def mark_stream_key(stream_key: str) -> str:
    """Return a name of the key: some of what is stored of it, which opens nothing."""
    return hash_stream_key(stream_key)[:MARK_BYTES].hex()


async def create_live(connection: Connection, draft: LiveDraft) -> None:
    """Write a new broadcast, not yet live."""
    await connection.execute(
        "INSERT INTO lives "
        "(id, owner_id, title, visibility, key_hash, key_hint, epoch, scheduled_at, is_recorded) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        draft.id,
        draft.owner_id,
        draft.title,
        draft.visibility,
        hash_stream_key(draft.stream_key),
        draft.stream_key[-HINT_CHARS:],
        draft.epoch,
        draft.scheduled_at,
        draft.is_recorded,
    )


async def find_live(connection: Connection, live_id: uuid.UUID) -> LiveRow | None:
    """Return the broadcast, or None when it never was or is deleted."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} {FROM} WHERE l.id = $1 AND l.deleted_at IS NULL",
        live_id,
    )
    return None if row is None else read_row(LiveRow, row)


async def find_live_by_key(connection: Connection, stream_key: str) -> LiveRow | None:
    """Return the broadcast that this stream key opens; somebody who is banned has none."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} {FROM} "
        "WHERE l.key_hash = $1 AND l.deleted_at IS NULL AND u.banned_at IS NULL",
        hash_stream_key(stream_key),
    )
    return None if row is None else read_row(LiveRow, row)


async def list_key_marks(
    connection: Connection, live_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, str]:
    """Return the name of the key that opens each broadcast now.

    One that has none, or whose owner is banned, is left out.
    """
    rows = await connection.fetch(
        f"SELECT l.id, encode(substr(l.key_hash, 1, 8), 'hex') AS mark {FROM} "
        "WHERE l.id = ANY($1) AND l.deleted_at IS NULL AND l.key_hash IS NOT NULL "
        "AND u.banned_at IS NULL",
        list(live_ids),
    )
    return {row["id"]: row["mark"] for row in rows}


async def list_running_lives(
    connection: Connection,
    *,
    owner: str | None,
    before: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[LiveRow]:
    """Return public broadcasts on air, newest start first, after the key of the last page.

    `owner` is a username: theirs alone.
    """
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} {FROM}
        WHERE l.status IN ('live', 'interrupted') AND l.visibility = 'public'
          AND l.deleted_at IS NULL
          AND ($1::timestamptz IS NULL OR (l.started_at, l.id) < ($1, $2::uuid))
          AND ($4::text IS NULL OR u.username = $4)
        ORDER BY l.started_at DESC, l.id DESC LIMIT $3
        """,
        *(before or (None, None)),
        limit,
        owner,
    )
    return read_rows(LiveRow, rows)


async def list_upcoming_lives(
    connection: Connection,
    programme: Programme,
    *,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[LiveRow]:
    """Return broadcasts that wait for their time, the soonest first, after the last page's key."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} {FROM}
        WHERE l.status = 'created' AND l.deleted_at IS NULL AND l.scheduled_at >= $1
          AND (l.visibility = 'public' OR l.owner_id = $2)
          AND ($3::text IS NULL OR u.username = $3)
          AND ($4::timestamptz IS NULL OR (l.scheduled_at, l.id) > ($4, $5::uuid))
        ORDER BY l.scheduled_at, l.id LIMIT $6
        """,
        programme.since,
        programme.viewer_id,
        programme.owner,
        *(after or (None, None)),
        limit,
    )
    return read_rows(LiveRow, rows)


async def list_owned_lives(
    connection: Connection, owner_id: uuid.UUID, *, before: uuid.UUID | None, limit: int
) -> list[LiveRow]:
    """Return the owner's broadcasts, newest first."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} {FROM}
        WHERE l.owner_id = $1 AND l.deleted_at IS NULL AND ($2::uuid IS NULL OR l.id < $2)
        ORDER BY l.id DESC LIMIT $3
        """,
        owner_id,
        before,
        limit,
    )
    return read_rows(LiveRow, rows)


async def count_open_lives(connection: Connection, owner_id: uuid.UUID) -> int:
    """Return how many broadcasts of the owner have not ended."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM lives "
        "WHERE owner_id = $1 AND status <> 'ended' AND deleted_at IS NULL",
        owner_id,
    )
    return count


async def replace_stream_key(connection: Connection, live_id: uuid.UUID, stream_key: str) -> None:
    """Make `stream_key` the only one that opens the broadcast."""
    await connection.execute(
        "UPDATE lives SET key_hash = $2, key_hint = $3 WHERE id = $1",
        live_id,
        hash_stream_key(stream_key),
        stream_key[-HINT_CHARS:],
    )


async def revoke_stream_key(connection: Connection, live_id: uuid.UUID, unknown: str) -> None:
    """Make `unknown`, which nobody was told, the only key that opens the broadcast."""
    await connection.execute(
        "UPDATE lives SET key_hash = $2, key_hint = '' WHERE id = $1",
        live_id,
        hash_stream_key(unknown),
    )


async def list_live_accesses(
    connection: Connection, live_ids: Sequence[uuid.UUID]
) -> list[LiveAccess]:
    """Return who may see these broadcasts; those that are deleted are left out."""
    rows = await connection.fetch(
        "SELECT id, owner_id, visibility, access_version FROM lives "
        "WHERE id = ANY($1) AND deleted_at IS NULL",
        list(live_ids),
    )
    return read_rows(LiveAccess, rows)


async def change_live(
    connection: Connection, live_id: uuid.UUID, *, title: str | None, visibility: str | None
) -> None:
    """Write a title and who may see the broadcast; a change of the latter is told to everybody.

    None stays as it is, whoever else changes it at this moment.
    """
    await connection.execute(
        "UPDATE lives SET title = coalesce($2, title), visibility = coalesce($3, visibility) "
        "WHERE id = $1",
        live_id,
        title,
        visibility,
    )


async def set_recorded(connection: Connection, live_id: uuid.UUID, *, is_recorded: bool) -> None:
    """Write whether the broadcast becomes a video when it ends."""
    await connection.execute(
        "UPDATE lives SET is_recorded = $2 WHERE id = $1", live_id, is_recorded
    )


async def schedule_live(
    connection: Connection, live_id: uuid.UUID, scheduled_at: datetime | None
) -> bool:
    """Write when a broadcast will begin; False when it has begun."""
    done: str = await connection.execute(
        "UPDATE lives SET scheduled_at = $2 WHERE id = $1 AND status = 'created'",
        live_id,
        scheduled_at,
    )
    return done == "UPDATE 1"


async def delete_live(
    connection: Connection, live_id: uuid.UUID, *, takedown_reason: str | None = None
) -> None:
    """Take the broadcast away, by a moderator where there is a reason; told to everybody."""
    await connection.execute(
        "UPDATE lives SET deleted_at = now(), takedown_reason = $2 "
        "WHERE id = $1 AND deleted_at IS NULL",
        live_id,
        takedown_reason,
    )


async def lock_live(connection: Connection, live_id: uuid.UUID) -> None:
    """Have what becomes of the broadcast be decided once, until the transaction ends."""
    await connection.execute("SELECT 1 FROM lives WHERE id = $1 FOR NO KEY UPDATE", live_id)


async def find_takedown_reason(connection: Connection, stream_key: str) -> str | None:
    """Return why a moderator took away what the key opened; None when no moderator did."""
    reason: str | None = await connection.fetchval(
        "SELECT takedown_reason FROM lives WHERE key_hash = $1", hash_stream_key(stream_key)
    )
    return reason
