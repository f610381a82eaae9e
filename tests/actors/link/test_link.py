"""Links over real Unix sockets: the hello, order, limits, silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.link.frames import (
    ENCODER,
    FRAME_BYTES_MAX,
    LinkLost,
    LinkPeer,
    LinkRefused,
    LinkTerms,
    frame,
    make_hello,
)
from actors.link.link import Link
from actors.link.opening import open_link
from actors.link.server import LinkServer, SocketPathTooLong
from tests.actors.link.test_frames import EDGE, HOST, Note, Order
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db

ACCEPTS = {"host": Note, "edge": Note | Order}


class Listener:
    """An owner that remembers what it heard."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.heard: list[Any] = []
        self.lost: list[str] = []

    def on_link_open(self, link: Link) -> None:
        self.links.append(link)

    def on_link_messages(self, link: Link, messages: list[Any]) -> None:
        self.heard += messages

    def on_link_lost(self, link: Link, reason: str) -> None:
        self.lost.append(reason)


@pytest.fixture
def host() -> Listener:
    return Listener()


@pytest.fixture
def edge() -> Listener:
    return Listener()


@pytest.fixture
async def server(home: Path, host: Listener) -> AsyncIterator[LinkServer]:
    lent = LinkServer(home / "run" / "host.sock", LinkTerms(HOST, "key", ACCEPTS), host)
    await lent.start()
    yield lent
    await lent.close()


async def connect(server: LinkServer, owner: Listener, key: str = "key") -> Link:
    return await open_link(server.address, LinkTerms(EDGE, key, ACCEPTS), HOST, owner)


async def test_both_ends_hear_each_other_in_order(
    server: LinkServer, host: Listener, edge: Listener
) -> None:
    link = await connect(server, edge)
    for number in range(100):
        link.send(Order(number))
    await wait_until(lambda: len(host.heard) == 100)
    assert host.heard == [Order(number) for number in range(100)]
    assert host.links[0].peer == EDGE
    host.links[0].send(Note("back"))
    await wait_until(lambda: edge.heard == [Note("back")])
    await link.close()
    await wait_until(lambda: host.lost == ["eof"])


async def test_a_peer_with_another_key_is_refused_by_both_sides(
    server: LinkServer, host: Listener, edge: Listener
) -> None:
    with pytest.raises(LinkRefused):
        await connect(server, edge, key="wrong")
    assert host.links == []


async def test_a_stranger_who_skips_the_proof_gets_nothing(
    server: LinkServer, host: Listener
) -> None:
    reader, writer = await asyncio.open_unix_connection(server.address.removeprefix("unix:"))
    writer.write(frame(ENCODER.encode(make_hello(EDGE))) + frame(b"x" * 32))
    assert await asyncio.wait_for(reader.read(10_000), 60)
    assert await asyncio.wait_for(reader.read(10_000), 60) == b""
    assert host.links == []
    writer.close()


async def test_another_incarnation_than_the_expected_is_refused(
    server: LinkServer, edge: Listener
) -> None:
    later = LinkPeer(HOST.role, HOST.name, HOST.incarnation + 1)
    with pytest.raises(LinkRefused):
        await open_link(server.address, LinkTerms(EDGE, "key", ACCEPTS), later, edge)


async def test_a_role_without_business_is_refused(server: LinkServer, edge: Listener) -> None:
    stranger = LinkPeer("runner", "runner", 1)
    with pytest.raises(LinkRefused):
        await open_link(server.address, LinkTerms(stranger, "key", ACCEPTS), HOST, edge)


async def test_nobody_at_the_address_is_a_refusal(home: Path, edge: Listener) -> None:
    with pytest.raises(LinkRefused):
        await open_link(f"unix:{home}/run/none.sock", LinkTerms(EDGE, "key", ACCEPTS), HOST, edge)


async def test_an_oversize_frame_ends_the_link(
    server: LinkServer, host: Listener, edge: Listener
) -> None:
    link = await connect(server, edge)
    link._parts.writer.write((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))
    await wait_until(lambda: host.lost == ["refused"])
    await link.close()


async def test_a_message_the_role_may_not_send_ends_the_link(
    server: LinkServer, host: Listener, edge: Listener
) -> None:
    link = await connect(server, edge)
    await wait_until(lambda: bool(host.links))
    host.links[0].send(Order(1))
    await wait_until(lambda: edge.lost == ["refused"])
    await link.close()


async def test_a_silent_peer_is_lost(server: LinkServer, host: Listener, edge: Listener) -> None:
    link = await connect(server, edge)
    for task in link._tasks:
        task.cancel()
    started_s = time.monotonic()
    await wait_until(lambda: host.lost == ["silent"])
    print(f"\nlost after {time.monotonic() - started_s:.2f} s")
    await link.close()


async def test_an_idle_link_stays_open_by_heartbeats(
    server: LinkServer, host: Listener, edge: Listener
) -> None:
    link = await connect(server, edge)
    await asyncio.sleep(1.5)
    assert link.is_open
    assert (host.lost, edge.lost) == ([], [])
    await link.close()


async def test_sending_on_a_lost_link_says_so(server: LinkServer, edge: Listener) -> None:
    link = await connect(server, edge)
    await link.close()
    with pytest.raises(LinkLost):
        link.send(Order(1))


async def test_a_peer_that_does_not_read_loses_the_link(
    server: LinkServer, host: Listener, edge: Listener
) -> None:
    link = await connect(server, edge)
    await wait_until(lambda: bool(host.links))
    link._parts.reader._transport.pause_reading()

    async def flood() -> None:
        for _ in range(400):
            host.links[0].send(Note("x" * 100_000))
            await asyncio.sleep(0)

    with pytest.raises(LinkLost):
        await flood()
    assert host.lost == ["overflow"]
    await link.close()


async def test_a_path_too_long_for_a_socket_is_named(home: Path, host: Listener) -> None:
    server = LinkServer(home / ("x" * 120), LinkTerms(HOST, "key", ACCEPTS), host)
    with pytest.raises(SocketPathTooLong):
        await server.start()
