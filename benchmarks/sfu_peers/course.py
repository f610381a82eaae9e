"""Runs one server under one load and measures its process alone: ours here, Janus beside us."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.frame import Answer
from cluster.processes import read_cpu_s

DELIVERED_MIN = 0.99  # on a busy machine either server's input may overflow for a moment

Word = Mapping[str, str]


@dataclass(frozen=True)
class Server:
    """A server under test: its process, where plain RTP goes (0: WHIP), how it takes words."""

    pid: int
    feed_port: int
    reply: Callable[[Word], Awaitable[Word]]


async def run_audience(
    server: Server,
    load: str,
    viewers: int,
    seconds: float,
    note: Callable[[str], None] = lambda _word: None,
) -> Answer:
    """Let the audience join and watch; CPU is user plus system time of the server's process.

    `note` is told when all have joined, when measuring begins and when everything was sent.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sfu_peers.audience"),
        *(str(viewers), str(seconds), load, str(server.feed_port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None, "the child was started with a pipe"
    assert child.stdout is not None, "the child was started with a pipe"
    begun = Sample.take(server.pid)
    joined = ready = begun
    while True:
        word = json.loads(await child.stdout.readline())
        reply: Word = {}
        if "joined" in word:
            note("joined")
            joined = Sample.take(server.pid)
        elif "ready" in word:
            note("ready")
            ready = Sample.take(server.pid)
        elif "sent" in word:
            note("sent")
            ended = Sample.take(server.pid)
            break
        else:
            reply = await server.reply(word)
        child.stdin.write(json.dumps(reply).encode() + b"\n")
    child.stdin.write(b"{}\n")
    await child.wait()
    delivered = int(word["delivered"])
    delivered_share = delivered / (int(word["sent"]) * viewers)
    figures = {
        "delivered_percent": 100 * min(delivered_share, 1.0),
        "cpu_us_per_packet": (ended.cpu_s - ready.cpu_s) * 1e6 / max(delivered, 1),
        "cpu_percent": 100 * (ended.cpu_s - ready.cpu_s) / seconds,
        "viewers_per_core": viewers * seconds / (ended.cpu_s - ready.cpu_s),
        "join_cpu_ms": 1000 * (joined.cpu_s - begun.cpu_s) / viewers,
        "memory_kb_per_viewer": max(0.0, (joined.memory_kb - begun.memory_kb) / viewers),
    }
    is_whole = delivered_share >= DELIVERED_MIN
    return Answer(figures, "every viewer was served" if is_whole else "packets missing")


@dataclass(frozen=True)
class Sample:
    """What a process used so far."""

    cpu_s: float
    memory_kb: float

    @staticmethod
    def take(pid: int) -> Sample:
        """Read both now."""
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return Sample(read_cpu_s(pid), pages * os.sysconf("SC_PAGE_SIZE") / 1024)
