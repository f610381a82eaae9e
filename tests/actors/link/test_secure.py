"""Links over TLS: who is believed, who is not, and what a refusal says about the other side."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.link.frames import (
    ENCODER,
    LinkGone,
    LinkPeer,
    LinkRefused,
    LinkTerms,
    LinkUnproven,
    frame,
    make_hello,
)
from actors.link.link import Link
from actors.link.opening import open_link
from actors.link.secure import (
    LinkKeys,
    choose_address,
    join_addresses,
    make_tls_address,
    read_tls_address,
)
from actors.link.server import PENDING_MAX, LinkServer
from cluster.keys import Authority, ensure_authority, issue_certificate
from tests.actors.link.test_frames import EDGE, HOST, Note, Order
from tests.actors.link.test_link import ACCEPTS, Listener
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db

HERE = "127.0.0.1"
ELSEWHERE = Path("/nowhere")
LIFE = datetime.timedelta(days=1)


def make_keys(folder: Path, authority: Authority, life: datetime.timedelta = LIFE) -> LinkKeys:
    """Write one machine's keys."""
    folder.mkdir()
    issued = issue_certificate(authority, "node", (HERE,), life=life)
    keys = LinkKeys.within(folder)
    keys.authority.write_text(authority.certificate)
    keys.certificate.write_text(issued.certificate)
    keys.private_key.write_text(issued.private_key)
    return keys


@pytest.fixture
def authority(home: Path) -> Authority:
    return ensure_authority(home)


@pytest.fixture
def host() -> Listener:
    return Listener()


@pytest.fixture
def edge() -> Listener:
    return Listener()


@pytest.fixture
async def server(home: Path, authority: Authority, host: Listener) -> AsyncIterator[LinkServer]:
    keys = make_keys(home / "host", authority)
    terms = LinkTerms(HOST, "key", ACCEPTS, keys)
    lent = LinkServer(home / "run" / "host.sock", terms, host, host=HERE)
    await lent.start()
    yield lent
    await lent.close()


@pytest.fixture
def edge_terms(home: Path, authority: Authority) -> LinkTerms:
    return LinkTerms(EDGE, "key", ACCEPTS, make_keys(home / "edge", authority))


async def connect(server: LinkServer, terms: LinkTerms, owner: Listener) -> Link:
    return await open_link(choose_address(server.address, ELSEWHERE), terms, HOST, owner)


def port_of(server: LinkServer) -> int:
    return read_tls_address(choose_address(server.address, ELSEWHERE))[1]


async def say_hello_blindly(server: LinkServer, context: ssl.SSLContext) -> bytes:
    """Return what a peer hears that sends its hello over any TLS it can get."""
    streams = await asyncio.open_connection(HERE, port_of(server), ssl=context)
    try:
        streams[1].write(frame(ENCODER.encode(make_hello(EDGE))))
        return await asyncio.wait_for(streams[0].read(10_000), 60)
    except (ssl.SSLError, ConnectionError):
        return b""  # an alert instead of an answer
    finally:
        streams[1].close()


def test_of_the_announced_addresses_the_near_one_is_for_the_same_machine(home: Path) -> None:
    path = home / "run" / "host-0-7.sock"
    announced = join_addresses(f"unix:{path}", make_tls_address("10.0.0.2", 7))
    assert choose_address(announced, path.parent) == "tls://10.0.0.2:7"  # not ours: no such file
    path.touch()
    assert choose_address(announced, path.parent) == f"unix:{path}"
    assert choose_address(announced, ELSEWHERE) == "tls://10.0.0.2:7"
    assert choose_address(f"unix:{path}", ELSEWHERE) == ""
    assert read_tls_address(make_tls_address("::1", 7)) == ("::1", 7)
    with pytest.raises(ValueError, match="host:port"):
        read_tls_address("tls://nobody")


async def test_nothing_waits_in_a_link_whose_other_end_is_gone(
    server: LinkServer, host: Listener, edge: Listener, edge_terms: LinkTerms
) -> None:
    link = await connect(server, edge_terms, edge)
    await wait_until(lambda: bool(host.links))
    link.send(Order(1))
    await host.links[0].close()
    await wait_until(lambda: bool(edge.lost))
    assert link.queued_bytes == 0


async def test_both_ends_hear_each_other_in_order_and_large_batches_arrive(
    server: LinkServer, host: Listener, edge: Listener, edge_terms: LinkTerms
) -> None:
    link = await connect(server, edge_terms, edge)
    for number in range(100):
        link.send(Order(number))
    await wait_until(lambda: len(host.heard) == 100)
    assert host.heard == [Order(number) for number in range(100)]
    notes = [Note(f"{number}" + "x" * 200_000) for number in range(20)]
    for note in notes:
        host.links[0].send(note)
    await wait_until(lambda: len(edge.heard) == len(notes))
    assert edge.heard == notes
    await link.close()
    await wait_until(lambda: host.lost == ["eof"])


async def test_the_connection_is_tls_1_3_with_certificates_on_both_sides(
    server: LinkServer, edge: Listener, edge_terms: LinkTerms
) -> None:
    link = await connect(server, edge_terms, edge)
    safe = link._parts.writer.get_extra_info("ssl_object")
    assert safe.version() == "TLSv1.3"
    assert safe.getpeercert()["subjectAltName"]
    await link.close()


