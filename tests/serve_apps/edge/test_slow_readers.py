"""A viewer that does not read, in a busy room: it costs little, delays nobody, misses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from kit.settings import Settings
from serve_apps.edge import socket_server
from serve_apps.edge.server import EdgeServer
from storage.database import Database
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_host
from tests.serve_apps.edge.edge_stage import Talker, connect, invite, run_edge, use_free_ports
from tests.serve_apps.edge.frame_client import TEXT, FrameClient, frame, open_frames
from tests.storage.live_rows import create_room_row

pytestmark = pytest.mark.db

LINE = "€" * 500
WRITERS = 30
LINES = 900
"""Together more than a stuck viewer may cost."""
STUCK_BYTES_MAX = 1_000_000
UNREAD_METRIC = "socialflow_sockets_unread_bytes "


@dataclass(frozen=True)
class Busy:
    """A room, and sockets of somebody who writes in it."""

    edge: EdgeServer
    writers: list[Talker]
    room_id: uuid.UUID
    numbers: list[int] = field(default_factory=list)

    @property
    def channel(self) -> str:
        return f"room:{self.room_id}"

    async def write_lines(self, count: int) -> None:
        """Write a line per writer at a time, until each is stored."""

        async def write(number: int) -> None:
            await self.writers[number % WRITERS].chat(self.room_id, f"n{number}", LINE)

        for _ in range(count // WRITERS):
            first = len(self.numbers)
            self.numbers.extend(range(first, first + WRITERS))
            await asyncio.gather(*(write(number) for number in range(first, first + WRITERS)))
            await asyncio.sleep(0.03)  # one socket may say 50 words a second


@pytest.fixture
async def busy(settings: Settings, database: Database, objects: ObjectStore) -> AsyncIterator[Busy]:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    async with (
        run_host(settings),
        run_edge(settings, objects) as edge,
        contextlib.AsyncExitStack() as stack,
    ):
        writers = [await stack.enter_async_context(connect(edge)) for _ in range(WRITERS)]
        for writer in writers:
            await writer.authenticate(ada)
        await writers[0].subscribe(f"room:{room_id}")
        yield Busy(edge, writers, room_id)


async def subscribe(client: FrameClient, channel: str, since: dict[str, Any] | None = None) -> None:
    """Follow a channel with raw frames, and wait for the answer."""
    words: dict[str, Any] = {"type": "subscribe", "channels": [channel]}
    if since is not None:
        words["since"] = {channel: since}
    client.write(frame(TEXT, msgspec.json.encode(words)))
    _opcode, payload = await client.read_message()
    assert msgspec.json.decode(payload)["type"] == "subscribed"


def read_offsets(messages: list[tuple[int, bytes]]) -> list[int]:
    """Return the offsets in these frames, in order."""
    bodies = [msgspec.json.decode(payload) for opcode, payload in messages if opcode == TEXT]
    events = [event for body in bodies for event in body.get("events", [body])]
    return [event["offset"] for event in events if "offset" in event]


async def read_until(client: FrameClient, last: int) -> list[int]:
    """Read until the offset was seen; returns every offset."""
    async with asyncio.timeout(60):
        while (
            not read_offsets(client.messages[-1:]) or read_offsets(client.messages[-1:])[-1] < last
        ):
            client.messages.append(await client.read_message())
    return read_offsets(client.messages)


def kernel_bytes(client: FrameClient, port: int) -> int:
    """Return what the kernel keeps for this client on the server's side (proc(5), net/tcp)."""
    peer_port = client.writer.get_extra_info("sockname")[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, _state, queues = line.split()[1:5]
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (port, peer_port):
            return int(queues.split(":")[0], 16)
    return 0


async def process_bytes(edge: EdgeServer) -> int:
    """Return the bytes that wait for slow sockets in the edge itself."""
    url = f"{edge.address.url}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
    found = [line for line in text.splitlines() if line.startswith(UNREAD_METRIC)]
    return int(float(found[0].split()[1]))


async def test_a_stuck_viewer_costs_little_delays_nobody_and_misses_nothing(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line is waited for: one who held up the others would end this at its deadline.

    A slow machine writes for longer than the edge bears with a viewer, or waits for a pong; when
    that ends is the next test's question.
    """
    for limit in ("LAG_MAX_S", "PING_EVERY_S"):
        monkeypatch.setattr(socket_server, limit, 600.0)
    async with (
        connect(busy.edge) as other,
        open_frames(f"{busy.edge.address.url}/ws", receive_bytes=4096) as stuck,
    ):
        await other.subscribe(busy.channel)
        await subscribe(stuck, busy.channel)
        costs: list[int] = []
        while len(busy.numbers) < LINES:
            await busy.write_lines(2 * WRITERS)
            kernel = kernel_bytes(stuck, busy.edge.address.port)
            costs.append(kernel + await process_bytes(busy.edge))
        assert max(costs) > 100_000, "the viewer was stuck"
        assert max(costs) < STUCK_BYTES_MAX
        await other.wait(lambda: len(other.offsets(busy.channel)) == LINES)
        assert other.offsets(busy.channel) == list(range(1, LINES + 1))
        assert await read_until(stuck, LINES) == list(range(1, LINES + 1))


async def test_a_viewer_stuck_for_too_long_is_closed_and_resumes_exactly(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{busy.edge.address.url}/ws"
    async with open_frames(url, receive_bytes=4096) as stuck:
        await subscribe(stuck, busy.channel)
        await busy.write_lines(600)
        monkeypatch.setattr(socket_server, "LAG_MAX_S", 0.0)
        async with asyncio.timeout(60):
            while busy.edge.describe()["sockets"] > WRITERS:
                await asyncio.sleep(0.2)
        await stuck.read_to_end()
        offsets = read_offsets(stuck.messages)
    assert offsets == list(range(1, len(offsets) + 1))
    assert 0 < len(offsets) < 600
    async with open_frames(url) as back:
        epoch = next(iter(busy.writers[0].acks.values()))["epoch"]
        await subscribe(back, busy.channel, {"epoch": epoch, "offset": offsets[-1]})
        assert await read_until(back, 600) == list(range(offsets[-1] + 1, 601))
