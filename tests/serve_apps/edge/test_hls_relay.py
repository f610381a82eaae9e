"""Fetching other edges' HLS: once for all who ask, kept as long as it holds, bounded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from kit.clock import ManualClock
from serve_apps.edge.hls_relay import RELAYED, HlsRelay, OriginAway, pass_on
from serve_apps.edge.media_answers import PLAYLIST_TYPE

pytestmark = pytest.mark.media

IMMUTABLE = "public, max-age=31536000, immutable"
PLAYERS = 50


@dataclass
class Origin:
    """An edge that counts who asks, and answers when it may."""

    relay: HlsRelay
    clock: ManualClock
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    marked: set[str | None] = field(default_factory=set)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path_qs] += 1
        self.marked.add(request.headers.get(RELAYED))
        await self.may_answer.wait()
        if request.path.endswith("gone.m4s"):
            return web.json_response({"error": "media_not_found"}, status=404)
        if request.path.startswith("/t/ended/"):
            return web.json_response({"error": "grant_outdated"}, status=403)
        if request.path.endswith("moved.m3u8"):
            raise web.HTTPTemporaryRedirect("http://elsewhere/")
        cache = IMMUTABLE if request.path.endswith(".m4s") else "public, max-age=1"
        headers = {"Cache-Control": cache}
        body = request.path_qs.encode().ljust(1000, b"-")
        if request.path.endswith(".m3u8"):
            return web.Response(body=body * 2, content_type=PLAYLIST_TYPE, headers=headers)
        return web.Response(body=body, headers=headers)

    async def get(self, path: str, way: str = "") -> bytes:
        return (await self.relay.get(self.url, way, path)).body


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    clock = ManualClock()
    lent = Origin(HlsRelay(clock, kept_bytes_max=3500), clock)
    app = web.Application()
    app.router.add_get("/{path:.*}", lent.answer)
    server = TestServer(app)
    await server.start_server()
    lent.url = str(server.make_url("/")).rstrip("/")
    yield lent
    lent.may_answer.set()
    await lent.relay.close()
    await server.close()


async def test_those_who_ask_together_are_answered_by_one_request(origin: Origin) -> None:
    asking = [asyncio.create_task(origin.get("/live/a?_HLS_msn=7")) for _ in range(PLAYERS)]
    await asyncio.sleep(0)
    asking[0].cancel()  # who asked first goes away
    origin.may_answer.set()
    bodies = await asyncio.gather(*asking[1:])
    assert len(set(bodies)) == 1
    assert origin.asked == {"/live/a?_HLS_msn=7": 1}
    assert origin.marked == {"1"}


async def test_an_answer_is_kept_as_long_as_it_holds(origin: Origin) -> None:
    origin.may_answer.set()
    for _ in range(3):
        await origin.get("/live/a", way="/t/first")
        await origin.get("/live/0.m4s")
    assert origin.asked == {"/t/first/live/a": 1, "/live/0.m4s": 1}
    origin.clock.advance(1.5)
    await origin.get("/live/a")
    await origin.get("/live/0.m4s")
    assert origin.asked == {"/t/first/live/a": 1, "/live/a": 1, "/live/0.m4s": 1}


async def test_a_playlist_is_passed_on_to_all_with_one_hash_and_one_compression(
    origin: Origin,
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await pass_on(origin.relay, request, origin.url)

    async def fetch_all(known: str) -> set[tuple[int, bytes, str | None, str]]:
        async def fetch() -> tuple[int, bytes, str | None, str]:
            async with player.get(path, headers={"If-None-Match": known}) as got:
                said = got.headers
                return got.status, await got.read(), said.get("Content-Encoding"), said["ETag"]

        return set(await asyncio.gather(*(fetch() for _ in range(PLAYERS))))

    app, path = web.Application(), "/live/a/source/index.m3u8"
    app.router.add_get("/live/{room_id}/{track}/index.m3u8", answer)
    origin.may_answer.set()
    async with TestClient(TestServer(app)) as player:
        first, body = await fetch_all('"x"'), path.encode().ljust(1000, b"-") * 2
        tag = next(iter(first))[-1]
        assert first == {(200, body, "gzip", tag)}
        assert await fetch_all(tag) == {(304, b"", None, tag)}
    text = (await origin.relay.get(origin.url, "", path)).text
    assert text is not None, "it is a playlist"
    assert (text.hashed, text.compressed) == (1, 1)
    assert origin.asked == {path: 1}


async def test_what_is_kept_is_bounded_and_the_oldest_goes(origin: Origin) -> None:
    origin.may_answer.set()
    for number in range(4):
        await origin.get(f"/live/{number}.m4s")
    assert origin.relay.kept_bytes == 3000
    await origin.get("/live/3.m4s")
    await origin.get("/live/0.m4s")
    assert origin.asked == {
        "/live/0.m4s": 2,
        **{f"/live/{number}.m4s": 1 for number in range(1, 4)},
    }


async def test_a_refusal_is_passed_on_and_not_kept(origin: Origin) -> None:
    origin.may_answer.set()
    for _ in range(2):
        answer = await origin.relay.get(origin.url, "", "/live/gone.m4s")
        assert (answer.status, answer.kind) == (404, "application/json; charset=utf-8")
    assert origin.asked == {"/live/gone.m4s": 2}


async def test_who_waits_on_somebody_whose_right_ended_is_answered_by_their_own(
    origin: Origin,
) -> None:
    asking = [
        asyncio.create_task(origin.relay.get(origin.url, way, "/live/a"))
        for way in ("/t/ended", "/t/good", "/t/good")
    ]
    await asyncio.sleep(0)
    origin.may_answer.set()
    answers = await asyncio.gather(*asking)
    assert [answer.status for answer in answers] == [403, 200, 200]
    assert origin.asked == {"/t/ended/live/a": 1, "/t/good/live/a": 1}


async def test_who_moved_or_is_dead_is_away_for_now(origin: Origin) -> None:
    origin.may_answer.set()
    with pytest.raises(OriginAway):
        await origin.get("/live/moved.m3u8")
    with pytest.raises(OriginAway):
        await origin.relay.get("http://127.0.0.1:9", "", "/live/a")
