"""The peer: a bare aiohttp server that writes bodies to disk, sends files, and checks nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import uvloop
from aiohttp import web

from benchmarks.peers import run_peer
from storage.embedded.ports import get_free_port

FOLDER = web.AppKey("folder", Path)
BODY_BYTES_MAX = 1 << 30
Loop = Literal["uvloop", "asyncio"]
"""Only asyncio's sends files by sendfile; uvloop moves other bytes for less."""


async def take(request: web.Request) -> web.StreamResponse:
    """Append the body to a file; with `?sync=1` it is on disk before the answer."""
    with (request.app[FOLDER] / request.match_info["name"]).open("ab") as file:
        async for data in request.content.iter_any():
            file.write(data)
        if "sync" in request.query:
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
    return web.Response(status=204)


async def send(request: web.Request) -> web.StreamResponse:
    """Send a file as aiohttp sends files."""
    return web.FileResponse(request.app[FOLDER] / request.match_info["name"])


async def serve(port: int, folder: Path) -> None:
    """Serve until the process is ended."""
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app[FOLDER] = folder
    app.router.add_patch("/{name}", take)
    app.router.add_get("/{name}", send)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


@asynccontextmanager
async def run_bare(folder: Path, loop: Loop = "uvloop") -> AsyncIterator[tuple[str, int]]:
    """Run the server over a folder until the block ends; yields its address and its pid."""
    port = get_free_port()
    words = [sys.executable, "-m", "benchmarks.bare_bytes", str(port), str(folder), loop]
    async with run_peer(words, port) as pid:
        yield f"http://127.0.0.1:{port}", pid


if __name__ == "__main__":
    run = uvloop.run if sys.argv[3] == "uvloop" else asyncio.run
    run(serve(int(sys.argv[1]), Path(sys.argv[2])))
