"""Runs one forwarding plane for peers in a child process and measures this process alone."""

from __future__ import annotations

import asyncio
import datetime
import json
import sys
import time

from benchmarks.frame import Answer
from kit.clock import SystemClock
from media.sfu.dtls import DtlsIdentity, DtlsSrtpPeer, Fingerprint
from media.sfu.options import RoomStats, SfuOptions
from media.sfu.server import Sfu
from tests.media.sfu.peer import DtlsClient
from tests.media.sfu.stage import EventLog

HANDSHAKES = 50
DELIVERED_MIN = 0.95
"""On a busy machine the sockets of either process may overflow for a moment."""
OPTIONS = SfuOptions(bind_host="127.0.0.1", port=0, handshakes_per_source_per_s=1000.0)


async def forward(viewers: int, seconds: float, packets_per_s: int) -> Answer:
    """Forward for a while; CPU is user plus system time, spread over the packets sent."""
    sfu = Sfu(OPTIONS, SystemClock(), EventLog())
    await sfu.start()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sfu_fanout.peers"),
        *(str(viewers), str(seconds), str(packets_per_s)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    message, spent_s, took_s = await serve_child(child, sfu)
    room = sfu.stats().rooms[0]
    assert child.stdin is not None, "the child was started with a pipe"
    child.stdin.write(b"{}\n")
    await child.wait()
    await sfu.close()
    return make_answer(room, message, (spent_s, took_s), viewers)


async def serve_child(
    child: asyncio.subprocess.Process, sfu: Sfu
) -> tuple[dict[str, int], float, float]:
    """Answer the child's offers; return its last word, and the CPU and time since it was ready."""
    assert child.stdin is not None, "the child was started with a pipe"
    assert child.stdout is not None, "the child was started with a pipe"
    cpu_s = started_s = 0.0
    while True:
        message = json.loads(await child.stdout.readline())
        if "sent" in message:
            return message, time.process_time() - cpu_s, time.monotonic() - started_s
        answer = {}
        if "offer" in message:
            take = sfu.watch if message["role"] else sfu.publish
            answer = {"answer": take("bench", message["offer"]).sdp}
        else:
            cpu_s, started_s = time.process_time(), time.monotonic()
        child.stdin.write(json.dumps(answer).encode() + b"\n")


def make_answer(
    room: RoomStats, message: dict[str, int], spent: tuple[float, float], viewers: int
) -> Answer:
    """Put the figures together; the work is to lose next to nothing."""
    cpu_s, took_s = spent
    wanted = message["sent"] * viewers * DELIVERED_MIN
    is_whole = room.packets_out >= wanted and message["received"] >= wanted
    figures = {
        "cpu_us_per_packet": cpu_s * 1e6 / room.packets_out,
        "cpu_percent": 100 * cpu_s / took_s,
        "packets_per_s": room.packets_out / took_s,
        "handshake_cpu_ms": measure_handshake_ms(),
    }
    return Answer(figures, "the packets reached every viewer" if is_whole else "packets missing")


def measure_handshake_ms() -> float:
    """Return the processor time of our side of a DTLS-SRTP handshake."""
    identity = DtlsIdentity(datetime.datetime.now(datetime.UTC))
    spent_s = 0.0
    for _ in range(HANDSHAKES):
        client = DtlsClient()
        peer = DtlsSrtpPeer(identity, [Fingerprint("sha-256", client.fingerprint)])
        flight = client.start()
        while flight:
            started_s = time.process_time()
            answers = [answer for datagram in flight for answer in peer.receive(datagram)]
            spent_s += time.process_time() - started_s
            flight = [reply for answer in answers for reply in client.receive(answer)]
    return spent_s * 1000 / HANDSHAKES
