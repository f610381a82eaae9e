"""Rules about videos: who may upload, who sees what, how an upload ends.

Routes, jobs and (through wiring) the edge's upload server call it inside a transaction they opened.
It commits nothing and asks nobody but the database.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from kit.cursors import Page, cut_page, make_moment_key, read_id_cursor, read_moment_cursor
from kit.errors import NotFound, PermissionDenied
from kit.events import EventName
from kit.ids import make_id
from kit.settings import Settings
from serve_apps import deletions
from serve_apps.access.identity import Identity, Role
from serve_apps.access.playback import PlaybackTerms, choose_edge
from serve_apps.access.sight import Sight, check_sight
from serve_apps.access.visibility import Visibility
from serve_apps.videos.lengths import check_declared_length
from serve_apps.videos.publishing import (
    VideoScheduled,
    schedule,
    tell_published,
)
from serve_apps.videos.quota import check_room
from serve_apps.videos.upload_jobs import (
    EXPIRE_MARGIN_S,
    HeadStartJob,
    enqueue_collection,
    enqueue_head_start,
    expect_upload,
)
from storage import uploads, video_lists, videos
from storage.database import Connection
from storage.events import append_event
from storage.jobs import enqueue_job
from storage.publications import Publication
from storage.recordings import PROCESS_RECORDED_JOB

PROCESS_JOB = "videos.process"
EXPIRE_JOB = "videos.expire"


class VideoNotFound(NotFound):
    """No such video, or not for this caller."""

    code, message = "video_not_found", "There is no such video."


class VideoJob(msgspec.Struct, frozen=True):
    """Payload of every job about one video."""

    video_id: uuid.UUID


@dataclass(frozen=True)
class VideoOrder:
    """What a person says about a video before its bytes arrive."""

    title: str
    filename: str
    size_bytes: int | None
    """None when the client tells it later."""
    description: str
    visibility: Visibility
    metadata: str = ""
    """Upload-Metadata and Upload-Concat of a file announced by tus itself."""
    concat: str = ""
    publish_at: datetime | None = None
    """When it becomes so visible; None: at once."""
    is_protected: bool | None = None
    """Whether its segments are encrypted; None: as the site does."""
    duration_ms: int | None = None
    """How long it plays, as far as was said."""


@dataclass(frozen=True)
class VideoChange:
    """What a person changes about a video; None leaves it."""

    title: str | None
    description: str | None
    visibility: Visibility | None


@dataclass(frozen=True)
class OpenUpload:
    """Where the next byte of a file goes, and how much of it has arrived."""

    url: str
    offset_bytes: int
    size_bytes: int | None
    expires_at: datetime


@dataclass(frozen=True)
class CreatedVideo:
    """A video whose bytes may now be sent."""

    id: uuid.UUID
    upload: OpenUpload


async def create_video(
    connection: Connection, settings: Settings, owner: Identity, order: VideoOrder
) -> CreatedVideo:
    """Open an upload; raises VideoTooLarge, VideoTooLong, TooManyUploads, QuotaExceeded."""
    assert order.size_bytes is not None, "the API asks for the size"
    video_id, upload_id, expires_at = await open_upload(connection, settings, owner, order)
    url = _make_upload_url(await choose_edge(connection, settings), upload_id)
    return CreatedVideo(video_id, OpenUpload(url, 0, order.size_bytes, expires_at))


async def open_upload(
    connection: Connection, settings: Settings, owner: Identity, order: VideoOrder
) -> tuple[uuid.UUID, uuid.UUID, datetime]:
    """Write a video with its upload; return both ids and when the upload expires."""
    limits = settings.uploads
    check_declared_length(limits, order.duration_ms)
    await check_room(connection, limits, owner.user_id, order.size_bytes)
    video_id, upload_id = make_id(), make_id()
    if order.is_protected is None:
        order = replace(order, is_protected=settings.processing.protected)
    await _insert_video(connection, owner, order, video_id)
    expires_at = await uploads.insert_upload(
        connection,
        uploads.NewUpload(
            upload_id,
            video_id,
            owner.user_id,
            order.filename,
            order.size_bytes,
            limits.expires_s,
            order.metadata,
            order.concat,
        ),
    )
    await enqueue_job(
        connection,
        EXPIRE_JOB,
        VideoJob(video_id),
        dedupe_key=f"{EXPIRE_JOB}:{video_id}",
        delay_s=limits.expires_s + EXPIRE_MARGIN_S,
    )
    if order.size_bytes is not None and order.size_bytes <= limits.piece_bytes:
        await expect_upload(connection, upload_id)  # its first piece is its last
    elif settings.processing.head_start:
        await enqueue_head_start(connection, HeadStartJob(video_id))
    return video_id, upload_id, expires_at


async def _insert_video(
    connection: Connection, owner: Identity, order: VideoOrder, video_id: uuid.UUID
) -> None:
    """Write the row, private until its time when it has one."""
    visibility = order.visibility.value
    words, is_protected = (order.title, order.description), bool(order.is_protected)
    new = videos.NewVideo(video_id, owner.user_id, *words, visibility, is_protected)
    await videos.insert_video(connection, new)
    if order.publish_at is not None:
        await schedule(connection, video_id, Publication(order.publish_at, visibility))


async def finish_upload(connection: Connection, upload: uploads.Upload) -> None:
    """All bytes are there: close the upload, queue the video and its job, say so."""
    assert await uploads.finish_upload(connection, upload.id), "the writer holds the upload's lock"
    if upload.video_id is None:
        return  # a part waits for the others
    if not await videos.queue_video(connection, upload.video_id):
        return  # deleted while its last bytes arrived
    await enqueue_processing(connection, upload.video_id, is_recording=False)
    await append_event(
        connection,
        EventName.VIDEO_UPLOADED,
        subject_id=upload.video_id,
        actor_id=upload.owner_id,
        data={"size_bytes": upload.size_bytes},
    )


async def enqueue_processing(
    connection: Connection, video_id: uuid.UUID, *, is_recording: bool
) -> bool:
    """Queue the work on a video; False while an earlier try of it has not ended."""
    job = PROCESS_RECORDED_JOB if is_recording else PROCESS_JOB
    return await enqueue_job(connection, job, VideoJob(video_id), dedupe_key=f"{job}:{video_id}")


async def terminate_upload(connection: Connection, upload: uploads.Upload) -> bool:
    """The owner gave up: the video disappears and its bytes are removed.

    False, and nothing done, for what is complete, unless it is a part that nobody joined.
    """
    if not await uploads.terminate_upload(connection, upload.id):
        return False
    if upload.video_id is None:
        await enqueue_collection(connection, upload.id, delay_s=0)
    else:
        await deletions.delete_video(connection, upload.video_id, upload.owner_id, purge_after_s=0)
    return True


async def expire_upload(connection: Connection, upload: uploads.Upload) -> bool:
    """End an upload whose time is over and fail its video; False when it was not open."""
    if not await uploads.terminate_upload(connection, upload.id, only_expired=True):
        return False
    assert upload.video_id is not None, "a part's bytes are collected instead"
    await videos.fail_video(
        connection, upload.video_id, "upload_expired", "The upload was not completed in time."
    )
    return True


async def get_video(
    connection: Connection, viewer: Identity | None, video_id: uuid.UUID
) -> videos.Video:
    """Return a video the viewer may see; raises VideoNotFound, ForSubscribers."""
    video = await videos.find_video(connection, video_id)
    if video is None:
        raise VideoNotFound
    if viewer is None or viewer.role not in (Role.MODERATOR, Role.ADMIN):
        viewer_id = None if viewer is None else viewer.user_id
        sight = Sight(video.owner_id, video.visibility)
        await check_sight(connection, sight, viewer_id, VideoNotFound)
    return video


async def find_open_upload(
    connection: Connection, video: videos.Video, terms: PlaybackTerms
) -> OpenUpload | None:
    """Return where the owner goes on sending, also from another device; None for anybody else."""
    if video.status != "uploading":
        return None
    if terms.viewer is None or terms.viewer.user_id != video.owner_id:
        return None
    upload = await uploads.find_upload_of_video(connection, video.id)
    if upload is None or upload.state != "open" or upload.is_expired:
        return None
    url = _make_upload_url(terms.edge_url, upload.id)
    return OpenUpload(url, upload.offset_bytes, upload.size_bytes, upload.expires_at)


async def list_videos(
    connection: Connection,
    owner: Identity | None,
    *,
    wanted: video_lists.VideoFilter,
    cursor: str | None,
    limit: int,
) -> Page[videos.Video]:
    """Return all of the owner's videos by their upload, or for None public ones by publication."""
    if owner is None:
        moment = read_moment_cursor(cursor)
        found = await video_lists.list_public_videos(
            connection, before=moment, limit=limit + 1, wanted=wanted
        )
        return cut_page(found, limit, lambda video: make_moment_key(video.listed_at, video.id))
    found = await video_lists.list_owned_videos(
        connection, owner.user_id, before=read_id_cursor(cursor), limit=limit + 1
    )
    return cut_page(found, limit, lambda video: (str(video.id),))


