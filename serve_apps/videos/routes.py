"""Routes of videos: announce an upload, look, list, change, delete."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import Response

from kit.cursors import CursorMalformed
from kit.errors import NotAuthenticated, PermissionDenied
from serve_apps.access.identity import Identity
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import PlaybackTerms, make_terms
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import ItemPage, PageRequest
from serve_apps.http.state import ApiPorts, CurrentUser, OptionalUser, Ports, Transaction
from serve_apps.outside.guard import AddressRefused
from serve_apps.videos import (
    importing,
    liking,
    processing_rules,
    quota,
    reencoding_rules,
    service,
)
from serve_apps.videos.chapters import ChaptersMalformed
from serve_apps.videos.history_service import find_resume
from serve_apps.videos.labels import TAG_CHARS_MAX, Category, change_labels
from serve_apps.videos.lengths import VideoTooLong
from serve_apps.videos.playback import build_playback
from serve_apps.videos.publishing import PublicationUnfit, VideoScheduled
from serve_apps.videos.request_schemas import (
    VideoChangeRequest,
    VideoImportRequest,
    VideoRequest,
    read_labels,
)
from serve_apps.videos.schemas import (
    STRANGERS_PART,
    CreatedVideoBody,
    Mine,
    OwnersPart,
    VideoBody,
    VideoDetailBody,
    describe_created,
    describe_detail,
    describe_video,
)
from storage.database import Connection
from storage.video_lists import VideoFilter
from storage.video_plans import list_warnings
from storage.video_versions import list_makings
from storage.videos import Video

routes = Routes("/videos", "videos")


@routes.post(
    "",
    permission=Permission.USER,
    rate=RateTier.UPLOAD,
    summary="Announce a video; the answer says where its bytes go (tus 1.0).",
    status=201,
    repeatable=True,
    errors=(
        quota.VideoTooLarge,
        VideoTooLong,
        quota.TooManyUploads,
        quota.QuotaExceeded,
        PublicationUnfit,
    ),
)
async def create_video(
    body: VideoRequest, user: CurrentUser, ports: Ports, connection: Transaction
) -> CreatedVideoBody:
    """Open an upload."""
    order = service.VideoOrder(
        title=body.title,
        filename=body.filename,
        size_bytes=body.size_bytes,
        description=body.description,
        visibility=body.visibility,
        publish_at=body.publish_at,
        is_protected=body.protected,
        duration_ms=body.duration_ms,
    )
    return describe_created(await service.create_video(connection, ports.settings, user, order))


@routes.post(
    "/import",
    permission=Permission.USER,
    rate=RateTier.UPLOAD,
    summary="Fetch a video from an address on the open internet.",
    status=202,
    repeatable=True,
    errors=(AddressRefused, quota.TooManyUploads, quota.QuotaExceeded, PublicationUnfit),
)
async def import_video(
    body: VideoImportRequest, user: CurrentUser, ports: Ports, connection: Transaction
) -> VideoDetailBody:
    """Announce an import."""
    order = service.VideoOrder(
        title=body.title,
        filename="",
        size_bytes=None,
        description=body.description,
        visibility=body.visibility,
        publish_at=body.publish_at,
        is_protected=body.protected,
    )
    video_id = await importing.open_import(connection, ports.settings, user, order, body.url)
    video = await service.get_video(connection, user, video_id)
    return await show_video(connection, ports, user, video)


@routes.get(
    "",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List ready public videos, last published first; with owner=me all of your own.",
    errors=(CursorMalformed,),
)
async def list_videos(
    viewer: OptionalUser,
    query: PageRequest,
    ports: Ports,
    connection: Transaction,
    owner: Annotated[Literal["me"] | None, Query()] = None,
    tag: Annotated[str | None, Query(max_length=TAG_CHARS_MAX, examples=["harbour"])] = None,
    category: Annotated[Category | None, Query()] = None,
) -> ItemPage[VideoBody]:
    """List videos."""
    terms = await make_terms(connection, ports.settings, viewer, ports.clock.now())
    page = await service.list_videos(
        connection,
        _read_owner(owner, viewer),
        wanted=VideoFilter(tag, category),
        cursor=query.cursor,
        limit=query.limit,
    )
    owners = await _list_owners_parts(connection, page.items) if owner == "me" else {}
    return ItemPage(
        items=[
            describe_video(
                video, build_playback(video, terms), owners.get(video.id, STRANGERS_PART)
            )
            for video in page.items
        ],
        next_cursor=page.next_cursor,
    )


@routes.get(
    "/{video_id}",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Look at one video: its state, where it plays, and where its owner goes on uploading.",
    errors=(service.VideoNotFound, ForSubscribers),
)
async def get_video(
    video_id: uuid.UUID, viewer: OptionalUser, ports: Ports, connection: Transaction
) -> VideoDetailBody:
    """Look at one video."""
    terms = await make_terms(connection, ports.settings, viewer, ports.clock.now())
    video = await service.get_video(connection, viewer, video_id)
    return await _describe_whole(connection, terms, video)


@routes.patch(
    "/{video_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Change what is said about your video, or who may see it.",
    errors=(service.VideoNotFound, PermissionDenied, ChaptersMalformed, VideoScheduled),
)
async def change_video(
    video_id: uuid.UUID,
    body: VideoChangeRequest,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
) -> VideoDetailBody:
    """Change a video."""
    await change_labels(connection, user, video_id, read_labels(body))
    change = service.VideoChange(body.title, body.description, body.visibility)
    video = await service.change_video(connection, user, video_id, change)
    return await show_video(connection, ports, user, video)


@routes.delete(
    "/{video_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Delete your video; it disappears at once.",
    status=204,
    response_class=Response,
    errors=(service.VideoNotFound, PermissionDenied),
)
async def delete_video(
    video_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> None:
    """Delete a video."""
    await service.delete_video(connection, ports.settings, user, video_id)


@routes.post(
    "/{video_id}/cancel",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Stop the work on your video; a version that plays already stays as it is.",
    errors=(service.VideoNotFound, PermissionDenied, processing_rules.VideoNotInWork),
)
async def cancel_processing(
    video_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> VideoDetailBody:
    """Stop processing."""
    video = await reencoding_rules.cancel_work(connection, user, video_id)
    return await show_video(connection, ports, user, video)


@routes.post(
    "/{video_id}/retry",
    permission=Permission.OWNER,
    rate=RateTier.UPLOAD,
    summary="Process your failed video again; pieces that are done are not made again.",
    errors=(
        service.VideoNotFound,
        PermissionDenied,
        processing_rules.VideoNotRetryable,
        processing_rules.VideoStillStopping,
    ),
)
async def retry_processing(
    video_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> VideoDetailBody:
    """Process again."""
    video = await processing_rules.retry_processing(connection, user, video_id)
    return await show_video(connection, ports, user, video)


async def show_video(
    connection: Connection, ports: ApiPorts, viewer: Identity | None, video: Video
) -> VideoDetailBody:
    """Describe a video to its owner, who may see it whatever happens meanwhile."""
    terms = await make_terms(connection, ports.settings, viewer, ports.clock.now())
    return await _describe_whole(connection, terms, video)


async def _describe_whole(
    connection: Connection, terms: PlaybackTerms, video: Video
) -> VideoDetailBody:
    """Describe a video to whoever asks."""
    viewer = terms.viewer
    upload = await service.find_open_upload(connection, video, terms)
    resume_ms = await find_resume(connection, viewer, video.id)
    liked = await liking.find_liked(connection, viewer, video.id)
    is_own = viewer is not None and viewer.user_id == video.owner_id
    owners = await _list_owners_parts(connection, [video]) if is_own else {}
    mine = Mine(resume_ms, liked, owners.get(video.id, STRANGERS_PART))
    return describe_detail(video, build_playback(video, terms), upload, mine)


async def _list_owners_parts(
    connection: Connection, found: Sequence[Video]
) -> dict[uuid.UUID, OwnersPart]:
    """Return by video what only its owner is told."""
    video_ids = [video.id for video in found]
    makings = {one.video_id: one for one in await list_makings(connection, video_ids)}
    warnings = await list_warnings(connection, video_ids)
    return {it: OwnersPart(makings.get(it), warnings.get(it, ())) for it in video_ids}


def _read_owner(owner: str | None, caller: Identity | None) -> Identity | None:
    """Return whose videos a list is about: the caller for "me", None for everyone's."""
    if owner is None:
        return None
    if caller is None:
        raise NotAuthenticated
    return caller
