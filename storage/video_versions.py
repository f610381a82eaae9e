"""Rows of `video_versions`: versions of a video beside the one that plays.

One may be in the making at a time; when it is whole it is swapped in, and the one before stays as
`replaced` until its bytes are removed. The reencoding rules and jobs call it, and the edge's
catalog reads what was replaced. The version that plays is in the video's own row.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from storage.database import Connection, read_row, read_rows

COLUMNS = "video_id, version, state, recipe, progress, error_code, error_message"


class VideoVersion(msgspec.Struct, frozen=True):
    """A version that does not play, or not for those who begin now."""

    video_id: uuid.UUID
    version: int
    state: str
    recipe: Any
    progress: float
    error_code: str | None
    error_message: str | None


async def lock_video(connection: Connection, video_id: uuid.UUID) -> None:
    """Hold the video's row: who decides about its versions does it alone."""
    await connection.execute("SELECT FROM videos WHERE id = $1 FOR UPDATE", video_id)


async def insert_version(connection: Connection, video_id: uuid.UUID, recipe: object) -> int:
    """Queue the next version of a video and return its number; none is used twice."""
    version: int = await connection.fetchval(
        """WITH counted AS (
               UPDATE videos SET versions_made = versions_made + 1 WHERE id = $1
               RETURNING versions_made)
           INSERT INTO video_versions (video_id, version, state, recipe)
           SELECT $1, versions_made, 'queued', $2 FROM counted RETURNING version""",
        video_id,
        recipe,
    )
    return version


async def list_makings(
    connection: Connection, video_ids: Sequence[uuid.UUID]
) -> list[VideoVersion]:
    """Return of each video the version in the making, or the latest that failed."""
    rows = await connection.fetch(
        f"""SELECT DISTINCT ON (video_id) {COLUMNS} FROM video_versions
             WHERE video_id = ANY($1) AND state IN ('queued', 'processing', 'failed')
             ORDER BY video_id, version DESC""",  # noqa: S608 - constants
        list(video_ids),
    )
    return read_rows(VideoVersion, rows)


async def find_version(
    connection: Connection, video_id: uuid.UUID, version: int
) -> VideoVersion | None:
    """Return one version."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM video_versions WHERE video_id = $1 AND version = $2",  # noqa: S608 - constants
        video_id,
        version,
    )
    return None if row is None else read_row(VideoVersion, row)


async def count_makings(connection: Connection, owner_id: uuid.UUID) -> int:
    """Count versions of a person's videos that wait or are being made."""
    count: int = await connection.fetchval(
        """SELECT count(*) FROM video_versions m JOIN videos v ON v.id = m.video_id
            WHERE v.owner_id = $1 AND v.deleted_at IS NULL
              AND m.state IN ('queued', 'processing')""",
        owner_id,
    )
    return count


async def start_version(connection: Connection, video_id: uuid.UUID, version: int) -> bool:
    """Mark a waiting version as in work; False when it no longer is wanted."""
    result = await connection.execute(
        """UPDATE video_versions m SET state = 'processing', updated_at = now()
             FROM videos v
            WHERE m.video_id = $1 AND m.version = $2 AND m.state IN ('queued', 'processing')
              AND v.id = m.video_id AND v.deleted_at IS NULL AND v.status = 'ready'""",
        video_id,
        version,
    )
    return result == "UPDATE 1"


async def find_version_plan(
    connection: Connection, video_id: uuid.UUID, version: int
) -> dict[str, Any] | None:
    """Return a version's plan as plain JSON values."""
    plan: dict[str, Any] | None = await connection.fetchval(
        "SELECT plan FROM video_versions WHERE video_id = $1 AND version = $2", video_id, version
    )
    return plan


async def set_version_plan(
    connection: Connection, video_id: uuid.UUID, version: int, plan: dict[str, Any]
) -> None:
    """Store what is to be done for a version."""
    await connection.execute(
        """UPDATE video_versions SET plan = $3, updated_at = now()
            WHERE video_id = $1 AND version = $2""",
        video_id,
        version,
        plan,
    )


async def set_version_progress(
    connection: Connection, video_id: uuid.UUID, version: int, progress: float
) -> bool:
    """Remember how far a version has come (0 to 1); False when it is no longer in work."""
    result = await connection.execute(
        """UPDATE video_versions m SET progress = greatest(m.progress, $3), updated_at = now()
             FROM videos v
            WHERE m.video_id = $1 AND m.version = $2 AND m.state = 'processing'
              AND v.id = m.video_id AND v.deleted_at IS NULL""",
        video_id,
        version,
        progress,
    )
    return result == "UPDATE 1"


