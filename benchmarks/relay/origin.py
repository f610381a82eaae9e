"""The origin of some lives, in this process, which is measured; the receiver is a child."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.children import Child, run_child
from benchmarks.frame import Answer
from kit.ids import make_id
from media.relay.outward import QUEUED_BYTES_LOW
from media.sfu.sdp import OfferedCodec
from media.sfu.session import LocalPublisher
from tests.media.sfu.packets import VP8_DELTA, VP8_KEY, make_rtp
from tests.serve_apps.edge.relay_edge import RelayEdge, make_keys

LIVES = 12
FPS = 30
PACKETS_PER_FRAME = 10
PAYLOAD_BYTES = 1040
QUIET_S = 0.3
TRIES_MAX = 5
VP8 = OfferedCodec(96, "VP8", 90000, None, (), frozenset())


@dataclass
class Camera:
    """One live's publisher."""

    session: LocalPublisher
    seq: int = 0
    frames: int = 0

    def shoot(self) -> list[bytes]:
        """Return the next frame's packets; every second begins with a keyframe."""
        start = VP8_KEY if self.frames % FPS == 0 else VP8_DELTA
        packets = []
        for at in range(PACKETS_PER_FRAME):
            head = start if at == 0 else b"\x00"
            last = at == PACKETS_PER_FRAME - 1
            payload = head.ljust(PAYLOAD_BYTES, b"x")
            marker = 0x80 if last else 0
            packets.append(
                make_rtp(self.seq, self.frames * 3000, payload, marker_and_type=marker | 96)
            )
            self.seq += 1
        self.frames += 1
        return packets


@dataclass
class Studio:
    """All cameras, sending in real time, or as fast as the other end takes it if that is slower."""

    edge: RelayEdge
    cameras: dict[str, Camera] = field(default_factory=dict)

    async def send(self, seconds: float) -> float:
        """Send for a while; returns the CPU seconds of this process."""
        loop = asyncio.get_running_loop()
        cpu_s, due_s = time.process_time(), loop.time()
        for _ in range(round(seconds * FPS)):
            for camera in self.cameras.values():
                self.edge.sfu.feed(camera.session, camera.shoot())
                await asyncio.sleep(0)  # lives come in by themselves, not all in one loop turn
            due_s += 1 / FPS
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            while self.edge.source.queued_bytes > QUEUED_BYTES_LOW:
                await asyncio.sleep(0.01)  # a relay would drop, rightly, and the work be another
        return time.process_time() - cpu_s


async def relay(way: str, seconds: float) -> Answer:
    """Send without relays, then with them; the work is to lose nothing.

    A link whose receiver did not get to run for a second has ended, and its lives came anew: that
    is another work, and done again.
    """
    for _ in range(TRIES_MAX):
        answer, links_lost = await try_relay(way, seconds)
        if not links_lost:
            break
        sys.stderr.write(f"relay: a link by {way} was lost; measured again …\n")
    return answer


async def try_relay(way: str, seconds: float) -> tuple[Answer, int]:
    """Return what was measured, and how many links were lost meanwhile."""
    with tempfile.TemporaryDirectory(prefix="sf-relay-") as name:
        folder = Path(name)
        if way == "tls":
            make_keys(folder)
        edge = RelayEdge(folder, "edge-0", way)
        place = await edge.start()
        studio = Studio(edge)
        for _ in range(LIVES):
            room_id = str(make_id())
            studio.cameras[room_id] = Camera(edge.sfu.publish_local(room_id, {"video": VP8}))
        await studio.send(1.0)  # warm
        alone_s = await studio.send(seconds)
        async with run_child("benchmarks.relay.receiver", name, way) as child:
            where = {"name": place.name, "incarnation": place.incarnation, "address": place.address}
            lives = {
                room_id: camera.session.session_id for room_id, camera in studio.cameras.items()
            }
            await child.ask({"place": where, "lives": lives})
            answer = await measure(studio, child, seconds, alone_s)
            links_lost = edge.source.lost
        await edge.close()
        return answer, links_lost


async def settle(child: Child) -> dict[str, float]:
    """Return what the receiver counts once nothing is on its way to it any more."""
    known: dict[str, float] = await child.ask({})
    while True:
        await asyncio.sleep(QUIET_S)
        answer: dict[str, float] = await child.ask({})
        if answer["packets"] == known["packets"]:
            return answer
        known = answer


async def measure(studio: Studio, child: Child, seconds: float, alone_s: float) -> Answer:
    """Send with relays and put the figures together."""
    await studio.send(0.5)
    before = await settle(child)
    relayed_s = await studio.send(seconds)
    wanted = LIVES * PACKETS_PER_FRAME * round(seconds * FPS)
    after = await child.ask({"packets": before["packets"] + wanted})
    packets = after["packets"] - before["packets"]
    figures = {
        "origin_cpu_us_per_packet": (relayed_s - alone_s) * 1e6 / packets,
        "receiver_cpu_us_per_packet": (after["cpu_s"] - before["cpu_s"]) * 1e6 / packets,
        "origin_ingest_us_per_packet": alone_s * 1e6 / wanted,
        "packets_per_s": packets / seconds,
    }
    return Answer(figures, "nothing lost" if packets == wanted else f"{wanted - packets} lost")
