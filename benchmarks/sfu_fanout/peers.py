"""The publisher and the viewers of a run, in a process of their own so that they cost it nothing.

Speaks JSON lines with `plane`: an offer out, an answer in; then `ready`; then what was sent and
what came.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

import uvloop

from media.sfu.rtcp import parse_rtcp
from tests.media.sfu.packets import make_rtp
from tests.media.sfu.peer import RtcPeer

KEYFRAME, DELTA = b"\x10\x00" + bytes(1086), b"\x10\x01" + bytes(1086)
FRAME_PACKETS = 4
CONNECT_TIMEOUT_S = 60.0
SETTLE_MAX_S = 5.0
AHEAD_MAX = 32
"""Packets under way to every viewer: a starved one's socket would drop, rightly, what is more."""


class CountingPeer(RtcPeer):
    """A viewer that counts media and leaves it encrypted, to be cheap."""

    count = 0

    def receive_media(self, data: bytes) -> None:
        """Count."""
        self.count += data[1] & 0x7F == 96


class AnsweringPublisher(RtcPeer):
    """A publisher that sends a keyframe when it is asked for one."""

    def take_wish(self) -> bool:
        """Tell whether a keyframe was asked for since the last call."""
        facts = [parse_rtcp(packet) for packet in self.rtcp]
        self.rtcp.clear()
        return any(fact.keyframe_ssrcs for fact in facts if fact is not None)


def exchange(message: dict[str, object]) -> dict[str, str]:
    """Tell the parent something and wait for its word."""
    print(json.dumps(message), flush=True)
    answer: dict[str, str] = json.loads(sys.stdin.readline())
    return answer


async def count_received(watching: list[CountingPeer], wanted: int, patience_s: float) -> int:
    """Return how many packets all have received, once that is enough or the patience has ended."""
    ends_s = time.monotonic() + patience_s
    while True:
        received = sum(peer.count for peer in watching)
        if received >= wanted or time.monotonic() > ends_s:
            return received
        await asyncio.sleep(0.01)


async def run_peers(viewers: int, seconds: float, packets_per_s: int) -> None:
    """Connect everybody, send at the given rate, report."""
    publisher = AnsweringPublisher(("VP8",), "sendonly")
    watching = [CountingPeer(("VP8",)) for _ in range(viewers)]
    for number, peer in enumerate([publisher, *watching]):
        answer = await asyncio.to_thread(exchange, {"role": number, "offer": peer.offer})
        await peer.connect(answer["answer"], CONNECT_TIMEOUT_S)
    await asyncio.to_thread(exchange, {"ready": True})
    started = time.monotonic()
    sent = 0
    while time.monotonic() - started < seconds:
        due = int((time.monotonic() - started) * packets_per_s)
        while sent < due:
            for _ in range(FRAME_PACKETS):
                payload = KEYFRAME if publisher.take_wish() or not sent else DELTA
                publisher.send_rtp(make_rtp(sent, sent * 750, payload, marker_and_type=96))
                sent += 1
            await count_received(watching, (sent - AHEAD_MAX) * viewers, SETTLE_MAX_S)
        await asyncio.sleep(FRAME_PACKETS / packets_per_s)
    received = await count_received(watching, sent * viewers, SETTLE_MAX_S)
    await asyncio.to_thread(exchange, {"sent": sent, "received": received})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("viewers", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("packets_per_s", type=int)
    flags = parser.parse_args()
    uvloop.run(run_peers(flags.viewers, flags.seconds, flags.packets_per_s))
