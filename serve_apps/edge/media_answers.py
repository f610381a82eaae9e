"""How the edge answers players: open to any page, ranges, playlists with tags, grants checked.

`playback.py` and `live_hls.py` share it. Keys come from what their catalogs list, never from an
address.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from aiohttp import ETag, hdrs, web

from kit.errors import NotFound, PermissionDenied
from kit.logs import get_log
from kit.shared_text import SharedText
from serve_apps.access.grants import Grant
from serve_apps.edge.entity_tags import CONDITIONS, TAG_DIGITS, is_known, make_tag, select_part
from serve_apps.edge.file_answers import FileAnswer
from storage.objects import ObjectNotFound, ObjectPart, ObjectStore

log = get_log("playback")

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "public, no-cache"
PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
COMPRESS_FROM_BYTES = 1024
AUDIO_TYPE = "audio/mp4"
VIDEO_TYPE = "video/mp4"
GZIP = "gzip"
_NOT_WANTED = re.compile(r"q=0(\.0{0,3})?", re.IGNORECASE)


class GrantMissing(PermissionDenied):
    """Not open to everyone: the API hands out an address that is good for a while."""

    code, message = "grant_missing", "Ask the API for an address that plays this."


class GrantOutdated(PermissionDenied):
    """The grant is for something else, or who may see this has changed since."""

    code, message = "grant_outdated", "This address no longer plays this; ask for a new one."


class MediaMissing(NotFound):
    """A listed object is not in the store."""

    code, message = "media_not_found", "This part cannot be found."


def check_grant(
    grant: Grant | None,
    resource: uuid.UUID,
    access_version: int,
    is_void: Callable[[Grant], bool],
) -> None:
    """Raise GrantMissing or GrantOutdated unless the grant opens the resource as it is now."""
    if grant is None:
        raise GrantMissing
    if grant.resource != resource or grant.access_version != access_version:
        raise GrantOutdated
    if is_void(grant):
        raise GrantOutdated


def allow_everyone(response: web.StreamResponse) -> None:
    """Let any page read the answer: the right to see it is in the address."""
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
    response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = (
        "Content-Length, Content-Range, Accept-Ranges, ETag"
    )
    response.headers["Timing-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"


async def answer_preflight(_request: web.Request) -> web.StreamResponse:
    """Let any page ask for ranges."""
    return _allow("GET, HEAD, OPTIONS", ", ".join((hdrs.RANGE, *CONDITIONS)))


async def answer_key_preflight(_request: web.Request) -> web.StreamResponse:
    """Let any page ask for keys: the right to them is in the address."""
    return _allow("POST, OPTIONS", "Content-Type")


def _allow(methods: str, headers: str) -> web.StreamResponse:
    response = web.Response(status=204)
    allow_everyone(response)
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = methods
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = headers
    response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = "86400"
    return response


async def send_text(
    request: web.Request, kind: str, text: SharedText, cache: str = REVALIDATE
) -> web.StreamResponse:
    """Send a playlist, a manifest or a track of pictures, unless the player has it.

    The tag is weak, as it names these words whether they are compressed or not (RFC 9110 §8.8.1).
    Who asks for the same text shares its hash and its compressed form.
    """
    tag = ETag((await text.hash())[:TAG_DIGITS], is_weak=True)
    headers = {hdrs.CACHE_CONTROL: cache, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    if is_known(request, tag.value):
        unchanged = web.Response(status=304, headers=headers)
        unchanged.etag = tag
        return unchanged
    body = text.body
    if len(body) >= COMPRESS_FROM_BYTES and _takes_gzip(request):
        body = await text.compress()
        headers[hdrs.CONTENT_ENCODING] = GZIP
    response = web.Response(body=body, content_type=kind, headers=headers)
    response.etag = tag
    return response


def _takes_gzip(request: web.Request) -> bool:
    """Whether who asks names gzip as what it reads (RFC 9110 §12.5.3)."""
    for given in ",".join(request.headers.getall(hdrs.ACCEPT_ENCODING, ())).split(","):
        coding, _, weight = given.partition(";")
        if coding.strip().lower() == GZIP:
            return _NOT_WANTED.fullmatch(weight.strip()) is None
    return False


def send_bytes(
    request: web.Request, data: bytes, key: str, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Send what is in memory, or the range asked for; under its key it is an object, or will be."""
    part = select_part(request, make_tag(key, len(data)), len(data), headers)
    if isinstance(part, web.Response):
        return part
    return web.Response(status=part.status, body=data[part.first : part.stop], headers=part.headers)


async def send_object(
    request: web.Request, objects: ObjectStore, key: str, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Send an object, or the range asked for: from its file, else through memory.

    Raises MediaMissing.
    """
    path = objects.local_path(key)
    try:
        if path is None:
            return await _send_stored(request, objects, key, headers)
        size_bytes = _read_size(path)
    except (ObjectNotFound, FileNotFoundError) as error:
        log.exception("playback.object_missing", key=key)
        raise MediaMissing from error
    part = select_part(request, make_tag(key, size_bytes), size_bytes, headers)
    return part if isinstance(part, web.Response) else FileAnswer(path, part)


async def _send_stored(
    request: web.Request, objects: ObjectStore, key: str, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Fetch from a bucket what is asked for, and no more; what has conditions needs its size first.

    Raises ObjectNotFound.
    """
    found = await _fetch_plain(request, objects, key)
    size_bytes = await objects.size_bytes(key) if found is None else found.size_bytes
    part = select_part(request, make_tag(key, size_bytes), size_bytes, headers)
    if isinstance(part, web.Response):
        return part
    if found is None:
        found = await objects.get_part(key, part.first, part.stop)
    return web.Response(status=part.status, body=found.data, headers=part.headers)


async def _fetch_plain(request: web.Request, objects: ObjectStore, key: str) -> ObjectPart | None:
    """What is asked for without a condition, at once; None where the size has to be known first."""
    if request.method == hdrs.METH_HEAD or any(name in request.headers for name in CONDITIONS):
        return None
    try:
        wanted = request.http_range
    except ValueError:
        return None
    return await objects.get_part(key, wanted.start or 0, wanted.stop)


def _read_size(path: Path) -> int:
    return path.stat().st_size
