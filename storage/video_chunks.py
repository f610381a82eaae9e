"""Rows of `video_chunks`: one piece of transcoding work each, and what came of it.

The processing job writes them, playback reads the results. `attempts` counts failures only, so a
runner that was killed costs a piece nothing; a lost worker is counted in `losses`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from storage.database import Connection, read_row, read_rows


class VideoChunk(msgspec.Struct, frozen=True):
    """One piece of work; `result` is what its task returned, None until it is done."""

    name: str
    position: int
    state: str
    attempts: int
    losses: int
    job: dict[str, Any]
    result: Any
    error: str | None


@dataclass(frozen=True)
class Tries:
    """How often a piece was tried in vain."""

    attempts: int = 0
    """Those that failed by themselves."""
    losses: int = 0
    """Workers lost one after the other, none of which kept a step."""
    steps: int = 0
    """So many steps were kept when the last of them ended."""


class NewChunk(msgspec.Struct, frozen=True):
    """A piece to be done; lower positions run first."""

    name: str
    position: int
    job: dict[str, Any]


async def insert_chunks(
    connection: Connection, video_id: uuid.UUID, chunks: Sequence[NewChunk]
) -> None:
    """Write the pieces of a video's plan; those that exist stay as they are."""
    await connection.executemany(
        """INSERT INTO video_chunks (video_id, name, position, job) VALUES ($1, $2, $3, $4)
           ON CONFLICT DO NOTHING""",
        [(video_id, chunk.name, chunk.position, chunk.job) for chunk in chunks],
    )


async def remove_chunks(connection: Connection, video_id: uuid.UUID, names: Sequence[str]) -> None:
    """Remove pieces that are not to be done any more."""
    await connection.execute(
        "DELETE FROM video_chunks WHERE video_id = $1 AND name = ANY($2)", video_id, list(names)
    )


async def list_chunks(connection: Connection, video_id: uuid.UUID) -> list[VideoChunk]:
    """Return a video's pieces in the order they should run."""
    rows = await connection.fetch(
        """SELECT name, position, state, attempts, losses, job, result, error FROM video_chunks
            WHERE video_id = $1 ORDER BY position, name""",
        video_id,
    )
    return read_rows(VideoChunk, rows)


async def list_begun_names(connection: Connection, video_id: uuid.UUID) -> frozenset[str]:
    """Return the names of a video's pieces that somebody began to make."""
    rows = await connection.fetch(
        "SELECT name FROM video_chunks WHERE video_id = $1 AND state <> 'pending'", video_id
    )
    return frozenset(row["name"] for row in rows)


async def find_chunk(connection: Connection, video_id: uuid.UUID, name: str) -> VideoChunk | None:
    """Return a piece of a video that still exists."""
    row = await connection.fetchrow(
        """SELECT c.name, c.position, c.state, c.attempts, c.losses, c.job, c.result, c.error
             FROM video_chunks c JOIN videos v ON v.id = c.video_id AND v.deleted_at IS NULL
            WHERE c.video_id = $1 AND c.name = $2""",
        video_id,
        name,
    )
    return None if row is None else read_row(VideoChunk, row)


async def list_results(connection: Connection, video_id: uuid.UUID) -> list[Any]:
    """Return what the finished pieces recorded, in running order."""
    rows = await connection.fetch(
        """SELECT result FROM video_chunks
            WHERE video_id = $1 AND state = 'done' ORDER BY position, name""",
        video_id,
    )
    return [row["result"] for row in rows]


async def reset_running_chunks(connection: Connection, video_id: uuid.UUID) -> None:
    """Put pieces that a stopped runner left behind back into the queue."""
    await connection.execute(
        """UPDATE video_chunks SET state = 'pending', updated_at = now()
            WHERE video_id = $1 AND state = 'running'""",
        video_id,
    )


async def renew_failed_chunks(connection: Connection, video_id: uuid.UUID) -> None:
    """Give pieces that failed, or were in work, all their tries again."""
    await connection.execute(
        """UPDATE video_chunks SET state = 'pending', attempts = 0, losses = 0, error = NULL,
                  updated_at = now()
            WHERE video_id = $1 AND state IN ('failed', 'running')""",
        video_id,
    )


async def start_chunk(connection: Connection, video_id: uuid.UUID, name: str) -> bool:
    """Mark a piece as handed to a worker; False when it is done or nothing of the video in work."""
    result = await connection.execute(
        """UPDATE video_chunks c SET state = 'running', updated_at = now()
             FROM videos v
            WHERE c.video_id = $1 AND c.name = $2 AND c.state IN ('pending', 'running')
              AND v.id = c.video_id AND v.deleted_at IS NULL
              AND (v.status = 'processing' OR EXISTS (
                  SELECT FROM video_versions m
                   WHERE m.video_id = v.id AND m.state = 'processing')
                   OR EXISTS (
                  SELECT FROM recordings r
                   WHERE r.video_id = v.id AND 'making' IN (r.aac, r.rungs)))""",
        video_id,
        name,
    )
    return result == "UPDATE 1"


async def finish_chunk(connection: Connection, video_id: uuid.UUID, name: str, result: Any) -> None:
    """Record what a piece's task returned."""
    await connection.execute(
        """UPDATE video_chunks SET state = 'done', result = $3, error = NULL, updated_at = now()
            WHERE video_id = $1 AND name = $2""",
        video_id,
        name,
        result,
    )


async def lock_tries(connection: Connection, video_id: uuid.UUID, name: str) -> Tries | None:
    """Return how often a piece was tried, nobody else counting meanwhile; None when it is done."""
    row = await connection.fetchrow(
        """SELECT attempts, losses, steps FROM video_chunks
            WHERE video_id = $1 AND name = $2 AND state <> 'done' FOR UPDATE""",
        video_id,
        name,
    )
    return None if row is None else Tries(**row)


async def save_tries(
    connection: Connection, piece: tuple[uuid.UUID, str], tries: Tries, error: str, *, is_last: bool
) -> None:
    """Keep the count of a piece (its video and name) and queue it again, unless it was the last."""
    await connection.execute(
        """UPDATE video_chunks
              SET attempts = $3, losses = $4, steps = $5, error = $6, updated_at = now(),
                  state = CASE WHEN $7 THEN 'failed' ELSE 'pending' END
            WHERE video_id = $1 AND name = $2 AND state <> 'done'""",
        *piece,
        tries.attempts,
        tries.losses,
        tries.steps,
        error,
        is_last,
    )
