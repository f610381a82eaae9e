"""/ws/echo: sends every message back, for trying a client or running Autobahn|Testsuite.

`server.py` adds the route in development only: its messages may be far larger than the socket's.
"""

from __future__ import annotations

from aiohttp import WSMsgType, web

from serve_apps.edge.strict_websocket import StrictWebSocket

ECHO_BYTES_MAX = 16 << 20
"""The largest message of Autobahn|Testsuite (cases 9.1.6 and 9.2.6)."""
PING_EVERY_S = 20.0


async def echo_frames(request: web.Request) -> web.StreamResponse:
    """Send every message back until the peer closes."""
    response = StrictWebSocket(ECHO_BYTES_MAX, PING_EVERY_S)
    await response.prepare(request)
    async for message in response:
        if message.type is WSMsgType.TEXT:
            await response.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await response.send_bytes(message.data)
    return response
