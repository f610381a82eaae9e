"""Low-latency HLS on the edge: playlists, parts and segments of lives.

`/live/{room}/…` for what everyone may see, `/t/{grant}/live/…` for the rest; the bytes are the
same. A live that comes in here is served from memory, with blocking reloads; any other from its
rows, or through the edge where it comes in (`hls_relay.py`). Names are only ever compared with what
windows list.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import hdrs, web

from kit.clock import Clock
from kit.errors import AppError
from kit.ids import parse_id
from kit.settings import Settings
from kit.shared_text import SharedText
from media.live.fragments import AUDIO, TARGET_DURATION_S, TRACKS, VIDEO
from media.live.packets import OPUS_FORMAT
from media.live.playlists import AAC, AHEAD_MAX, INDEX, LivePlaylists
from media.live.shedding import SheddingTerms
from media.live.window import Entry, LiveWindow
from serve_apps.access.callers import find_caller
from serve_apps.access.grants import Grant, find_viewer, read_grant
from serve_apps.access.playback import OPEN_VISIBILITIES
from serve_apps.edge.aac_desk import AacDesk, AacShow
from serve_apps.edge.broadcasts import Broadcast, Broadcasts
from serve_apps.edge.hls_audience import HlsAudience, make_player
from serve_apps.edge.hls_relay import RELAYED, HlsRelay, pass_on
from serve_apps.edge.hls_words import (
    HlsOff,
    NothingNew,
    PartUnknown,
    RungOver,
    TooFarAhead,
    TooManyWait,
    name_media,
    read_directives,
    read_name,
)
from serve_apps.edge.ladder_desk import LadderDesk, is_rung, make_ladder_desk
from serve_apps.edge.ladder_show import ShownRung
from serve_apps.edge.live_shelf import LiveShelf, LiveUnknown
from serve_apps.edge.media_answers import (
    AUDIO_TYPE,
    IMMUTABLE,
    PLAYLIST_TYPE,
    VIDEO_TYPE,
    allow_everyone,
    answer_preflight,
    check_grant,
    send_bytes,
    send_object,
    send_text,
)
from serve_apps.edge.refusals import Handler, build_refusal
from storage.lives import LiveAccess
from storage.objects import ObjectStore

BLOCKED_MAX = 5000
"""Requests that may wait here at once, of all rooms."""
BLOCK_S = 3 * TARGET_DURATION_S
FIRST_WAIT_S = 6.0
"""How long the list of variants waits for a publisher's first segments."""
UPDATING = "public, max-age=1"
"""A cache may answer those who ask at the same moment; a blocking reload has its own address."""
BLOCKED = f"public, max-age={BLOCK_S}"
"""(B.1) what answered a blocking reload stays true for as long as one may wait for the next."""


@dataclass(frozen=True)
class LiveHlsPorts:
    """What serving needs."""

    settings: Settings
    edge_url: str
    clock: Clock
    objects: ObjectStore
    broadcasts: Broadcasts
    shelf: LiveShelf
    get_access: Callable[[uuid.UUID], Awaitable[LiveAccess]]
    """Raises NotFound, or that nobody can tell now."""
    audience: HlsAudience
    is_void: Callable[[Grant], bool]
    """Whether a grant has stopped counting (`GrantChecks`)."""
    shedding: SheddingTerms


class _Elsewhere(Exception):
    """The live comes in at another edge."""

    def __init__(self, room_id: uuid.UUID, edge_url: str) -> None:
        self.room_id = room_id
        self.edge_url = edge_url


@dataclass(frozen=True)
class _Shown:
    """A live that can be played: its window, and who fills it while it comes in here."""

    room_id: uuid.UUID
    window: LiveWindow
    playlists: LivePlaylists
    broadcast: Broadcast | None
    made: AacShow | ShownRung | None = None
    """Who makes the window's segments of those that the publisher sends."""

    @property
    def is_current(self) -> bool:
        """Whether the window may still change."""
        if self.made is not None:
            return not self.made.is_over
        return self.broadcast is not None and self.broadcast.window is self.window

    async def wait_change(self) -> None:
        """Return when the window changed."""
        changing = self.made or self.broadcast
        assert changing is not None, "what comes in elsewhere is not waited for"
        await changing.wait_change()


