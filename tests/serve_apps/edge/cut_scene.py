"""A live at two edges whose publisher and viewers are cut off: who is in it, and when each ends.

Speaks with the product by its public addresses alone, so that the API may run in this process
(tests) or elsewhere (`benchmarks.cuts`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urljoin

import aiohttp
import httpx

from kit.clock import SystemClock
from serve_apps.access.identity import Role
from serve_apps.admin.service import change_role
from storage.database import Database
from tests.media.sfu.peer import RtcPeer
from tests.serve_apps.api_client import PASSWORD, Person
from tests.serve_apps.edge.edge_stage import Talker, connect_at
from tests.serve_apps.edge.films import FilmSender, publish_film
from tests.serve_apps.edge.live_publisher import publish_at
from tests.storage.waiting import wait_until

Name = TypeVar("Name")
DEADLINE_S = 60.0
LOOK_EVERY_S = 0.01
ASK_AGAIN = (409, 503)
SDP = {"Content-Type": "application/sdp"}


@dataclass(frozen=True)
class Viewer:
    """Somebody at one edge who watches by WebRTC and by HLS, and reads the chat."""

    edge: str
    http: aiohttp.ClientSession
    peer: RtcPeer
    playlist: str
    segment: str
    talker: Talker

    async def lose_webrtc(self) -> None:
        """Return when the edge ended the session."""
        await wait_until(lambda: self.peer.dtls.is_closed, DEADLINE_S)

    async def lose_hls(self) -> None:
        """Return when neither the playlist nor a segment it listed is answered."""
        async with asyncio.timeout(DEADLINE_S):
            for url in (self.playlist, self.segment):
                while await self._is_shown(url):
                    await asyncio.sleep(LOOK_EVERY_S)

    async def lose_chat(self) -> None:
        """Return when the socket was told that it follows the room no more."""
        await self.talker.wait(lambda: bool(self.talker.errors), DEADLINE_S)

    async def _is_shown(self, url: str) -> bool:
        async with self.http.get(url) as answer:
            return answer.status == 200


@dataclass
class CutScene:
    """People, two edges, and the lives that are cut; everything it opens ends with `stack`."""

    client: httpx.AsyncClient
    http: aiohttp.ClientSession
    owner: Person
    moderator: Person
    edges: tuple[str, str]
    stack: AsyncExitStack
    films: list[FilmSender] = field(default_factory=list)

    async def announce(self) -> dict[str, Any]:
        """Announce a live."""
        live: dict[str, Any] = await self.owner.post("/v1/live", {"title": "T"}, status=201)
        return live

    async def publish(self, way: str, live: dict[str, Any]) -> Callable[[], Awaitable[None]]:
        """Publish by "whip" or "rtmp"; returns what waits for the publisher's end."""
        publish = self.publish_whip if way == "whip" else self.publish_rtmp
        return await publish(live)

    async def publish_whip(self, live: dict[str, Any]) -> Callable[[], Awaitable[None]]:
        """Publish by the API's WHIP address; returns what waits for the publisher's end."""
        headers = {"Authorization": f"Bearer {live['stream_key']}", **SDP}
        address = await self.find_edge("POST", "/whip", headers=headers)
        publisher = await self.stack.enter_async_context(publish_at(address, {}))
        publisher.speed = 1
        await self.await_status(live, "live")
        return lambda: wait_until(lambda: publisher.peer.dtls.is_closed, DEADLINE_S)

    async def publish_rtmp(self, live: dict[str, Any]) -> Callable[[], Awaitable[None]]:
        """Publish with FFmpeg by the live's RTMP address; returns the same."""
        url = f"{live['ingest']['rtmp']}/{live['stream_key']}"
        film = await publish_film(url)
        self.films.append(film)
        await self.await_status(live, "live")

        async def lose() -> None:
            assert not (await film.end()).startswith("0\n"), "FFmpeg says that it was cut off"

        return lose

    async def close_films(self) -> None:
        """End what still publishes by RTMP."""
        await asyncio.gather(*(film.close() for film in self.films))

    async def watch(self, live: dict[str, Any], edge: str) -> Viewer:
        """Enter in every way, at this edge."""
        (other,) = set(self.edges) - {edge}
        params = {"avoid": other}
        place = edge.partition("://")[2]
        async with asyncio.timeout(DEADLINE_S):
            while True:  # the API hears of an edge up to a second after it began
                index = await self.find_edge("GET", f"/live/{live['id']}/index.m3u8", params=params)
                joined = await self.client.post(f"/v1/live/{live['id']}/join", params=params)
                socket = joined.json()["chat"]["socket"] if joined.is_success else ""
                if all(url.partition("://")[2].startswith(place) for url in (index, socket)):
                    break
                await asyncio.sleep(0.1)
        talker = await self.stack.enter_async_context(connect_at(socket))
        await talker.subscribe(f"room:{live['id']}")
        peer = await self._enter(live, edge, params)
        playlist = urljoin(index, "source/index.m3u8")
        return Viewer(edge, self.http, peer, playlist, await self._find_segment(playlist), talker)

    async def await_status(self, live: dict[str, Any], status: str) -> None:
        """Wait until the room says what became of the live."""
        async with asyncio.timeout(DEADLINE_S):
            while (await self.owner.get(f"/v1/live/{live['id']}"))["status"] != status:
                await asyncio.sleep(0.05)

    async def find_edge(self, method: str, path: str, **options: Any) -> str:
        """Return where the API sends a client; it is asked again until the live is on air."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                answer = await self.client.request(method, path, follow_redirects=False, **options)
                if answer.status_code == 307:
                    return answer.headers["Location"]
                assert answer.status_code in ASK_AGAIN, answer.text
                await asyncio.sleep(0.1)

    async def _enter(self, live: dict[str, Any], edge: str, params: dict[str, str]) -> RtcPeer:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                peer = RtcPeer(("H264", "opus"))
                url = await self.find_edge("POST", f"/whep/{live['id']}", params=params)
                assert url.startswith(edge), "a viewer is sent where it did not fail"
                async with self.http.post(url, data=peer.offer, headers=SDP) as answer:
                    if answer.status == 201:
                        await peer.connect(await answer.text())
                        self.stack.callback(peer.close, politely=False)
                        return peer
                    assert answer.status in ASK_AGAIN, await answer.text()
                await asyncio.sleep(0.1)

    async def _find_segment(self, playlist: str) -> str:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                async with self.http.get(playlist) as answer:
                    lines = (await answer.text()).splitlines() if answer.status == 200 else []
                for line in lines:
                    if line.endswith(".m4s"):
                        return urljoin(playlist, line)
                await asyncio.sleep(0.1)


async def time_losses(
    cut: Awaitable[Any], losses: Mapping[Name, Callable[[], Awaitable[None]]]
) -> dict[Name, float]:
    """Cut, and return the seconds from the request on until each was lost, by name."""
    began_s = time.monotonic()

    async def take(lose: Callable[[], Awaitable[None]]) -> float:
        await lose()
        return time.monotonic() - began_s

    taken = [asyncio.create_task(take(lose)) for lose in losses.values()]
    await cut
    return dict(zip(losses, await asyncio.gather(*taken), strict=True))


async def make_moderator(database: Database, client: httpx.AsyncClient, person: Person) -> Person:
    """Appoint a moderator of the site; return them logged in as one."""
    async with database.transaction() as connection:
        await change_role(connection, None, person.username, Role.MODERATOR, SystemClock().now())
    body = {"login": person.username, "password": PASSWORD}
    tokens = (await client.post("/v1/auth/login", json=body)).json()
    return Person(
        client, person.id, person.username, tokens["access_token"], tokens["refresh_token"]
    )
