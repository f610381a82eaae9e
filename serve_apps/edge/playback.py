"""Playback of videos on the edge: playlists from memory, segments by sendfile, pictures.

`/v/{video}/…` for what everyone may see, `/t/{grant}/v/…` for the rest; the bytes are the same.
Names in the address are only ever compared with what the video's records list, so that no address
leads anywhere else. Who may watch is decided here at every request, from the catalog.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web

from kit.clock import Clock
from kit.errors import AppError, PermissionDenied
from kit.ids import parse_id
from kit.logs import get_log
from kit.settings import Settings
from media.vod.records import (
    AUDIO_TRACK,
    STORYBOARD,
    segment_name,
    storyboard_key,
    storyboard_name,
    track_key,
)
from serve_apps.access.grants import Grant, read_grant
from serve_apps.access.playback import OPEN_VISIBILITIES
from serve_apps.edge.downloads import send_download
from serve_apps.edge.refusals import Handler, build_refusal
from serve_apps.edge.video_catalog import CatalogEntry, VideoCatalog, VideoUnknown
from storage.database import Database
from storage.objects import ObjectNotFound, ObjectStore
from storage.videos import PlaybackRecord

log = get_log("playback")

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "public, no-cache"
PICTURE = "public, max-age=300"
TEXT_TYPES = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
    "vtt": "text/vtt",
}
DOWNLOAD = "download"
NO_NUMBER = 1 << 62
COMPRESS_FROM_BYTES = 1024
THUMBNAIL_NAME = "thumbnail.jpg"


class VideoGone(AppError):
    """The video was deleted."""

    code, status, message = "video_gone", 410, "This video was deleted."


class GrantMissing(PermissionDenied):
    """The video is not open to everyone: the API hands out an address that is good for a while."""

    code, message = "grant_missing", "Ask the API for an address that plays this video."


class GrantOutdated(PermissionDenied):
    """The grant is for another video, or who may see this one has changed since."""

    code, message = "grant_outdated", "This address no longer plays this video; ask for a new one."


@dataclass(frozen=True)
class PlaybackPorts:
    """What playback needs."""

    settings: Settings
    database: Database
    objects: ObjectStore
    clock: Clock
    is_revoked: Callable[[uuid.UUID], bool]
    """Whether grants given to this session have stopped counting."""


def add_playback_routes(app: web.Application, ports: PlaybackPorts) -> None:
    """Put /v/… and /t/{grant}/v/… on the edge."""
    server = _PlaybackServer(ports)
    for prefix in ("", "/t/{grant}"):
        app.router.add_get(f"{prefix}/v/{{video_id}}/{{name}}", server.answer(server.send_named))
        app.router.add_get(
            f"{prefix}/v/{{video_id}}/{{track}}/{{name}}", server.answer(server.send_media)
        )
        for path in ("/v/{video_id}/{name}", "/v/{video_id}/{track}/{name}"):
            app.router.add_route(hdrs.METH_OPTIONS, prefix + path, server.preflight)


class _PlaybackServer:
    """The handlers, sharing the ports and the catalog."""

    def __init__(self, ports: PlaybackPorts) -> None:
        self._ports = ports
        self._catalog = VideoCatalog(ports.database, ports.clock)

    def answer(self, handler: Handler) -> Handler:
        """Wrap a handler with the error bodies and the headers of every answer."""

        async def run(request: web.Request) -> web.StreamResponse:
            response: web.StreamResponse
            try:
                response = await handler(request)
            except AppError as error:
                response = build_refusal(error, self._ports.clock.now())
            _allow_everyone(response)
            return response

        return run

    async def preflight(self, _request: web.Request) -> web.StreamResponse:
        """Let any page ask for ranges."""
        response = web.Response(status=204)
        _allow_everyone(response)
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, HEAD, OPTIONS"
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = "Range, If-None-Match"
        response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = "86400"
        return response

    async def send_named(self, request: web.Request) -> web.StreamResponse:
        """Send a playlist or the picture."""
        entry, record = await self._open(request)
        name = request.match_info["name"]
        if name == THUMBNAIL_NAME:
            if record.thumbnail_key is None:
                raise VideoUnknown
            return await self._send_object(
                request, record.thumbnail_key, {"Content-Type": "image/jpeg"}, PICTURE
            )
        if name not in entry.publication.files:
            raise VideoUnknown
        return _send_text(request, name, entry.publication.files[name])

    async def send_media(self, request: web.Request) -> web.StreamResponse:
        """Send a segment or an init segment that a playlist names, a sheet, or all as one file."""
        entry, record = await self._open(request)
        folder, name = request.match_info["track"], request.match_info["name"]
        if folder == DOWNLOAD:
            return await send_download(
                request, self._ports.objects, str(record.id), entry.publication
            )
        if folder == STORYBOARD:
            return await self._send_sheet(request, entry, record, name)
        track = entry.publication.tracks.get(folder)
        if track is None or not _is_listed(name, entry, track.name):
            raise VideoUnknown
        kind = "audio/mp4" if track.name == AUDIO_TRACK else "video/mp4"
        return await self._send_object(
            request, track_key(str(record.id), track.name, name), {"Content-Type": kind}, IMMUTABLE
        )

    async def _send_sheet(
        self, request: web.Request, entry: CatalogEntry, record: PlaybackRecord, name: str
    ) -> web.StreamResponse:
        number = _read_number(name)
        if number >= entry.publication.sheets or name != storyboard_name(number):
            raise VideoUnknown
        key = storyboard_key(str(record.id), name)
        return await self._send_object(request, key, {"Content-Type": "image/jpeg"}, IMMUTABLE)

    async def _open(self, request: web.Request) -> tuple[CatalogEntry, PlaybackRecord]:
        """Return the video of the address; raises VideoUnknown, VideoGone, or why it is refused."""
        video_id = parse_id(request.match_info["video_id"])
        if video_id is None:
            raise VideoUnknown
        grant = self._read_grant(request)
        entry = await self._catalog.get(video_id)
        record = entry.record
        if record is None:
            raise VideoUnknown
        if record.is_gone:
            raise VideoGone
        if record.visibility not in OPEN_VISIBILITIES:
            self._check_grant(record, grant)
        return entry, record

    def _read_grant(self, request: web.Request) -> Grant | None:
        text = request.match_info.get("grant")
        if text is None:
            return None
        auth = self._ports.settings.auth
        return read_grant(auth.grant_public_key, text, self._ports.clock.now())

    def _check_grant(self, record: PlaybackRecord, grant: Grant | None) -> None:
        if grant is None:
            raise GrantMissing
        if grant.resource != record.id or grant.access_version != record.access_version:
            raise GrantOutdated
        if grant.session is not None and self._ports.is_revoked(grant.session):
            raise GrantOutdated

    async def _send_object(
        self, request: web.Request, key: str, headers: dict[str, str], cache: str
    ) -> web.StreamResponse:
        """Send an object, or the range asked for: from its file, else through memory."""
        headers = {**headers, hdrs.CACHE_CONTROL: cache}
        path = self._ports.objects.local_path(key)
        if path is None:
            return await self._send_remote(request, key, headers)
        if not _is_file(path):
            log.error("playback.object_missing", key=key)
            raise VideoUnknown
        return web.FileResponse(path, headers=headers)

    async def _send_remote(
        self, request: web.Request, key: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Pass a bucket's object on; a segment is a few megabytes."""
        try:
            data = await self._ports.objects.get(key)
        except ObjectNotFound as error:
            log.exception("playback.object_missing", key=key)
            raise VideoUnknown from error
        headers = {**headers, hdrs.ACCEPT_RANGES: "bytes"}
        try:
            wanted = request.http_range
        except ValueError:
            return _refuse_range(len(data))
        if wanted.start is None and wanted.stop is None:
            return web.Response(body=data, headers=headers)
        first, stop, _step = wanted.indices(len(data))
        if first >= stop:
            return _refuse_range(len(data))
        headers[hdrs.CONTENT_RANGE] = f"bytes {first}-{stop - 1}/{len(data)}"
        return web.Response(status=206, body=data[first:stop], headers=headers)


