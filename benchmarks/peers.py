"""Runs a server that we compare with, from its first answer until the block ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

START_TIMEOUT_S = 15.0
END_TIMEOUT_S = 5.0


@asynccontextmanager
async def run_peer(words: list[str], port: int) -> AsyncIterator[int]:
    """Run a command that listens on a port; yields its pid. Raises TimeoutError when it is late."""
    process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await _listens(port):
                assert process.returncode is None, f"{words[0]} ended before it listened"
                await asyncio.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