async def test_a_certificate_of_another_authority_is_believed_by_neither_side(
    server: LinkServer, host: Listener, edge: Listener, home: Path
) -> None:
    (home / "elsewhere").mkdir()
    stranger = make_keys(home / "stranger", ensure_authority(home / "elsewhere"))
    with pytest.raises(LinkUnproven):
        await connect(server, LinkTerms(EDGE, "key", ACCEPTS, stranger), edge)
    # Whoever does not look at our certificate still has to show one of ours.
    blind = stranger.make_context(is_server=False)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    assert await say_hello_blindly(server, blind) == b""
    assert host.links == []


@pytest.mark.parametrize(("side", "refusal"), [("opener", LinkRefused), ("answerer", LinkUnproven)])
async def test_an_expired_certificate_opens_nothing(
    home: Path,
    authority: Authority,
    edge: Listener,
    host: Listener,
    side: str,
    refusal: type[LinkRefused],
) -> None:
    lives = {"opener": LIFE, "answerer": LIFE, side: datetime.timedelta(hours=-1)}
    keys = {name: make_keys(home / name, authority, life) for name, life in lives.items()}
    terms = LinkTerms(HOST, "key", ACCEPTS, keys["answerer"])
    server = LinkServer(home / "run" / "host.sock", terms, host, host=HERE)
    await server.start()
    with pytest.raises(refusal) as refused:
        await connect(server, LinkTerms(EDGE, "key", ACCEPTS, keys["opener"]), edge)
    assert not isinstance(refused.value, LinkGone)
    assert host.links == []
    await server.close()


async def test_a_certificate_for_another_address_is_not_believed(
    home: Path, authority: Authority, edge: Listener, host: Listener, edge_terms: LinkTerms
) -> None:
    folder = home / "moved"
    keys = make_keys(folder, authority)
    issued = issue_certificate(authority, "node", ("192.0.2.7",), life=LIFE)
    keys.certificate.write_text(issued.certificate)
    keys.private_key.write_text(issued.private_key)
    terms = LinkTerms(HOST, "key", ACCEPTS, keys)
    server = LinkServer(home / "run" / "host.sock", terms, host, host=HERE)
    await server.start()
    with pytest.raises(LinkUnproven):
        await connect(server, edge_terms, edge)
    await server.close()


async def test_a_certificate_alone_is_not_enough(
    server: LinkServer, host: Listener, edge: Listener, edge_terms: LinkTerms
) -> None:
    wrong = LinkTerms(EDGE, "another key", ACCEPTS, edge_terms.keys)
    with pytest.raises(LinkUnproven):
        await connect(server, wrong, edge)
    assert host.links == []


async def test_plain_text_is_never_spoken(
    server: LinkServer, host: Listener, edge: Listener, edge_terms: LinkTerms
) -> None:
    reader, writer = await asyncio.open_connection(HERE, port_of(server))
    writer.write(frame(ENCODER.encode(make_hello(EDGE))))
    assert b"host-0" not in await asyncio.wait_for(reader.read(10_000), 60)
    writer.close()
    assert host.links == []

    async def answer_plainly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(ENCODER.encode(make_hello(HOST))))
        await writer.drain()
        writer.close()

    plain = await asyncio.start_server(answer_plainly, HERE, 0)
    address = make_tls_address(HERE, plain.sockets[0].getsockname()[1])
    with pytest.raises(LinkUnproven):
        await open_link(address, edge_terms, HOST, edge)
    plain.close()


async def test_without_keys_no_way_leads_to_another_machine(
    server: LinkServer, edge: Listener
) -> None:
    with pytest.raises(LinkRefused):
        await connect(server, LinkTerms(EDGE, "key", ACCEPTS), edge)


class Crowd(set[asyncio.Task[None]]):
    """A set that knows how many were in it at most."""

    most = 0

    def add(self, one: asyncio.Task[None]) -> None:
        super().add(one)
        self.most = max(self.most, len(self))


async def test_half_open_strangers_are_dropped_and_do_not_keep_others_out(
    server: LinkServer, edge: Listener, edge_terms: LinkTerms
) -> None:
    server._pending = pending = Crowd()
    strangers = await asyncio.gather(
        *(asyncio.open_connection(HERE, port_of(server)) for _ in range(PENDING_MAX + 8))
    )
    over = [await asyncio.wait_for(reader.read(1), 60) for reader, _ in strangers]
    assert over == [b""] * len(strangers)
    assert pending.most == PENDING_MAX
    await wait_until(lambda: not pending)
    link = await connect(server, edge_terms, edge)
    await link.close()
    for _, writer in strangers:
        writer.close()


async def test_only_a_closed_door_or_another_one_behind_it_means_gone(
    server: LinkServer, edge: Listener, edge_terms: LinkTerms
) -> None:
    """What else keeps a link from opening may befall us alone, and fences nobody elsewhere."""
    asleep = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(30), HERE, 0)
    address = make_tls_address(HERE, asleep.sockets[0].getsockname()[1])
    with pytest.raises(LinkRefused) as silent:
        await open_link(address, edge_terms, HOST, edge)
    assert type(silent.value) is LinkRefused
    asleep.close()
    with pytest.raises(LinkGone):
        await open_link(address, edge_terms, HOST, edge)
    later = LinkPeer(HOST.role, HOST.name, HOST.incarnation + 1)
    with pytest.raises(LinkGone):
        await open_link(choose_address(server.address, ELSEWHERE), edge_terms, later, edge)
