"""Runs a part of a benchmark as a process of its own, so that its work is not counted with ours.

Both sides speak JSON lines: the parent asks, the child answers, in turn.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

LINE_BYTES_MAX = 16 << 20
ANSWER_TIMEOUT_S = 240.0


class Child:
    """A running child, as its parent speaks to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Say something and wait for the answer; raises TimeoutError."""
        assert self._process.stdin is not None, "a child is started with pipes"
        assert self._process.stdout is not None, "a child is started with pipes"
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            line = await self._process.stdout.readline()
        assert line, "the child ended; its error is above"
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def run_child(module: str, *words: str) -> AsyncIterator[Child]:
    """Run a module with arguments until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    try:
        yield Child(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def hear_parent() -> dict[str, Any]:
    """Return what the parent says next; ends the process when the parent is gone."""
    line = sys.stdin.readline()
    if not line:
        raise SystemExit(0)
    message: dict[str, Any] = json.loads(line)
    return message


def tell_parent(message: dict[str, Any]) -> None:
    """Answer the parent."""
    print(json.dumps(message), flush=True)
