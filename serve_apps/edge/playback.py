"""Playback of videos on the edge: playlists from memory, segments by sendfile, pictures.

`/v/{video}/…` for what everyone may see, `/t/{grant}/v/…` for the rest; the bytes are the same.
Names in the address are only ever compared with what the video's records list, so that no address
leads anywhere else. Who may watch is decided here at every request, from the catalog.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import hdrs, web

from kit.clock import Clock
from kit.errors import AppError
from kit.ids import parse_id
from kit.settings import Settings
from media.vod.hls import Track
from media.vod.records import (
    KEYS_NAME,
    PREVIEW_NAME,
    STORYBOARD,
    SUBTITLES,
    THUMBNAILS,
    candidate_key,
    candidate_name,
    preview_key,
    segment_name,
    storyboard_key,
    storyboard_name,
    subtitles_key,
    track_key,
)
from serve_apps.access.grants import Grant, read_grant
from serve_apps.access.playback import OPEN_VISIBILITIES
from serve_apps.edge.access_book import AccessBook
from serve_apps.edge.content_keys import build_licence, count_request, read_wanted
from serve_apps.edge.downloads import send_download
from serve_apps.edge.media_answers import (
    AUDIO_TYPE,
    IMMUTABLE,
    PLAYLIST_TYPE,
    VIDEO_TYPE,
    allow_everyone,
    answer_key_preflight,
    answer_preflight,
    check_grant,
    send_object,
    send_text,
)
from serve_apps.edge.refusals import Handler, build_refusal
from serve_apps.edge.video_catalog import CatalogEntry, VideoCatalog, VideoUnknown
from storage.database import Database
from storage.objects import ObjectStore
from storage.rates import RateBook
from storage.video_playback import PlaybackRecord

PICTURE = "public, max-age=300"
TEXT_TYPES = {
    "m3u8": PLAYLIST_TYPE,
    "mpd": "application/dash+xml",
    "vtt": "text/vtt",
    "json": "application/json",
}
DOWNLOAD = "download"
NO_NUMBER = 1 << 62
THUMBNAIL_NAME = "thumbnail.jpg"


class VideoGone(AppError):
    """The video was deleted."""

    code, status, message = "video_gone", 410, "This video was deleted."


@dataclass(frozen=True)
class PlaybackPorts:
    """What playback needs."""

    settings: Settings
    database: Database
    objects: ObjectStore
    clock: Clock
    is_void: Callable[[Grant], bool]
    """Whether a grant has stopped counting (`GrantChecks`)."""
    changed: AccessBook
    """Tells what plays otherwise than before."""
    rates: RateBook
    """Counts who asks for keys."""


def add_playback_routes(app: web.Application, ports: PlaybackPorts) -> None:
    """Put /v/… and /t/{grant}/v/… on the edge."""
    server = _PlaybackServer(ports)
    for prefix in ("", "/t/{grant}"):
        keys = f"{prefix}/v/{{video_id}}/{KEYS_NAME}"
        app.router.add_post(keys, server.answer(server.send_keys))
        app.router.add_route(hdrs.METH_OPTIONS, keys, answer_key_preflight)
        app.router.add_get(f"{prefix}/v/{{video_id}}/{{name}}", server.answer(server.send_named))
        app.router.add_get(
            f"{prefix}/v/{{video_id}}/{{track}}/{{name}}", server.answer(server.send_media)
        )
        for path in ("/v/{video_id}/{name}", "/v/{video_id}/{track}/{name}"):
            app.router.add_route(hdrs.METH_OPTIONS, prefix + path, answer_preflight)


class _PlaybackServer:
    """The handlers, sharing the ports and the catalog."""

    def __init__(self, ports: PlaybackPorts) -> None:
        self._ports = ports
        self._catalog = VideoCatalog(ports.database, ports.clock, ports.changed)

    def answer(self, handler: Handler) -> Handler:
        """Wrap a handler with the error bodies and the headers of every answer."""

        async def run(request: web.Request) -> web.StreamResponse:
            response: web.StreamResponse
            try:
                response = await handler(request)
            except AppError as error:
                response = build_refusal(error, self._ports.clock.now())
            allow_everyone(response)
            return response

        return run

    async def send_named(self, request: web.Request) -> web.StreamResponse:
        """Send a playlist, the picture or the preview."""
        entry, record = await self._open(request)
        name = request.match_info["name"]
        if name == THUMBNAIL_NAME:
            if record.thumbnail_key is None:
                raise VideoUnknown
            headers: dict[str, str] = {hdrs.CONTENT_TYPE: "image/jpeg", hdrs.CACHE_CONTROL: PICTURE}
            return await send_object(request, self._ports.objects, record.thumbnail_key, headers)
        if name == PREVIEW_NAME:
            if not record.has_preview:
                raise VideoUnknown
            return await self._send(request, preview_key(str(record.id)), VIDEO_TYPE)
        text = entry.find_file(name)
        if text is None:
            raise VideoUnknown
        return await send_text(request, TEXT_TYPES[name.rpartition(".")[2]], text)

    async def send_media(self, request: web.Request) -> web.StreamResponse:
        """Send a segment or an init segment that a playlist names, a sheet, or all as one file."""
        entry, record = await self._open(request)
        folder, name = request.match_info["track"], request.match_info["name"]
        if folder == DOWNLOAD:
            return await send_download(
                request, self._ports.objects, str(record.id), entry.publication
            )
        if folder in (STORYBOARD, THUMBNAILS):
            return await self._send_picture(request, entry, record)
        if folder == SUBTITLES and name in entry.publication.texts:
            key = subtitles_key(str(record.id), name)
            return await self._send(request, key, TEXT_TYPES["vtt"])
        track = entry.find_track(folder)
        if track is None or not _is_listed(name, track):
            raise VideoUnknown
        kind = AUDIO_TYPE if track.is_sound else VIDEO_TYPE
        kept = entry.publication.keys.get((track.name, name))
        key = kept or track_key(str(record.id), track.name, name)
        return await self._send(request, key, kind)

    async def send_keys(self, request: web.Request) -> web.StreamResponse:
        """Give out keys of a protected video to whoever may watch it now."""
        await count_request(request, self._ports.settings, self._ports.rates)
        entry, _record = await self._open(request)
        return build_licence(self._ports.settings, entry, await read_wanted(request))

    async def _send(self, request: web.Request, key: str, kind: str) -> web.StreamResponse:
        """Send an object that never changes."""
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: kind, hdrs.CACHE_CONTROL: IMMUTABLE}
        return await send_object(request, self._ports.objects, key, headers)

    async def _send_picture(
        self, request: web.Request, entry: CatalogEntry, record: PlaybackRecord
    ) -> web.StreamResponse:
        """Send a sheet of small pictures, or a picture the owner may choose."""
        folder, name = request.match_info["track"], request.match_info["name"]
        number, made = _read_number(name), entry.publication
        if folder == STORYBOARD:
            is_there = number < made.sheets and name == storyboard_name(number)
            key = storyboard_key(str(record.id), name)
        else:
            is_there = number < made.candidates and name == candidate_name(number)
            key = candidate_key(str(record.id), number)
        if not is_there:
            raise VideoUnknown
        return await self._send(request, key, "image/jpeg")

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
            check_grant(grant, record.id, record.access_version, self._ports.is_void)
        return entry, record

    def _read_grant(self, request: web.Request) -> Grant | None:
        text = request.match_info.get("grant")
        if text is None:
            return None
        auth = self._ports.settings.auth
        return read_grant(auth.grant_public_key, text, self._ports.clock.now())


def _is_listed(name: str, track: Track) -> bool:
    """Say whether the track's records list this very file name."""
    if any(part.init_name == name for part in track.parts):
        return True
    number = _read_number(name)
    return number < len(track.segments) and name == segment_name(number)


def _read_number(name: str) -> int:
    """The number a name begins with; one that nothing has, when it is none."""
    stem = name.partition(".")[0]
    return int(stem) if stem.isascii() and stem.isdigit() and len(stem) <= 9 else NO_NUMBER
