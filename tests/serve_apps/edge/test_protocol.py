"""RFC 6455 at the edge, over real connections: the echo of development, and the socket itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from kit.settings import Settings
from serve_apps.edge.server import EdgeServer
from storage.objects import ObjectStore
from tests.serve_apps.edge.edge_stage import run_edge, use_free_ports
from tests.serve_apps.edge.frame_client import TEXT, frame, header, open_frames
from tests.serve_apps.edge.protocol_cases import CASES, Case

pytestmark = pytest.mark.db

SPOKEN = [case for case in CASES if not case.echoes and case.code != 1000]
"""Cases that end a connection by breaking the protocol, whatever the connection is for."""


@pytest.fixture
async def bare_edge(settings: Settings, objects: ObjectStore) -> AsyncIterator[EdgeServer]:
    async with run_edge(use_free_ports(settings), objects) as lent:
        yield lent


async def play(url: str, case: Case) -> tuple[list[tuple[int, bytes]], int | None]:
    """Write the pieces, each in a packet of its own, and return what came back."""
    async with open_frames(url) as client:
        listening = asyncio.create_task(client.read_to_end())
        for piece in case.pieces:
            client.write(piece)
            await client.writer.drain()
            await asyncio.sleep(0)
        await listening
        return client.messages, client.close_code


async def test_the_echo_plays_every_case(bare_edge: EdgeServer) -> None:
    url = f"{bare_edge.address.url}/ws/echo"
    for case in CASES:
        messages, code = await play(url, case)
        assert (messages, code) == (list(case.echoes), case.code), case.name


async def test_the_socket_refuses_what_breaks_the_protocol(bare_edge: EdgeServer) -> None:
    url = f"{bare_edge.address.url}/ws"
    for case in SPOKEN:
        messages, code = await play(url, case)
        assert (messages, code) == ([], case.code), case.name


async def test_the_socket_takes_fragments_and_pings(bare_edge: EdgeServer) -> None:
    async with open_frames(f"{bare_edge.address.url}/ws") as client:
        client.write(frame(TEXT, b'{"type":', fin=False) + frame(9, b"p") + frame(0, b'"ping"}'))
        assert await client.read_message() == (10, b"p")
        opcode, payload = await client.read_message()
        assert (opcode, json.loads(payload)) == (TEXT, {"type": "pong"})
        client.write(header(TEXT, (64 << 10) + 1))
        await client.read_to_end()
        assert client.close_code == 1009
