"""What a video is about, on its own row: tags, category, language, chapters."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from storage.database import Connection


class VideoLabels(msgspec.Struct, frozen=True):
    """What a video is about."""

    tags: list[str] | None
    category: str | None
    language: str | None
    chapters: list[dict[str, Any]] | None


async def change_labels(connection: Connection, video_id: uuid.UUID, labels: VideoLabels) -> None:
    """Change what is not None; what is empty is taken away."""
    await connection.execute(
        """UPDATE videos
              SET tags = coalesce($2::text[], tags),
                  category = nullif(coalesce($3::text, category), ''),
                  language = nullif(coalesce($4::text, language), ''),
                  chapters = nullif(coalesce($5::jsonb, chapters), '[]'::jsonb),
                  updated_at = now()
            WHERE id = $1 AND deleted_at IS NULL""",
        video_id,
        labels.tags,
        labels.category,
        labels.language,
        labels.chapters,
    )
