"""A body that the kernel moves into a file leaves its connection as if aiohttp had read it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import io
import random
import ssl
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import uvloop
from aiohttp import web

from serve_apps.edge.body_moves import WAKE_BYTES, BodyMove
from storage.growing_files import GrowingObject
from storage.objects import ObjectStore
from storage.upload_sinks import GrowingSink
from tests.serve_apps.edge.tls import make_tls

pytestmark = pytest.mark.media

DATA = random.Random(11).randbytes((3 << 20) + 7)
SIZES = (1, 3000, WAKE_BYTES - 1, WAKE_BYTES, 700_001, len(DATA))
PIECE_BYTES = 1 << 40


@dataclass
class Place:
    """A server that keeps bodies as uploads are kept, and says how each came and what it was."""

    objects: ObjectStore
    port: int = 0
    begun: int = 0
    callers: set[object] = field(default_factory=set)
    broken: list[bytes] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.StreamResponse:
        read, move = BodyMove.begin(request, 1)
        if move is None:
            return describe("read", await request.read())
        self.begun += 1
        assert request.transport is not None
        self.callers.add(request.transport.get_extra_info("peername"))
        key = f"uploads/{uuid.uuid4().hex}"
        growing = GrowingObject.open(self.objects, key, is_new=True)
        assert growing is not None
        growing.begin(0)
        sink = GrowingSink(growing, key, 0, PIECE_BYTES)
        assert request.content_length is not None
        left = request.content_length - len(read)
        with contextlib.closing(move):
            await sink.add(read)
            while left and not move.has_ended:
                moved, _parts = await sink.move(move, left)
                left -= moved
                move.tell()
                if not moved:
                    await move.wait(60)
        await sink.flush()
        await sink.close()
        kept = await self.objects.get(key)
        if left:
            self.broken.append(kept)
        return describe("moved", kept)


def describe(way: str, data: bytes) -> web.Response:
    return web.Response(text=f"{way} {hashlib.sha256(data).hexdigest()}")


def expect(way: str, data: bytes) -> str:
    return f"{way} {hashlib.sha256(data).hexdigest()}"


Check = Callable[[Place], Awaitable[None]]
Run = Callable[..., None]


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest, objects: ObjectStore) -> Run:
    """Serve on either loop and have a check made."""

    def start(check: Check, tls: ssl.SSLContext | None = None) -> None:
        runner = uvloop.run if request.param == "uvloop" else asyncio.run
        runner(_serve(Place(objects), check, tls))

    return start


async def _serve(place: Place, check: Check, tls: ssl.SSLContext | None) -> None:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_patch("/", place.take)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    place.port = runner.addresses[0][1]
    async with asyncio.timeout(50):
        await check(place)
    await runner.cleanup()


def write_head(size: int) -> bytes:
    return f"PATCH / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


async def read_answer(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    assert head.startswith("http/1.1 200"), head
    size = int(head.partition("content-length: ")[2].split("\r\n")[0])
    return (await reader.readexactly(size)).decode()


def test_bodies_of_all_sizes_come_on_one_connection(run: Run):
    async def check(place: Place) -> None:
        async with aiohttp.ClientSession() as http:
            for size in (*SIZES, *reversed(SIZES)):
                url = f"http://127.0.0.1:{place.port}/"
                async with http.patch(url, data=io.BytesIO(DATA[:size])) as answer:
                    assert await answer.text() == expect("moved", DATA[:size])
            assert len(place.callers) == 1

    run(check)


def test_requests_that_follow_at_once_are_read_where_the_body_ends(run: Run):
    async def check(place: Place) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        for size in SIZES:
            writer.write(write_head(size) + DATA[:size])
        for size in SIZES:
            assert await read_answer(reader) == expect("moved", DATA[:size])
        writer.close()

    run(check)


def test_a_body_in_dribbles_is_whole_as_soon_as_its_last_byte_is_there(run: Run):
    async def check(place: Place) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        size = WAKE_BYTES + 70_003
        writer.write(write_head(size))
        for start, stop in ((0, 5), (5, 60_000), (60_000, size - 3), (size - 3, size)):
            writer.write(DATA[start:stop])
            await writer.drain()
            await asyncio.sleep(0.05)
        assert await read_answer(reader) == expect("moved", DATA[:size])
        writer.close()

    run(check)


def test_what_came_before_the_sender_left_is_kept_and_nothing_stays_open(run: Run):
    async def check(place: Place) -> None:
        for number in range(20):
            _reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
            sent = DATA[: 1 + number * 40_000]
            writer.write(write_head(len(DATA)) + sent)
            await writer.drain()
            while place.begun <= number:
                await asyncio.sleep(0.01)
            writer.close()
            while len(place.broken) <= number:
                await asyncio.sleep(0.01)
            assert place.broken[number] == sent
            if number == 9:
                open_before = len(list(Path("/proc/self/fd").iterdir()))
        while len(list(Path("/proc/self/fd").iterdir())) > open_before:
            await asyncio.sleep(0.01)

    run(check)


def test_a_compressed_body_is_read_by_aiohttp(run: Run):
    async def check(place: Place) -> None:
        headers, body = {"Content-Encoding": "gzip"}, io.BytesIO(gzip.compress(DATA, 1))
        async with (
            aiohttp.ClientSession(skip_auto_headers=["Content-Encoding"]) as http,
            http.patch(f"http://127.0.0.1:{place.port}/", data=body, headers=headers) as answer,
        ):
            assert await answer.text() == expect("read", DATA)

    run(check)


def test_an_encrypted_body_is_read_by_aiohttp(run: Run, home: Path):
    server, trusting = make_tls(home)

    async def check(place: Place) -> None:
        connector = aiohttp.TCPConnector(ssl=trusting)
        async with (
            aiohttp.ClientSession(connector=connector) as http,
            http.patch(f"https://127.0.0.1:{place.port}/", data=io.BytesIO(DATA)) as answer,
        ):
            assert await answer.text() == expect("read", DATA)

    run(check, server)
