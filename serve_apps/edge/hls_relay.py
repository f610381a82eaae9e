"""HLS of lives that come in at another edge: each answer is fetched there once, for all who ask.

What an edge of HLS answers is the same for everyone who may see the live, and says how long it
holds: this is a cache in front of the edge where the live comes in. Who may see it is decided here,
per request, before; the other edge decides once more, by the right of whoever asked first.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from aiohttp import hdrs, web

from kit.clock import Clock
from kit.errors import Unavailable
from kit.logs import get_log
from kit.metrics import HLS_RELAY_ANSWERS, HLS_RELAY_BYTES
from kit.shared_text import SharedText
from media.live.playlists import INDEX
from serve_apps.edge.hls_words import name_media
from serve_apps.edge.media_answers import PLAYLIST_TYPE, MediaMissing, send_bytes, send_text

log = get_log("edge.hls_relay")

RELAYED = "X-Socialflow-Relayed"
"""Marks a request of an edge: it is not a viewer, and is not sent on again."""
KEPT_BYTES_MAX = 64 << 20
"""What an edge keeps of other edges' lives, all together; playlists compressed, about an eighth of
their size, come on top."""
BODY_MAX_BYTES = 32 << 20
FETCHES_MAX = 1_000
"""Fetches at once, all lives together; each answers any number of players."""
CONNECTIONS_MAX = 200
FETCH_TIMEOUT = aiohttp.ClientTimeout(total=30.0, sock_connect=2.0)
"""More than a blocking reload waits."""
TRIES = 3
OK = 200
FORBIDDEN = 403
NAMES = ("room_id", "track", "folder", "name")
DIRECTIVES = ("_HLS_msn", "_HLS_part", "_HLS_skip")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_DIRECTIVE = re.compile(r"\d{1,9}|YES|v2")
_AGE = re.compile(r"max-age=(\d{1,9})")


class OriginAway(Unavailable):
    """The edge where the live comes in does not answer; where it is now is known in a second."""

    code, message = "live_origin_away", "The live cannot be reached now; ask again."


class TooManyFetches(Unavailable):
    """This edge fetches as much as it may."""

    code, message = "too_many_wait", "Too many players wait here; ask again."


@dataclass(frozen=True, slots=True)
class Fetched:
    """An edge's answer."""

    status: int
    kind: str
    """Content type."""
    cache: str
    """Cache-Control."""
    retry_after: str | None
    body: bytes
    text: SharedText | None
    """Of a playlist: the body, for all whom it is passed on to."""


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Fetched
    until_s: float
    """Monotonic."""


