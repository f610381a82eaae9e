"""A live that comes in at one node and is watched at another; then the first of them dies."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.e2e.load import FAILURES, TOO_BUSY, Account, end_live, insist
from tests.e2e.test_live_recording_kills import await_listed, read_recording
from tests.media.playlist_reading import Listing
from tests.media.sfu.peer import RtcPeer
from tests.product import Product
from tests.serve_apps.edge.live_publisher import publish_at
from tests.storage.waiting import wait_until

DEADLINE_S = 60
SDP = {"Content-Type": "application/sdp"}


class NodeLive:
    """Whoever makes one calls `begin`, kills the second node, then `go_on` and `end`."""

    def __init__(
        self, http: aiohttp.ClientSession, head: Product, second: Product, owner: Account
    ) -> None:
        self._http = http
        self._head = head
        self._edges = (name_edge(head), name_edge(second))
        self._owner = owner
        self._live: dict[str, Any] = {}
        self._sending = AsyncExitStack()
        self.kept: list[str] = []
        """Addresses of the segments that were listed before the second node died."""

    async def begin(self) -> None:
        """Publish at the second node; return once the head's viewers have it both ways."""
        place = f"{self._head.url}/v1/live"
        status, self._live = await insist(
            self._http, "POST", place, json={"title": "Two nodes"}, headers=self._owner.headers
        )
        assert status == 201, self._live
        at_head, at_second = self._edges
        async with asyncio.timeout(DEADLINE_S):
            while not await self._is_sent_to(at_second, avoid=at_head):
                await asyncio.sleep(0.2)  # the API has not heard of that edge yet
        publisher = await self._sending.enter_async_context(self._publish(avoid=at_head))
        publisher.speed = 1
        assert is_at(publisher.session_url, at_second)
        await self._watch(avoid=at_second)
        listing = await await_listed(self._http, self._head, self._live["id"], "1")
        self.kept = [segment.address for segment in listing.segments if segment.address]

    async def go_on(self) -> Listing:
        """Publish at the head, now that the second node is dead; return what is listed then."""
        with contextlib.suppress(*FAILURES):  # its goodbye finds nobody
            await self._sending.aclose()
        await asyncio.sleep(1.5)  # what is shorter is no gap
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    async with self._publish(avoid=self._edges[1]) as publisher:
                        publisher.speed = 1
                        assert is_at(publisher.session_url, self._edges[0])
                        await self._watch(avoid=self._edges[1])
                        return await await_listed(self._http, self._head, self._live["id"], "2")
                except (*FAILURES, AssertionError):
                    await asyncio.sleep(0.5)  # its room is on its way to another host

    async def end(self) -> Listing:
        """End it; return the playlist of its recording."""
        async with asyncio.timeout(DEADLINE_S):
            recording_id = await end_live(self._http, self._head.url, self._live["id"], self._owner)
        address = f"{self._head.url}/v1/videos/{recording_id}"
        _status, video = await insist(self._http, "GET", address)
        return await read_recording(self._http, video)

    async def _is_sent_to(self, edge: str, avoid: str) -> bool:
        """Say whether the API would have a publisher come in at this edge."""
        address = f"{self._head.url}/whip?avoid={avoid}"
        headers = {"Authorization": f"Bearer {self._live['stream_key']}", **SDP}
        with contextlib.suppress(*FAILURES):
            asked = self._http.post(address, headers=headers, allow_redirects=False)
            async with asked as answer:
                return is_at(answer.headers.get("Location", ""), edge)
        return False

    def _publish(self, avoid: str) -> contextlib.AbstractAsyncContextManager[Any]:
        key = {"Authorization": f"Bearer {self._live['stream_key']}"}
        return publish_at(f"{self._head.url}/whip?avoid={avoid}", key)

    async def _watch(self, avoid: str) -> None:
        """Watch by WebRTC, at another edge than this, until pictures and sound have come."""
        viewer = RtcPeer(("H264", "opus"))
        url = f"{self._head.url}/whep/{self._live['id']}?avoid={avoid}"
        async with asyncio.timeout(DEADLINE_S):
            while True:
                async with self._http.post(url, data=viewer.offer, headers=SDP) as answer:
                    said = await answer.text()
                if answer.status == 201:
                    break
                # Nothing has come of it yet, or this edge has not heard that it came elsewhere.
                assert answer.status in (409, *TOO_BUSY), said
                await asyncio.sleep(0.2)
        assert is_at(answer.headers["Location"], self._edges[0])
        await viewer.connect(said)
        await wait_until(lambda: len(viewer.rtp) > 100)
        viewer.close(politely=False)


def name_edge(product: Product) -> str:
    """Return the address of a node's only edge."""
    edge = product.settings.edge
    return f"http://{edge.public_host}:{edge.port}"


def is_at(session: str, edge: str) -> bool:
    """Whether a session's address is at this edge."""
    return urlsplit(session).netloc == urlsplit(edge).netloc