async def change_video(
    connection: Connection, caller: Identity, video_id: uuid.UUID, change: VideoChange
) -> videos.Video:
    """Change the caller's own video; raises VideoNotFound, PermissionDenied, VideoScheduled."""
    await get_own_video(connection, caller, video_id)
    is_changed = await videos.change_video(
        connection,
        video_id,
        title=change.title,
        description=change.description,
        visibility=None if change.visibility is None else change.visibility.value,
    )
    if not is_changed:
        raise VideoScheduled
    await tell_published(connection, video_id)
    changed = await videos.find_video(connection, video_id)
    assert changed is not None, "the row was there in this very transaction"
    return changed


async def delete_video(
    connection: Connection, settings: Settings, caller: Identity, video_id: uuid.UUID
) -> None:
    """Delete the caller's own video, or as a moderator anyone's; its bytes go days later."""
    video = await get_video(connection, caller, video_id)
    if video.owner_id != caller.user_id and caller.role not in (Role.MODERATOR, Role.ADMIN):
        raise PermissionDenied
    upload = await uploads.find_upload_of_video(connection, video_id)
    is_given_up = upload is not None and await terminate_upload(connection, upload)
    if not is_given_up:
        after_s = deletions.decide_kept_s(settings)
        await deletions.delete_video(connection, video_id, caller.user_id, purge_after_s=after_s)


def _make_upload_url(edge_url: str, upload_id: uuid.UUID) -> str:
    """Any edge takes the bytes of any upload."""
    return f"{edge_url}/uploads/{upload_id}"


async def get_own_video(
    connection: Connection, caller: Identity, video_id: uuid.UUID
) -> videos.Video:
    """Return the caller's own video; raises VideoNotFound, PermissionDenied."""
    video = await get_video(connection, caller, video_id)
    if video.owner_id != caller.user_id:
        raise PermissionDenied
    return video
