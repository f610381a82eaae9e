"""The peer: a bare aiohttp server that keeps WebSockets open and does nothing with them."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web


async def keep(request: web.Request) -> web.StreamResponse:
    """Keep one socket until it closes."""
    response = web.WebSocketResponse(compress=False)
    await response.prepare(request)
    async for _message in response:
        pass
    return response


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    app.router.add_get("/sub", keep)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
