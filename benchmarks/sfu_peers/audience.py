"""The feed and the viewers of a run, in a process of their own so that they cost no server a thing.

Viewers' sockets drop media in the kernel and it counts what it dropped: only the server is
measured. Speaks JSON lines with the parent: an offer out and an answer in, or, where the server
offers, the other way round; then `joined`, `ready` and the counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvloop

from benchmarks.sfu_peers.load import ALL_LOADS, FPS, WARM_UP_S, Load
from media.sfu.stun import build_binding_response
from tests.media.sfu.packets import make_rtp
from tests.media.sfu.peer import RtcPeer

CONSENT_EVERY_S = 2.5
CONNECT_TIMEOUT_S = 60.0
SETTLE_S = 0.4
DELIVERY_TIMEOUT_S = 10.0
PAYLOAD_TYPE = 102
KEYFRAME_FRAMES = 2 * FPS
SO_ATTACH_FILTER = 26
BINDING_REQUEST, BINDING_SUCCESS = b"\x00\x01", b"\x01\x01"
FIRST_BYTE_OF_DTLS = 20

# Classic BPF over UDP header and payload: drop RTP (first byte 128..191, second not 192..223).
_LOAD_BYTE, _JUMP_GE, _RETURN = 0x30, 0x35, 0x06
_FILTER = (
    (_LOAD_BYTE, 0, 0, 8),
    (_JUMP_GE, 0, 5, 128),
    (_JUMP_GE, 4, 0, 192),
    (_LOAD_BYTE, 0, 0, 9),
    (_JUMP_GE, 0, 1, 192),
    (_JUMP_GE, 0, 1, 224),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, 0xFFFF),
)


class Viewer(RtcPeer):
    """A viewer that keeps consent as browsers do, and reads no media."""

    port = 0

    async def open(self, exchange: Callable[[dict[str, object]], dict[str, str]]) -> None:
        """Join, by an offer of ours or of the server's."""
        reply = await asyncio.to_thread(exchange, {"offer": self.offer})
        if "offer" in reply:
            await asyncio.to_thread(exchange, {"answer": self.answer_offer(reply["offer"])})
        await self.connect(reply.get("offer") or reply["answer"], CONNECT_TIMEOUT_S)
        self.stop_consent()
        assert self._transport is not None, "a connected peer has a socket"
        given = self._transport.get_extra_info("socket")
        with socket.socket(fileno=os.dup(given.fileno())) as own:
            drop_media(own)
            self.port = own.getsockname()[1]

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Answer the server's own checks too: not every server is ICE-lite."""
        if data[:2] == BINDING_REQUEST:
            password = self.credentials.password.encode()
            self.send_raw(build_binding_response(data[8:20], self.credentials.address, password))
        elif data[0] >= FIRST_BYTE_OF_DTLS or data[:2] == BINDING_SUCCESS:
            super().datagram_received(data, addr)

    def answer_offer(self, offer: str) -> str:
        """Write the answer to an offer that sends one video section."""
        mid = next(line[6:] for line in offer.splitlines() if line.startswith("a=mid:"))
        lines = self.offer.replace("a=setup:actpass", "a=setup:active").splitlines()
        renamed = {"a=mid:0": f"a=mid:{mid}", "a=group:BUNDLE 0": f"a=group:BUNDLE {mid}"}
        return "\r\n".join(renamed.get(line, line) for line in lines) + "\r\n"


def drop_media(opened: socket.socket) -> None:
    """Let the kernel drop RTP on this socket (socket(7), SO_ATTACH_FILTER)."""
    program = b"".join(struct.pack("=HBBI", *step) for step in _FILTER)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(_FILTER), ctypes.addressof(buffer))
    opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)


def count_dropped(ports: set[int]) -> int:
    """Return how many datagrams the kernel dropped on these ports."""
    dropped = 0
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) in ports:
            dropped += int(words[-1])
    return dropped


async def wait_delivered(ports: set[int], before: int, wanted: int) -> int:
    """Return how many datagrams came, once all did or none will."""
    ends_at_s = time.monotonic() + DELIVERY_TIMEOUT_S
    while time.monotonic() < ends_at_s and count_dropped(ports) - before < wanted:
        await asyncio.sleep(SETTLE_S)
    return count_dropped(ports) - before


def exchange(message: dict[str, object]) -> dict[str, str]:
    """Tell the parent something and wait for its word."""
    print(json.dumps(message), flush=True)
    answer: dict[str, str] = json.loads(sys.stdin.readline())
    return answer


def make_packets(load: Load) -> Iterator[list[bytes]]:
    """Yield a frame's packets after another, a keyframe every two seconds."""
    seq = frame = 0
    while True:
        is_key = frame % KEYFRAME_FRAMES == 0
        first = b"\x67" if is_key else b"\x41"
        count = (is_key and load.keyframe_packets) or load.frame_packets
        packets = []
        for number in range(count):
            marker = 0x80 if number == count - 1 else 0
            payload = first + bytes(load.payload_bytes - 1)
            packets.append(
                make_rtp(seq, frame * 3000, payload, marker_and_type=marker | PAYLOAD_TYPE)
            )
            seq += 1
        frame += 1
        yield packets


async def feed(
    send: Callable[[bytes], object], frames: Iterator[list[bytes]], load: Load, seconds: float
) -> int:
    """Send in real time, a frame at once or its packets spread out; returns how many packets."""
    started, sent = time.monotonic(), 0
    for number in range(round(seconds * FPS)):
        packets = next(frames)
        for place, packet in enumerate(packets):
            share = place / len(packets) if load.is_paced else 0.0
            wait_s = started + (number + share) / FPS - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            send(packet)
            sent += 1
    return sent


async def keep_consent(peers: list[RtcPeer]) -> None:
    """Check every path as often as browsers do."""
    while True:
        for peer in peers[:]:
            peer.check()
            await asyncio.sleep(CONSENT_EVERY_S / len(peers))
        if not peers:
            await asyncio.sleep(CONSENT_EVERY_S)


async def run(viewers: int, seconds: float, load: Load, feed_port: int) -> None:
    """Connect everybody, warm up, send, report."""
    peers: list[RtcPeer] = []
    frames = make_packets(load)
    if feed_port:
        plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        plain.connect(("127.0.0.1", feed_port))
        send: Callable[[bytes], object] = plain.send
    else:
        publisher = RtcPeer(("H264",), "sendonly")
        answer = await asyncio.to_thread(exchange, {"publish": publisher.offer})
        await publisher.connect(answer["answer"], CONNECT_TIMEOUT_S)
        peers.append(publisher)
        send = publisher.send_rtp
    watching = [Viewer(("H264",)) for _ in range(viewers)]
    consent = asyncio.create_task(keep_consent(peers))
    for viewer in watching:
        await viewer.open(exchange)
        peers.append(viewer)
    await asyncio.to_thread(exchange, {"joined": True})
    await feed(send, frames, load, WARM_UP_S)
    await asyncio.sleep(SETTLE_S)
    ports = {viewer.port for viewer in watching}
    before = count_dropped(ports)
    await asyncio.to_thread(exchange, {"ready": True})
    sent = await feed(send, frames, load, seconds)
    delivered = await wait_delivered(ports, before, sent * viewers)
    await asyncio.to_thread(exchange, {"sent": sent, "delivered": delivered})
    consent.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await consent


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("viewers", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("load", choices=ALL_LOADS)
    parser.add_argument("feed_port", type=int)
    flags = parser.parse_args()
    uvloop.run(run(flags.viewers, flags.seconds, ALL_LOADS[flags.load], flags.feed_port))
