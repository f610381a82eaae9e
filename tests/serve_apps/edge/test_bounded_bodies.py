"""Bodies of requests, read whole: what is said of one whose bytes are not what its header says."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from aiohttp import web

from kit.errors import AppError
from serve_apps.edge.bodies import read_bounded

pytestmark = pytest.mark.media

BYTES_MAX = 100
BODY = gzip.compress(b"offer")


async def answer(request: web.Request) -> web.Response:
    try:
        body = await read_bounded(request, BYTES_MAX)
    except AppError as error:
        return web.Response(status=error.status, text=error.code)
    return web.Response(status=413 if body is None else 200, body=body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (BODY, (b"200", b"offer")),
        (BODY[:2] + b"offer", (b"400", b"body_malformed")),
        (gzip.compress(bytes(BYTES_MAX + 1)), (b"413", b"")),
    ],
    ids=["whole", "malformed", "too-large"],
)
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "plain"])
async def test_a_body_is_what_its_header_says(
    body: bytes, said: tuple[bytes, bytes], is_chunked: bool
) -> None:
    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % len(body)
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
    try:
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection(*runner.addresses[0])
            writer.write(
                b"POST / HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n"
                b"Content-Encoding: gzip\r\n%b\r\n\r\n%b" % (framing, sent)
            )
            head, _, text = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
    finally:
        await runner.cleanup()
    assert (head.split()[1], text) == said
