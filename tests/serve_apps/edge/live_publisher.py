"""A publisher over WHIP that sends made-up H.264 in real time.

It answers requests for keyframes, and repeats pictures' packets as they were (no RTX).
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import aiohttp

from kit.clock import SystemClock
from kit.settings import Settings
from media.live.packets import OPUS_SILENCE
from media.sfu.rtcp import parse_rtcp
from serve_apps.access.grants import TicketKind, TicketOrder, issue_ticket
from serve_apps.access.stream_keys import KEY_CLAIM
from serve_apps.edge.server import EdgeServer
from storage.lives import mark_stream_key
from tests.media.live.packets_stage import Camera
from tests.media.sfu.impaired_link import ImpairedLink
from tests.media.sfu.packets import make_rtp
from tests.media.sfu.peer import CODECS, RtcPeer
from tests.storage.live_rows import make_stream_key

FPS = 30
PICTURE_SSRC = 9
REMEMBERED_PACKETS = 1000
DEADLINE_S = 60
ASK_AGAIN = (429, 503)
SPEED = 4
"""A second of the programme takes a quarter of one; its wall clock is told by timestamps alone."""


@dataclass
class Publisher:
    """Sends until it is stopped."""

    peer: RtcPeer
    session_url: str
    camera: Camera = field(default_factory=lambda: Camera(index=0, timestamp=1000))
    sent: int = 0
    speed: float = SPEED
    picture_bytes: int = 900
    picture_type: int = CODECS["H264"][0]
    """The payload type of its pictures, which are H.264 whatever it says."""
    _packets: dict[int, bytes] = field(default_factory=dict)
    """The newest ones of its pictures, by number."""

    async def run(self) -> None:
        """Send pictures and sound."""
        wants_key, seq, tone = True, 0, 0
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            facts = [parse_rtcp(packet) for packet in self.peer.rtcp]
            self.peer.rtcp.clear()
            wants_key |= any(fact.keyframe_ssrcs for fact in facts if fact)
            self._repeat(nack for fact in facts if fact for nack in fact.nacks)
            for packet in self.camera.shoot(is_key=wants_key, size=self.picture_bytes):
                marker = 0x80 if packet.marker else 0
                kind = self.picture_type | marker
                self._packets[seq] = make_rtp(
                    seq, packet.timestamp, packet.payload, ssrc=PICTURE_SSRC, marker_and_type=kind
                )
                self._packets.pop((seq - REMEMBERED_PACKETS) & 0xFFFF, None)
                self.peer.send_rtp(self._packets[seq])
                seq = (seq + 1) & 0xFFFF
            wants_key = False
            self.sent += 1
            while tone * 960 <= self.sent * 1600:
                self.peer.send_rtp(
                    make_rtp(tone, tone * 960, OPUS_SILENCE, marker_and_type=111, ssrc=5)
                )
                tone += 1
            due_s = max(due_s + 1 / FPS / self.speed, loop.time() - 1)
            await asyncio.sleep(max(0.0, due_s - loop.time()))

    def _repeat(self, nacks: Iterable[tuple[int, list[int]]]) -> None:
        for ssrc, seqs in nacks:
            for seq in seqs:
                if ssrc == PICTURE_SSRC and seq in self._packets:
                    self.peer.send_rtp(self._packets[seq])


def sign_publisher(
    settings: Settings, edge_url: str, room_id: uuid.UUID, stream_key: str = ""
) -> str:
    """Sign a publisher's ticket as the API does, for the key that a test's room has by itself."""
    claims = {KEY_CLAIM: mark_stream_key(stream_key or make_stream_key(room_id))}
    order = TicketOrder(TicketKind.WHIP, room_id, edge_url, claims=claims)
    return issue_ticket(settings.auth, order, SystemClock().now())


async def _offer(
    http: aiohttp.ClientSession, url: str, offer: str, headers: dict[str, str]
) -> tuple[str, str]:
    """Return the answer and the session's address; asks again where that cannot be had yet."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with http.post(url, data=offer, headers=headers) as answer:
                if answer.status == 201:
                    return await answer.text(), answer.headers["Location"]
                assert answer.status in ASK_AGAIN, await answer.text()
            await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def publish_at(
    url: str,
    headers: dict[str, str],
    codecs: tuple[str, ...] = (),
    link: ImpairedLink | None = None,
) -> AsyncIterator[Publisher]:
    """Publish to a WHIP address, over a link, until the block ends; then say goodbye."""
    peer = RtcPeer(codecs or ("H264", "opus"), direction="sendonly")
    headers = {"Content-Type": "application/sdp", **headers}
    async with aiohttp.ClientSession() as http:
        sdp, session_url = await _offer(http, url, peer.offer, headers)
        await peer.connect(sdp if link is None else link.redirect(sdp))
        publisher = Publisher(peer, session_url)
        if codecs:
            publisher.picture_type = CODECS[codecs[0]][0]
        sending = asyncio.create_task(publisher.run())
        try:
            yield publisher
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            async with http.delete(publisher.session_url):
                peer.close(politely=False)


@contextlib.asynccontextmanager
async def publish(
    settings: Settings,
    edge: EdgeServer,
    room_id: uuid.UUID,
    codecs: tuple[str, ...] = (),
    *,
    stream_key: str = "",
    link: ImpairedLink | None = None,
) -> AsyncIterator[Publisher]:
    """Publish to a room of an edge until the block ends."""
    ticket = sign_publisher(settings, edge.address.url, room_id, stream_key)
    url = f"{edge.address.url}/whip?ticket={ticket}"
    async with publish_at(url, {}, codecs, link) as publisher:
        yield publisher