def add_live_routes(app: web.Application, ports: LiveHlsPorts) -> None:
    """Put /live/… and /t/{grant}/live/… on the edge."""
    desk = AacDesk(ports.clock, lives_max=ports.settings.edge.aac_lives_max)
    ladders = make_ladder_desk(ports.settings, ports.clock, ports.shedding)
    relay = HlsRelay(ports.clock)
    server = _LiveServer(ports, desk, ladders, relay)
    app.on_cleanup.append(lambda _app: desk.close())
    app.on_cleanup.append(lambda _app: ladders.close())
    app.on_cleanup.append(lambda _app: relay.close())
    for prefix in ("", "/t/{grant}"):
        base = prefix + "/live/{room_id}"
        routes = (
            (f"{base}/{INDEX}", server.send_master),
            (f"{base}/{{track}}/{INDEX}", server.send_track),
            (f"{base}/{{track}}/{{folder}}/{{name}}", server.send_media),
        )
        for path, handler in routes:
            app.router.add_get(path, server.answer(handler))
            app.router.add_route(hdrs.METH_OPTIONS, path, answer_preflight)


class _LiveServer:
    """The handlers, sharing the ports."""

    def __init__(
        self, ports: LiveHlsPorts, aac: AacDesk, ladders: LadderDesk, relay: HlsRelay
    ) -> None:
        self._ports = ports
        self._aac = aac
        self._ladders = ladders
        self._relay = relay
        self._blocked = 0

    def answer(self, handler: Handler) -> Handler:
        """Wrap a handler with the error bodies and the headers of every answer."""

        async def run(request: web.Request) -> web.StreamResponse:
            response: web.StreamResponse
            try:
                response = await self._answer(handler, request)
            except AppError as error:
                response = build_refusal(error, self._ports.clock.now())
            allow_everyone(response)
            return response

        return run

    async def _answer(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        """Answer from here, or with what the edge says where the live comes in."""
        try:
            return await handler(request)
        except _Elsewhere as elsewhere:
            names = request.match_info
            if "track" in names and "name" not in names:
                self._note_viewer(request, elsewhere.room_id)
            return await pass_on(self._relay, request, elsewhere.edge_url)

    async def send_master(self, request: web.Request) -> web.StreamResponse:
        """Send the list of variants; one that is about to begin is waited for."""
        shown = await self._open(request)
        self._watch(shown)
        rungs = self._ladders.list_variants(shown.room_id)
        body = shown.playlists.render_master(with_aac=self._has_aac(shown), rungs=rungs)
        return await send_text(request, PLAYLIST_TYPE, SharedText(body), UPDATING)

    async def send_track(self, request: web.Request) -> web.StreamResponse:
        """Send a track's playlist, once it has what the request waits for (§6.2.5)."""
        number, position = read_directives(request)
        shown, track = await self._open_track(request, is_playlist=True)
        self._note_shown(request, shown)
        if number is not None:
            newest, _parts = shown.window.get_edge(track)
            if number > newest + AHEAD_MAX:
                raise TooFarAhead
            window = shown.window
            await self._wait(shown, lambda: window.has_part(track, number, position))
            self._note_shown(request, shown)
        is_delta = request.query.get("_HLS_skip") in ("YES", "v2")
        text = shown.playlists.render(track, is_delta=is_delta)
        is_plain = number is None or shown.window.is_ended
        return await send_text(request, PLAYLIST_TYPE, text, UPDATING if is_plain else BLOCKED)

    async def send_media(self, request: web.Request) -> web.StreamResponse:
        """Send an init segment, a segment, or a part; one that was hinted at is waited for."""
        shown, track = await self._open_track(request, is_playlist=False)
        folder, name = request.match_info["folder"], request.match_info["name"]
        key, kind = name_media(request), AUDIO_TYPE if track == AUDIO else VIDEO_TYPE
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: kind, hdrs.CACHE_CONTROL: IMMUTABLE}
        init = shown.window.find_init(track, f"{folder}/{name}")
        if init is not None:
            if init.data:
                return send_bytes(request, init.data, key, headers)
            return await send_object(request, self._ports.objects, key, headers)
        number, position = read_name(name)
        if position is not None:
            data = await self._get_part(shown, track, (number, position), folder)
            return send_bytes(request, data, key, headers)
        entry = _get_entry(shown.window, track, number, folder)
        if entry.is_gap or not entry.is_whole:
            raise PartUnknown
        # A file goes out without a copy; a bucket need not be asked for what is here.
        is_filed = entry.is_stored and self._ports.objects.local_path(key) is not None
        if entry.parts and not is_filed:
            return send_bytes(request, entry.join(), key, headers)
        return await send_object(request, self._ports.objects, key, headers)

    async def _get_part(
        self, shown: _Shown, track: str, place: tuple[int, int], folder: str
    ) -> bytes:
        """Return a part's bytes; the one that comes next is waited for."""
        window, (number, position) = shown.window, place
        newest, parts = window.get_edge(track)
        is_hinted = (number == newest and position == parts) or (number, position) == (
            newest + 1,
            0,
        )
        if is_hinted:
            await self._wait(shown, lambda: window.has_part(track, number, position))
        entry = _get_entry(window, track, number, folder)
        if position >= len(entry.parts):
            raise PartUnknown
        return entry.parts[position].data

    async def _wait(self, shown: _Shown, is_there: Callable[[], bool]) -> None:
        """Return once something is there; raises NothingNew, TooManyWait."""
        if is_there():
            return
        if shown.broadcast is None:
            # Nothing comes in here: whoever waits learns soon where it does.
            await asyncio.sleep(1.0)
            raise NothingNew(retry_after_s=1)
        if self._blocked >= BLOCKED_MAX:
            raise TooManyWait(retry_after_s=1)
        self._blocked += 1
        try:
            async with asyncio.timeout(BLOCK_S):
                while not is_there():
                    if not shown.is_current:
                        is_rung_over = isinstance(shown.made, ShownRung)
                        raise RungOver if is_rung_over else NothingNew(retry_after_s=1)
                    await shown.wait_change()
        except TimeoutError as error:
            raise NothingNew(retry_after_s=1) from error
        finally:
            self._blocked -= 1

    # Which live, and who may see it

    async def _open_track(self, request: web.Request, *, is_playlist: bool) -> tuple[_Shown, str]:
        """Return what has a track, and the track's name in its window.

        AAC begins to be made when its playlist is asked for. Raises as `_open` does, PartUnknown,
        AacBusy, NothingNew.
        """
        shown, track = await self._open(request), request.match_info["track"]
        if is_playlist:
            self._watch(shown)
        if track in TRACKS:
            return shown, track
        if is_rung(track):
            return await self._open_rung(request, shown, is_playlist=is_playlist), VIDEO
        if track != AAC or shown.broadcast is None:
            raise PartUnknown
        # What was listed can be fetched after the publisher's sound has become AAC itself.
        aac = self._aac.find(shown.room_id)
        if is_playlist:
            has_aac = self._has_aac(shown)
            aac = self._aac.open(shown.broadcast, shown.window) if has_aac else None
        if aac is None:
            raise PartUnknown
        lane = aac.lane
        found = _Shown(shown.room_id, lane.window, lane.playlists, shown.broadcast, aac)
        await self._wait(found, lambda: aac.is_playable)
        return found, AUDIO

    async def _open_rung(self, request: web.Request, shown: _Shown, *, is_playlist: bool) -> _Shown:
        """Return what has a rung once there is a picture; raises RungOver, NothingNew.

        What was listed of one that was given up can still be fetched.
        """
        folder = None if is_playlist else request.match_info["folder"]
        rung = self._ladders.find(shown.room_id, request.match_info["track"], folder)
        if rung is None:
            raise RungOver
        track = rung.track
        found = _Shown(shown.room_id, track.window, track.playlists, shown.broadcast, rung)
        await self._wait(found, lambda: track.is_playable)
        return found

    def _watch(self, shown: _Shown) -> None:
        """Somebody watches: smaller pictures are made of what comes in here."""
        if shown.broadcast is not None:
            self._ladders.watch(shown.broadcast)

    def _has_aac(self, shown: _Shown) -> bool:
        """Say whether there can be AAC: a publisher's own is the only sound of its live."""
        sound = shown.window.get_last_sent(AUDIO)
        is_opus = sound is not None and sound.init.codec == OPUS_FORMAT.codec_name
        return self._aac.is_on and shown.broadcast is not None and is_opus

    async def _open(self, request: web.Request) -> _Shown:
        """Return the live of the address once it can be played.

        Raises LiveUnknown, HlsOff, why it is refused, or _Elsewhere.
        """
        room_id = parse_id(request.match_info["room_id"])
        if room_id is None:
            raise LiveUnknown
        await self._check_access(request, room_id)
        broadcast = self._ports.broadcasts.find(room_id)
        if broadcast is not None and not broadcast.has_hls:
            raise HlsOff
        if broadcast is not None and broadcast.is_on_air:
            await self._await_first(broadcast)
        if broadcast is not None and broadcast.is_playable:
            assert broadcast.window is not None, "a playable broadcast has a window"
            assert broadcast.playlists is not None, "and its playlists"
            return _Shown(room_id, broadcast.window, broadcast.playlists, broadcast)
        live = await self._ports.shelf.get(room_id)
        is_elsewhere = live.edge_url not in (None, self._ports.edge_url)
        if is_elsewhere:
            raise _Elsewhere(room_id, str(live.edge_url))
        if live.window is None or live.playlists is None:
            raise LiveUnknown(retry_after_s=1)
        return _Shown(room_id, live.window, live.playlists, None)

    async def _await_first(self, broadcast: Broadcast) -> None:
        """Give a publisher's first segments time to come."""
        try:
            async with asyncio.timeout(FIRST_WAIT_S):
                while broadcast.is_on_air and not broadcast.is_playable:
                    await broadcast.wait_change()
        except TimeoutError:
            return

    async def _check_access(self, request: web.Request, room_id: uuid.UUID) -> None:
        access = await self._ports.get_access(room_id)
        if access.visibility not in OPEN_VISIBILITIES:
            grant = self._read_grant(request)
            check_grant(grant, room_id, access.access_version, self._ports.is_void)

    def _read_grant(self, request: web.Request) -> Grant | None:
        text = request.match_info.get("grant")
        if text is None:
            return None
        key = self._ports.settings.auth.grant_public_key
        return read_grant(key, text, self._ports.clock.now())

    def _note_shown(self, request: web.Request, shown: _Shown) -> None:
        if not shown.window.is_ended:
            self._note_viewer(request, shown.room_id)

    def _note_viewer(self, request: web.Request, room_id: uuid.UUID) -> None:
        """Count who asks for a playlist that goes on; another edge is nobody."""
        if RELAYED in request.headers:
            return
        settings, text = self._ports.settings, request.match_info.get("grant")
        viewer = None if text is None else find_viewer(settings.auth.grant_public_key, text)
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
        caller = find_caller(request.remote or "", forwarded, settings.http.trusted_proxies)
        agent = request.headers.get(hdrs.USER_AGENT, "")
        self._ports.audience.note(make_player(room_id, viewer, caller=caller, agent=agent))


def _get_entry(window: LiveWindow, track: str, number: int, folder: str) -> Entry:
    entry = window.find_entry(track, number)
    if entry is None or entry.folder != folder:
        raise PartUnknown
    return entry
