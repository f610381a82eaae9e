"""Files go from the kernel to the socket, whole and in ranges, at the pace of whoever reads."""

from __future__ import annotations

import asyncio
import random
import resource
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import uvloop
from aiohttp import web

from serve_apps.edge.entity_tags import select_part
from serve_apps.edge.file_answers import FileAnswer
from tests.serve_apps.edge.tls import make_tls

pytestmark = pytest.mark.media

FILE_BYTES = 24 << 20
SLOW_BYTES = 64 << 10

Check = Callable[[str, bytes], Awaitable[None]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "segment.m4s"
    path.write_bytes(random.Random(7).randbytes(FILE_BYTES))
    return path


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest, whole: Path) -> Callable[..., None]:
    """Serve the file on either loop and have a check made of it."""

    def start(check: Check, tls: ssl.SSLContext | None = None) -> None:
        runner = uvloop.run if request.param == "uvloop" else asyncio.run
        runner(_serve(whole, check, tls))

    return start


async def _serve(path: Path, check: Check, tls: ssl.SSLContext | None) -> None:
    async def send(request: web.Request) -> web.StreamResponse:
        part = select_part(request, "tag", FILE_BYTES, {})
        return part if isinstance(part, web.Response) else FileAnswer(path, part)

    app = web.Application()
    app.router.add_get("/file", send)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    scheme = "http" if tls is None else "https"
    async with asyncio.timeout(50):
        await check(f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/file", path.read_bytes())
    await runner.cleanup()


def test_aiohttp_still_sends_files_by_the_method_that_is_replaced():
    assert "_sendfile" in vars(web.FileResponse)


def test_a_file_arrives_whole_in_ranges_and_again_on_one_connection(run: Callable[..., None]):
    async def check(url: str, data: bytes) -> None:
        async with aiohttp.ClientSession() as http:
            for _time in range(2):
                async with http.get(url) as answer:
                    assert await answer.read() == data
            for first, last in ((5, 4_000_000), (FILE_BYTES - 300_000, FILE_BYTES - 1), (0, 9)):
                async with http.get(url, headers={"Range": f"bytes={first}-{last}"}) as answer:
                    assert answer.status == 206
                    assert await answer.read() == data[first : last + 1]
            async with http.head(url) as answer:
                assert int(answer.headers["Content-Length"]) == FILE_BYTES

    run(check)


def test_many_at_once_get_what_is_theirs(run: Callable[..., None]):
    async def check(url: str, data: bytes) -> None:
        async def fetch(http: aiohttp.ClientSession, first: int) -> bool:
            async with http.get(url, headers={"Range": f"bytes={first}-"}) as answer:
                return await answer.read() == data[first:]

        async with aiohttp.ClientSession() as http:
            assert all(await asyncio.gather(*(fetch(http, 1_000_000 * n) for n in range(12))))

    run(check)


def test_who_reads_slowly_gets_all_and_takes_no_memory(run: Callable[..., None]):
    async def check(url: str, data: bytes) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        port = int(url.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=SLOW_BYTES)
        writer.write(b"GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        got = bytearray()
        while piece := await reader.read(SLOW_BYTES):
            got += piece
            await asyncio.sleep(0)
        assert got == data
        writer.close()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 2 * (FILE_BYTES >> 10)  # what this reader holds itself

    run(check)


def test_who_leaves_in_the_middle_leaves_no_descriptor_open(run: Callable[..., None]):
    async def check(url: str, _data: bytes) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _time in range(8):
            async with aiohttp.ClientSession() as http, http.get(url) as answer:
                await answer.content.readexactly(1000)
        while len(list(Path("/proc/self/fd").iterdir())) > before:
            await asyncio.sleep(0.05)

    run(check)


def test_an_encrypted_connection_gets_the_file_encrypted(run: Callable[..., None], home: Path):
    server, trusting = make_tls(home)

    async def check(url: str, data: bytes) -> None:
        connector = aiohttp.TCPConnector(ssl=trusting)
        async with aiohttp.ClientSession(connector=connector) as http, http.get(url) as answer:
            assert await answer.read() == data

    run(check, server)