class VersionEnd(msgspec.Struct, frozen=True):
    """How a version ended that never played: `failed` or `cancelled`, and why."""

    state: str
    code: str
    message: str


async def end_version(
    connection: Connection, video_id: uuid.UUID, version: int, end: VersionEnd
) -> bool:
    """End a version in the making; False when it was not."""
    result = await connection.execute(
        """UPDATE video_versions
              SET state = $3, error_code = $4, error_message = $5, updated_at = now()
            WHERE video_id = $1 AND version = $2 AND state IN ('queued', 'processing')""",
        video_id,
        version,
        end.state,
        end.code,
        end.message,
    )
    return result == "UPDATE 1"


async def swap_version(connection: Connection, video_id: uuid.UUID, version: int) -> int | None:
    """Let a finished version play from now on; return the one it replaced.

    None when the version is no longer wanted or the video no longer ready.
    """
    row = await connection.fetchrow(
        """SELECT v.version AS old, v.plan AS old_plan, m.plan, m.recipe
             FROM videos v JOIN video_versions m ON m.video_id = v.id AND m.version = $2
            WHERE v.id = $1 AND v.status = 'ready' AND v.deleted_at IS NULL
              AND m.state = 'processing'
              FOR UPDATE""",
        video_id,
        version,
    )
    if row is None:
        return None
    old: int = row["old"]
    await connection.execute(
        "DELETE FROM video_versions WHERE video_id = $1 AND version = $2", video_id, version
    )
    await _keep_replaced(connection, video_id, old, row["old_plan"])
    await connection.execute(
        """UPDATE videos
              SET version = $2, plan = $3, recipe = $4, updated_at = now(),
                  is_protected = coalesce(($4::jsonb ->> 'is_protected')::boolean, false)
            WHERE id = $1""",
        video_id,
        version,
        row["plan"],
        row["recipe"],
    )
    return old


async def renew_failed_video(
    connection: Connection, video_id: uuid.UUID, recipe: object
) -> int | None:
    """Queue a failed video again as its next version; return the one whose pieces are left over.

    What has no plan yet has no pieces: it keeps its number, and None is returned.
    """
    row = await connection.fetchrow("SELECT version, plan FROM videos WHERE id = $1", video_id)
    assert row is not None, "the caller has just read the video"
    has_pieces = row["plan"] is not None
    if has_pieces:
        await _keep_replaced(connection, video_id, row["version"], row["plan"])
    await connection.execute(
        """UPDATE videos
              SET recipe = $2, plan = NULL, progress = 0, updated_at = now(),
                  is_protected = coalesce(($2::jsonb ->> 'is_protected')::boolean, false),
                  version = CASE WHEN $3 THEN versions_made + 1 ELSE version END,
                  versions_made = CASE WHEN $3 THEN versions_made + 1 ELSE versions_made END
            WHERE id = $1""",
        video_id,
        recipe,
        has_pieces,
    )
    return row["version"] if has_pieces else None


async def _keep_replaced(
    connection: Connection, video_id: uuid.UUID, version: int, plan: dict[str, Any]
) -> None:
    await connection.execute(
        """INSERT INTO video_versions (video_id, version, state, recipe, plan, progress)
           VALUES ($1, $2, 'replaced', $3, $4, 1)""",
        video_id,
        version,
        plan.get("recipe", {}),
        plan,
    )


async def list_replaced_plans(connection: Connection, video_id: uuid.UUID) -> list[dict[str, Any]]:
    """Return the plans of versions that still play for those who began with them."""
    rows = await connection.fetch(
        """SELECT plan FROM video_versions
            WHERE video_id = $1 AND state = 'replaced' AND plan IS NOT NULL ORDER BY version""",
        video_id,
    )
    return [row["plan"] for row in rows]


async def remove_version(
    connection: Connection, video_id: uuid.UUID, version: int, pieces: Sequence[str]
) -> None:
    """Forget a version and its pieces; one that failed keeps its row, which tells why."""
    await connection.execute(
        "DELETE FROM video_chunks WHERE video_id = $1 AND name = ANY($2)", video_id, list(pieces)
    )
    await connection.execute(
        """DELETE FROM video_versions
            WHERE video_id = $1 AND version = $2 AND state IN ('cancelled', 'replaced')""",
        video_id,
        version,
    )


async def give_up_failed(connection: Connection, video_id: uuid.UUID) -> list[int]:
    """Forget why earlier tries failed, as there is a new one; return what may be left of them."""
    rows = await connection.fetch(
        """UPDATE video_versions SET state = 'cancelled', updated_at = now()
            WHERE video_id = $1 AND state = 'failed' RETURNING version""",
        video_id,
    )
    return [row["version"] for row in rows]
