"""Routes of the trash: one's own deleted videos, to be had back or to be deleted for good."""

from __future__ import annotations

import uuid

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kit.clock import format_time
from kit.cursors import CursorMalformed
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import ItemPage, PageRequest
from serve_apps.http.state import CurrentUser, Ports, Transaction
from serve_apps.videos import trash_rules
from serve_apps.videos.processing_rules import VideoStillStopping
from serve_apps.videos.routes import show_video
from serve_apps.videos.schemas import EXAMPLE_ID, VideoDetailBody
from serve_apps.videos.service import VideoNotFound
from storage.trash import TrashedVideo

routes = Routes("/trash", "videos")

EXAMPLE_TRASHED: dict[str, JsonValue] = {
    "id": EXAMPLE_ID,
    "title": "Sunrise over the harbour",
    "duration_ms": 95_000,
    "size_bytes": 48_211_004,
    "deleted_at": "2026-01-01T12:00:00.000Z",
    "purge_at": "2026-01-31T12:00:00.000Z",
    "is_final": False,
    "is_restorable": True,
}


class TrashedVideoBody(BaseModel):
    """A deleted video, which counts against the quota until its bytes are gone."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_TRASHED]})

    id: uuid.UUID
    title: str
    duration_ms: int | None
    size_bytes: int = Field(description="So much of the quota it takes.")
    deleted_at: str
    purge_at: str = Field(description="When its bytes go.")
    is_final: bool = Field(description="It was deleted for good: that is about to happen.")
    is_restorable: bool


@routes.get(
    "",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="List your deleted videos, last deleted first.",
    errors=(CursorMalformed,),
)
async def list_trash(
    user: CurrentUser, query: PageRequest, connection: Transaction
) -> ItemPage[TrashedVideoBody]:
    """List a trash."""
    page = await trash_rules.list_trash(connection, user, cursor=query.cursor, limit=query.limit)
    return ItemPage(items=[_describe(video) for video in page.items], next_cursor=page.next_cursor)


@routes.post(
    "/{video_id}/restore",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Have your deleted video back, as visible as it was.",
    errors=(VideoNotFound, trash_rules.VideoNotRestorable, VideoStillStopping),
)
async def restore_video(
    video_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> VideoDetailBody:
    """Restore a video."""
    video = await trash_rules.restore_video(connection, ports.settings, user, video_id)
    return await show_video(connection, ports, user, video)


@routes.delete(
    "/{video_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Delete your deleted video for good: its bytes go now, and with them its share of the "
    "quota.",
    status=202,
    errors=(VideoNotFound,),
)
async def delete_for_good(
    video_id: uuid.UUID, user: CurrentUser, connection: Transaction
) -> TrashedVideoBody:
    """Delete for good."""
    return _describe(await trash_rules.delete_for_good(connection, user, video_id))


def _describe(video: TrashedVideo) -> TrashedVideoBody:
    return TrashedVideoBody(
        id=video.id,
        title=video.title,
        duration_ms=video.duration_ms,
        size_bytes=video.size_bytes,
        deleted_at=format_time(video.deleted_at),
        purge_at=format_time(video.purge_at),
        is_final=video.is_final,
        is_restorable=video.is_restorable,
    )
