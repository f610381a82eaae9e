"""How a video is made, in its row of `videos`: what was asked for, the plan, what the probe said.

The processing jobs write it; the edge reads the plan. Plain JSON values here.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from storage.database import Connection


async def find_plan(connection: Connection, video_id: uuid.UUID) -> dict[str, Any] | None:
    """Return the stored transcode plan as plain JSON values."""
    plan: dict[str, Any] | None = await connection.fetchval(
        "SELECT plan FROM videos WHERE id = $1", video_id
    )
    return plan


async def list_warnings(
    connection: Connection, video_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[str]]:
    """Return by video what its probe had to say to its owner; those without a plan are not in."""
    rows = await connection.fetch(
        """SELECT id, plan #> '{info,warnings}' AS warnings FROM videos
            WHERE id = ANY($1) AND plan #> '{info,warnings,0}' IS NOT NULL""",
        list(video_ids),
    )
    return {row["id"]: row["warnings"] for row in rows}


async def find_recipe(connection: Connection, video_id: uuid.UUID) -> Any:
    """Return what was asked for about how the video is made; None: the site's."""
    return await connection.fetchval("SELECT recipe FROM videos WHERE id = $1", video_id)


class Dimensions(msgspec.Struct, frozen=True):
    """Length, and size of the picture; None for sound alone."""

    duration_ms: int
    width: int | None
    height: int | None


async def set_plan(
    connection: Connection, video_id: uuid.UUID, plan: dict[str, Any], dimensions: Dimensions
) -> None:
    """Store the transcode plan and what the probe learnt."""
    await connection.execute(
        """UPDATE videos SET plan = $2, duration_ms = $3, width = $4, height = $5,
                  updated_at = now()
            WHERE id = $1""",
        video_id,
        plan,
        dimensions.duration_ms,
        dimensions.width,
        dimensions.height,
    )


async def revise_plan(connection: Connection, video_id: uuid.UUID, plan: dict[str, Any]) -> None:
    """Store what the plan has become while its pieces are made."""
    await connection.execute(
        "UPDATE videos SET plan = $2, updated_at = now() WHERE id = $1", video_id, plan
    )
