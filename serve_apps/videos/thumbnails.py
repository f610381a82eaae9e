"""Rules about the picture a video shows before it plays: found, chosen, or brought by its owner.

Routes call it. The processing found several and took the best; from then on the owner decides.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import uuid
from dataclasses import dataclass

import msgspec

from kit.errors import AppError
from media.vod.own_picture import PictureUnreadable, renew_picture
from media.vod.records import TaskRecord, candidate_key, own_thumbnail_key
from serve_apps.access.identity import Identity
from serve_apps.videos.service import get_own_video
from storage import video_chunks, videos
from storage.database import Connection, Database
from storage.objects import ObjectStore

THUMBNAILS_TASK = "thumbnails"


class ThumbnailUnknown(AppError):
    """There is no such picture to choose."""

    code, status, message = "thumbnail_unknown", 404, "There is no such picture to choose from."


@dataclass(frozen=True)
class Found:
    """A picture the owner may choose; the best has index 0."""

    index: int
    is_chosen: bool


async def list_found(connection: Connection, caller: Identity, video_id: uuid.UUID) -> list[Found]:
    """Return what the processing found, best first; raises VideoNotFound, PermissionDenied."""
    video = await get_own_video(connection, caller, video_id)
    chunk = await video_chunks.find_chunk(connection, video_id, THUMBNAILS_TASK)
    if chunk is None or chunk.result is None:
        return []
    images = msgspec.convert(chunk.result, TaskRecord).images
    # The first is the best one's copy under the name that needs no choice.
    is_untouched = bool(images) and video.thumbnail_key == images[0]
    return [
        Found(index, video.thumbnail_key == key or (is_untouched and index == 0))
        for index, key in enumerate(images[1:])
    ]


async def choose_found(
    connection: Connection, caller: Identity, video_id: uuid.UUID, index: int
) -> videos.Video:
    """Show one of those that were found; raises ThumbnailUnknown beside `list_found`'s."""
    if index >= len(await list_found(connection, caller, video_id)):
        raise ThumbnailUnknown(index=index)
    await videos.choose_thumbnail(connection, video_id, candidate_key(str(video_id), index))
    return await get_own_video(connection, caller, video_id)


async def bring_own(
    database: Database, objects: ObjectStore, caller: Identity, video_id: uuid.UUID, picture: str
) -> None:
    """Show the owner's own picture, given in base64; raises PictureUnreadable beside others.

    Reading and storing it stand outside any transaction.
    """
    try:
        data = base64.b64decode(picture, validate=True)
    except binascii.Error as error:
        raise PictureUnreadable from error
    async with database.transaction() as connection:
        await get_own_video(connection, caller, video_id)
    renewed = await asyncio.to_thread(renew_picture, data)
    name = hashlib.sha256(renewed).hexdigest()[:16]
    key = own_thumbnail_key(str(video_id), name)
    await objects.put(key, renewed)
    async with database.transaction() as connection:
        video = await get_own_video(connection, caller, video_id)
        await videos.choose_thumbnail(connection, video_id, key)
    if video.thumbnail_key not in (None, key) and "/own-" in (video.thumbnail_key or ""):
        await objects.delete(video.thumbnail_key or "")
