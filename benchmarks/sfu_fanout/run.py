"""Measures the processor time of one forwarding plane with real viewers on loopback.

Run: python -m benchmarks.sfu_fanout.run --viewers 50 --seconds 5
The peers live in a child process, so that their own cost is not counted. One publisher sends
video packets of 1,100 bytes at `--packets-per-s`; the result is one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

from kit.clock import SystemClock
from media.sfu.options import SfuOptions
from media.sfu.server import Sfu
from tests.media.sfu.packets import make_rtp
from tests.media.sfu.peer import RtcPeer
from tests.media.sfu.stage import EventLog

PAYLOAD = b"\x10\x00" + bytes(1086)
FRAME_PACKETS = 4
CONNECT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Result:
    """One run; CPU is user plus system time of the forwarding process alone."""

    viewers: int
    packets_in: int
    packets_out: int
    seconds: float
    cpu_share: float
    cpu_us_per_packet_out: float
    cpu_ms_per_handshake: float
    received_share: float
    stalls: int
    dropped: int
    loop_lag_p99_ms: float


class CountingPeer(RtcPeer):
    """A viewer that counts media and leaves it encrypted, to be cheap."""

    count = 0

    def _receive_media(self, data: bytes) -> None:
        self.count += 1


async def run_peers(viewers: int, seconds: float, packets_per_s: int) -> None:
    """Act as publisher and viewers, speaking JSON lines with the parent."""
    publisher = RtcPeer(("VP8",), "sendonly")
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
                publisher.send_rtp(make_rtp(sent, sent * 750, PAYLOAD, marker_and_type=96))
                sent += 1
        await asyncio.sleep(FRAME_PACKETS / packets_per_s)
    await asyncio.sleep(0.5)
    received = sum(peer.count for peer in watching)
    await asyncio.to_thread(exchange, {"sent": sent, "received": received})


def exchange(message: dict[str, object]) -> dict[str, str]:
    """Tell the parent something and wait for its word."""
    print(json.dumps(message), flush=True)
    answer: dict[str, str] = json.loads(sys.stdin.readline())
    return answer


async def run_plane(arguments: argparse.Namespace) -> Result:
    """Forward for the peers of a child process and measure this one."""
    options = SfuOptions(
        bind_host="127.0.0.1", port=0, sessions_max=5000, viewers_per_room_max=5000,
        handshakes_per_source_per_s=1000.0, stun_per_source_per_s=10_000.0,
    )  # fmt: skip
    sfu = Sfu(options, SystemClock(), EventLog())
    await sfu.start()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sfu_fanout.run", "--peers"),
        *("--viewers", str(arguments.viewers), "--seconds", str(arguments.seconds)),
        *("--packets-per-s", str(arguments.packets_per_s)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    before_handshakes = time.process_time()
    lags: list[float] = []
    watch = asyncio.create_task(measure_lag(lags))
    while True:
        message = json.loads(await child.stdout.readline())
        if "offer" in message:
            take = sfu.watch if message["role"] else sfu.publish
            answer = {"answer": take("bench", message["offer"]).sdp}
        else:
            answer = {}
        if "ready" in message:
            cpu, started = time.process_time(), time.monotonic()
            lags.clear()
        if "sent" in message:
            break
        child.stdin.write(json.dumps(answer).encode() + b"\n")
    spent, took = time.process_time() - cpu, time.monotonic() - started
    handshakes_ms = (cpu - before_handshakes) * 1000 / (arguments.viewers + 1)
    stats = sfu.stats()
    (room,) = stats.rooms
    watch.cancel()
    child.stdin.write(b"{}\n")
    await child.wait()
    await sfu.close()
    lags.sort()
    return Result(
        viewers=arguments.viewers,
        packets_in=message["sent"],
        packets_out=room.packets_out,
        seconds=round(took, 2),
        cpu_share=round(spent / took, 3),
        cpu_us_per_packet_out=round(spent * 1e6 / max(1, room.packets_out), 2),
        cpu_ms_per_handshake=round(handshakes_ms, 2),
        received_share=round(message["received"] / max(1, room.packets_out), 4),
        stalls=stats.send_stalls,
        dropped=stats.packets_dropped,
        loop_lag_p99_ms=round(lags[int(len(lags) * 0.99)] * 1000, 1) if lags else 0.0,
    )


async def measure_lag(lags: list[float]) -> None:
    """Note how late the loop wakes a task up."""
    while True:
        started = time.monotonic()
        await asyncio.sleep(0.01)
        lags.append(time.monotonic() - started - 0.01)


def main() -> None:
    """Read the arguments and run one side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--packets-per-s", type=int, default=300)
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    if arguments.peers:
        uvloop.run(run_peers(arguments.viewers, arguments.seconds, arguments.packets_per_s))
    else:
        print(json.dumps(asdict(uvloop.run(run_plane(arguments)))))


if __name__ == "__main__":
    main()
