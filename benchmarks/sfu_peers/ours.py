"""Our forwarding plane in a process of its own: answers offers by JSON lines on its pipe."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop

from benchmarks.sfu_peers.course import Server, Word
from kit.clock import SystemClock
from media.sfu.options import SfuOptions
from media.sfu.server import Sfu
from tests.media.sfu.stage import EventLog

ROOM = "bench"


@asynccontextmanager
async def run_ours(backend: str) -> AsyncIterator[Server]:
    """Run a plane with one egress backend until the block ends."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sfu_peers.ours", backend),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None, "the child was started with a pipe"
    assert child.stdout is not None, "the child was started with a pipe"
    stdin, stdout = child.stdin, child.stdout

    async def reply(word: Word) -> Word:
        stdin.write(json.dumps(dict(word)).encode() + b"\n")
        answer: Word = json.loads(await stdout.readline())
        return answer

    await stdout.readline()
    try:
        yield Server(child.pid, 0, reply)
    finally:
        stdin.close()
        await child.wait()


async def serve(backend: str) -> None:
    """Answer until the pipe closes."""
    options = SfuOptions(
        bind_host="127.0.0.1",
        port=0,
        egress=backend,
        handshakes_per_source_per_s=1000.0,
        handshakes_per_s=1000.0,
    )
    words = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # What is logged is no answer.
    sfu = Sfu(options, SystemClock(), EventLog())
    await sfu.start()
    print("{}", file=words, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        word = json.loads(line)
        take = sfu.publish if "publish" in word else sfu.watch
        answer = take(ROOM, word.get("publish") or word["offer"])
        print(json.dumps({"answer": answer.sdp}), file=words, flush=True)
    await sfu.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("backend")
    uvloop.run(serve(parser.parse_args().backend))
