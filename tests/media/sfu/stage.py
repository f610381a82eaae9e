"""A running `Sfu` on loopback with its events recorded, and real encoded pictures to send."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder

from kit.clock import ManualClock
from media.sfu.options import PacketFact, SessionAnswer, SfuOptions
from media.sfu.server import Sfu
from media.sfu.session import ViewerSession
from tests.media.sfu.packets import make_rtp
from tests.media.sfu.peer import CODECS, RtcPeer

LOOPBACK = SfuOptions(bind_host="127.0.0.1", port=0)
PAUSE_MAX_S = 0.2
"""Several times as long as the plane takes between two looks at the clock."""


class RunningClock(ManualClock):
    """Runs with the event loop, and can be moved forward besides.

    Of a pause of this whole process little counts: everybody whom the plane would give up paused.
    """

    _ran_s = 0.0
    _looked_s = float("inf")

    def monotonic_s(self) -> float:
        """Return the time that the loop ran plus what was advanced."""
        now_s = asyncio.get_running_loop().time()
        self._ran_s += min(max(0.0, now_s - self._looked_s), PAUSE_MAX_S)
        self._looked_s = now_s
        return super().monotonic_s() + self._ran_s


@dataclass
class EventLog:
    """Remembers what the forwarding plane announced, in order."""

    events: list[tuple[str, ...]] = field(default_factory=list)

    def on_publisher_ready(self, room_id: str, session_id: str) -> None:
        self.events.append(("publisher_ready", room_id, session_id))

    def on_publisher_connected(self, room_id: str, session_id: str) -> None:
        self.events.append(("publisher_connected", room_id, session_id))

    def on_publisher_lost(self, room_id: str, session_id: str, reason: str) -> None:
        self.events.append(("publisher_lost", room_id, session_id, reason))

    def on_viewer_connected(self, room_id: str, session_id: str) -> None:
        self.events.append(("viewer_connected", room_id, session_id))

    def on_viewer_left(self, room_id: str, session_id: str, reason: str) -> None:
        self.events.append(("viewer_left", room_id, session_id, reason))

    def list_ends(self, name: str) -> list[str]:
        """Return the reasons of all events of one name."""
        return [event[-1] for event in self.events if event[0] == name]


@dataclass
class Stage:
    """The plane under test and everybody who met it; `close` ends them all."""

    sfu: Sfu
    clock: RunningClock
    log: EventLog
    facts: list[PacketFact]
    peers: list[RtcPeer] = field(default_factory=list)

    async def publish(
        self, codecs: tuple[str, ...] = ("VP8", "opus"), room_id: str = "r"
    ) -> tuple[RtcPeer, SessionAnswer]:
        """Connect a publisher."""
        return await self._connect(RtcPeer(codecs, "sendonly"), self.sfu.publish, room_id)

    async def watch(
        self, codecs: tuple[str, ...] = ("VP8", "opus"), room_id: str = "r"
    ) -> tuple[RtcPeer, SessionAnswer]:
        """Connect a viewer."""
        return await self._connect(RtcPeer(codecs), self.sfu.watch, room_id)

    async def _connect(
        self, peer: RtcPeer, take: Callable[[str, str], SessionAnswer], room_id: str
    ) -> tuple[RtcPeer, SessionAnswer]:
        self.peers.append(peer)
        answer = take(room_id, peer.offer)
        await peer.connect(answer.sdp)
        await wait_until(lambda: self.is_connected(answer.session_id))
        return peer, answer

    def is_connected(self, session_id: str) -> bool:
        """Tell whether the plane sees a session as connected."""
        return any(s.session_id == session_id and s.is_connected for s in self.sfu.list_sessions())

    async def close(self) -> None:
        """End everything."""
        for peer in self.peers:
            peer.close(politely=False)
        await self.sfu.close()


async def start_stage(options: SfuOptions = LOOPBACK) -> Stage:
    """Start a plane on a free loopback port."""
    clock, log = RunningClock(), EventLog()
    facts: list[PacketFact] = []
    sfu = Sfu(replace(options, packet_observer=facts.append), clock, log)
    await sfu.start()
    return Stage(sfu, clock, log, facts)


async def renew_proofs(sfu: Sfu) -> None:
    """Ask each viewer whether it still is where it is sent to, until all have answered."""
    viewers = [one for one in sfu._sessions.values() if isinstance(one, ViewerSession)]
    assert viewers, "somebody watches"
    asked_s = sfu._now()
    async with asyncio.timeout(60):
        while any(viewer.agent.proven_at_s < asked_s for viewer in viewers):
            for viewer in viewers:
                viewer.send(sfu._ice.renew(viewer.agent, sfu._now()))
            await asyncio.sleep(0.02)


async def wait_until(is_true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for something the plane does; fails when it does not come."""
    async with asyncio.timeout(timeout_s):
        while not is_true():
            await asyncio.sleep(0.01)


def digest(payload: bytes) -> bytes:
    """Return what a PacketFact holds of a payload."""
    return hashlib.sha256(payload).digest()


class FrameSource:
    """Encodes a moving test picture and cuts it into RTP, as a publisher would."""

    def __init__(self, codec: str, ssrc: int = 0x1000) -> None:
        self._payload_type = CODECS[codec][0]
        self._encoder: Encoder = H264Encoder() if codec == "H264" else Vp8Encoder()
        self._ssrc = ssrc
        self._seq = 65_000  # The wrap comes within a few seconds.
        self._number = 0
        self._pictures = iterate_pictures()

    def make_frame(self, *, is_keyframe: bool = False) -> list[bytes]:
        """Return the packets of the next frame."""
        picture = next(self._pictures)
        picture.pts = self._number * 3000
        picture.time_base = Fraction(1, 90_000)
        payloads, _ = self._encoder.encode(picture, force_keyframe=is_keyframe)
        packets = []
        for at, payload in enumerate(payloads):
            marker = 0x80 if at == len(payloads) - 1 else 0
            packets.append(
                make_rtp(
                    self._seq,
                    self._number * 3000,
                    payload,
                    ssrc=self._ssrc,
                    marker_and_type=marker | self._payload_type,
                )
            )
            self._seq = (self._seq + 1) & 0xFFFF
        self._number += 1
        return packets


def iterate_pictures() -> Iterator[av.VideoFrame]:
    """Yield FFmpeg's moving test picture without end."""
    with av.open("testsrc=size=320x180:rate=30", format="lavfi") as source:
        for picture in source.decode(video=0):
            yield picture.reformat(format="yuv420p")