class HlsRelay:
    """All that this edge fetches; `close` ends its use."""

    def __init__(self, clock: Clock, kept_bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._clock = clock
        self._kept_bytes_max = kept_bytes_max
        self._http: aiohttp.ClientSession | None = None
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_bytes = 0
        self._fetches: dict[str, asyncio.Task[Fetched]] = {}

    async def close(self) -> None:
        """End what is under way."""
        for task in list(self._fetches.values()):
            task.cancel()
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    @property
    def kept_bytes(self) -> int:
        """What is kept now."""
        return self._kept_bytes

    async def get(self, edge_url: str, way: str, path: str) -> Fetched:
        """Return what an edge answers to a path (query included) below its root.

        `way` is what the first to ask put before it, `/t/{grant}` or nothing. Raises OriginAway,
        TooManyFetches.
        """
        for _ in range(TRIES):
            answer, is_own = await self._ask(edge_url, way, path)
            if is_own or answer.status != FORBIDDEN:
                break
            # It was the first one's right that ended meanwhile, not that of whoever waits here.
        return answer

    # Within

    async def _ask(self, edge_url: str, way: str, path: str) -> tuple[Fetched, bool]:
        """Return what is kept or fetched, and whether it was asked for by this right."""
        key = edge_url + path
        kept = self._kept.get(key)
        if kept is not None:
            if kept.until_s > self._clock.monotonic_s():
                self._kept.move_to_end(key)
                HLS_RELAY_ANSWERS.labels("kept").inc()
                return kept.answer, True
            self._drop(key)
        task = self._fetches.get(key)
        is_own = task is None
        HLS_RELAY_ANSWERS.labels("fetched" if is_own else "shared").inc()
        if task is None:
            if len(self._fetches) >= FETCHES_MAX:
                raise TooManyFetches(retry_after_s=1)
            task = asyncio.create_task(self._fetch(key, edge_url + way + path), name="hls-relay")
            self._fetches[key] = task
            task.add_done_callback(self._forget(key))
        # Shielded: a player that goes away must not take the others' answer with it.
        return await asyncio.shield(task), is_own

    def _forget(self, key: str) -> Callable[[asyncio.Task[Fetched]], None]:
        def forget(task: asyncio.Task[Fetched]) -> None:
            self._fetches.pop(key, None)
            if not task.cancelled():
                task.exception()  # whoever waited was told; perhaps nobody did any more

        return forget

    async def _fetch(self, key: str, url: str) -> Fetched:
        try:
            async with self._open().get(url, allow_redirects=False) as response:
                body = await _read(response)
                is_playlist = response.content_type == PLAYLIST_TYPE
                answer = Fetched(
                    response.status,
                    response.headers.get(hdrs.CONTENT_TYPE, "application/octet-stream"),
                    response.headers.get(hdrs.CACHE_CONTROL, "no-store"),
                    response.headers.get(hdrs.RETRY_AFTER),
                    body,
                    SharedText(body) if is_playlist else None,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("hls_relay.origin_away", error=type(error).__name__)
            raise OriginAway(retry_after_s=1) from error
        if 300 <= answer.status < 400:  # it does not come in there any more
            raise OriginAway(retry_after_s=1)
        HLS_RELAY_BYTES.inc(len(body))
        if answer.status == 200:
            self._keep(key, answer)
        return answer

    def _open(self) -> aiohttp.ClientSession:
        """Return the pool of connections; most edges never need it."""
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                timeout=FETCH_TIMEOUT,
                headers={RELAYED: "1"},
            )
        return self._http

    def _keep(self, key: str, answer: Fetched) -> None:
        """Keep an answer for as long as it says that it holds."""
        age = _AGE.search(answer.cache)
        if age is None or "no-store" in answer.cache or "no-cache" in answer.cache:
            return
        until_s = self._clock.monotonic_s() + int(age[1])
        self._drop(key)
        self._kept[key] = _Kept(answer, until_s)
        self._kept_bytes += len(answer.body)
        while self._kept_bytes > self._kept_bytes_max:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._kept_bytes -= len(kept.answer.body)


async def pass_on(relay: HlsRelay, request: web.Request, edge_url: str) -> web.StreamResponse:
    """Answer a request of /live/… as the edge does where the live comes in.

    Raises MediaMissing for what no playlist can name, OriginAway, TooManyFetches.
    """
    if RELAYED in request.headers:
        raise OriginAway(retry_after_s=1)  # both edges take the other one for its origin
    grant = request.match_info.get("grant")
    way = "" if grant is None else f"/t/{grant}"
    answer = await relay.get(edge_url, way, _write_path(request))
    if answer.status != OK:
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: answer.kind, hdrs.CACHE_CONTROL: "no-store"}
        if answer.retry_after is not None:
            headers[hdrs.RETRY_AFTER] = answer.retry_after
        return web.Response(status=answer.status, body=answer.body, headers=headers)
    if answer.text is not None:
        return await send_text(request, PLAYLIST_TYPE, answer.text, answer.cache)
    kind = answer.kind.partition(";")[0]
    shown: dict[str, str] = {hdrs.CONTENT_TYPE: kind, hdrs.CACHE_CONTROL: answer.cache}
    return send_bytes(request, answer.body, name_media(request), shown)


def _write_path(request: web.Request) -> str:
    """Write the request's path without the right in it, and of its query what has a meaning."""
    names = [request.match_info[name] for name in NAMES if name in request.match_info]
    if not all(map(_NAME.fullmatch, names)):
        raise MediaMissing
    if "name" not in request.match_info:
        names.append(INDEX)
    query = [
        f"{name}={value}"
        for name in DIRECTIVES
        if _DIRECTIVE.fullmatch(value := request.query.get(name, ""))
    ]
    return f"/live/{'/'.join(names)}" + (f"?{'&'.join(query)}" if query else "")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read a body of bounded size; raises ClientPayloadError for a larger one."""
    body = bytearray()
    async for piece in response.content.iter_chunked(1 << 18):
        body += piece
        if len(body) > BODY_MAX_BYTES:
            raise aiohttp.ClientPayloadError("larger than any segment")
    return bytes(body)