def _send_text(request: web.Request, name: str, body: bytes) -> web.StreamResponse:
    """Send a playlist, a manifest or a track of pictures, unless the player has it."""
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = {hdrs.CACHE_CONTROL: REVALIDATE}
    if request.if_none_match and any(given.value == tag for given in request.if_none_match):
        unchanged = web.Response(status=304, headers=headers)
        unchanged.etag = tag
        return unchanged
    kind = TEXT_TYPES[name.rpartition(".")[2]]
    response = web.Response(body=body, content_type=kind, headers=headers)
    response.etag = tag
    if len(body) >= COMPRESS_FROM_BYTES:
        response.enable_compression()
    return response


def _is_listed(name: str, entry: CatalogEntry, track_name: str) -> bool:
    """Say whether the track's records list this very file name."""
    track = entry.publication.tracks[track_name]
    if any(part.init_name == name for part in track.parts):
        return True
    number = _read_number(name)
    return number < len(track.segments) and name == segment_name(number)


def _read_number(name: str) -> int:
    """The number a name begins with; one that nothing has, when it is none."""
    stem = name.partition(".")[0]
    return int(stem) if stem.isascii() and stem.isdigit() and len(stem) <= 9 else NO_NUMBER


def _is_file(path: Path) -> bool:
    return path.is_file()


def _refuse_range(size_bytes: int) -> web.Response:
    return web.Response(status=416, headers={hdrs.CONTENT_RANGE: f"bytes */{size_bytes}"})


def _allow_everyone(response: web.StreamResponse) -> None:
    """Let any page read the answer: the right to see it is in the address."""
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
    response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = (
        "Content-Length, Content-Range, Accept-Ranges, ETag"
    )
    response.headers["Timing-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
