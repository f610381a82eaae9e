"""Rows of `subtitles`: which languages a video has as text, and the object that holds each.

The videos feature writes them; with them the edge's playback names the tracks. The text itself is
an object.
"""

from __future__ import annotations

import uuid

import msgspec

from storage.database import Connection, read_rows

AS_JSON = """coalesce((SELECT jsonb_agg(jsonb_build_object('language', s.language,
    'label', s.label, 'origin', s.origin, 'file', s.file) ORDER BY s.language)
    FROM subtitles s WHERE s.video_id = v.id), '[]')"""
"""All of one video `v`, for the query that decides about its playback."""


class Subtitles(msgspec.Struct, frozen=True):
    """One language; `file` is the name of an object that no other row ever names."""

    language: str
    label: str
    origin: str
    file: str


async def hold_subtitles(connection: Connection, video_id: uuid.UUID) -> bool:
    """Hold off others who change a video's languages, until the transaction ends.

    False when there is no such video, or it was deleted.
    """
    held = await connection.fetchval(
        "SELECT 1 FROM videos WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE", video_id
    )
    return held is not None


async def list_subtitles(connection: Connection, video_id: uuid.UUID) -> list[Subtitles]:
    """Return a video's languages in order."""
    rows = await connection.fetch(
        """SELECT language, label, origin, file FROM subtitles
            WHERE video_id = $1 ORDER BY language""",
        video_id,
    )
    return read_rows(Subtitles, rows)


async def put_subtitles(connection: Connection, video_id: uuid.UUID, made: Subtitles) -> bool:
    """Write a language or replace it; False when it is automatic and a person wrote one."""
    result = await connection.execute(
        """INSERT INTO subtitles (video_id, language, label, origin, file)
           VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (video_id, language) DO UPDATE
              SET label = excluded.label, origin = excluded.origin, file = excluded.file,
                  created_at = now()
            WHERE excluded.origin = 'uploaded' OR subtitles.origin = 'automatic'""",
        video_id,
        made.language,
        made.label,
        made.origin,
        made.file,
    )
    return result == "INSERT 0 1"


async def remove_subtitles(connection: Connection, video_id: uuid.UUID, language: str) -> bool:
    """Remove a language; False when there was none."""
    result = await connection.execute(
        "DELETE FROM subtitles WHERE video_id = $1 AND language = $2", video_id, language
    )
    return result == "DELETE 1"
