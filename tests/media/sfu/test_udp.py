"""The one socket: each protocol goes to its handler, strangers have a budget of STUN each."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from media.sfu.udp import READ_BATCH, UdpMux, choose_host
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media

RATE_PER_S = 10.0
STUN = b"\x00\x01" + bytes(18)


class Handled:
    """What arrived, by protocol, in order; and how many turns it took."""

    def __init__(self) -> None:
        self.came: list[tuple[str, bytes]] = []
        self.batches = 0

    def on_stun(self, datagram: bytes, source: tuple[str, int]) -> None:
        self.came.append(("stun", datagram))

    def on_dtls(self, datagram: bytes, source: tuple[str, int]) -> None:
        self.came.append(("dtls", datagram))

    def on_media(self, datagram: bytes, source: tuple[str, int]) -> None:
        self.came.append(("media", datagram))

    def on_batch_end(self) -> None:
        self.batches += 1


class Stage:
    """A mux with a clock that stands, and sockets that send to it."""

    def __init__(self, stack: ExitStack) -> None:
        self.handled = Handled()
        self.now_s = 0.0
        self.mux = UdpMux(self.handled, lambda: self.now_s, RATE_PER_S)
        self.mux.open("127.0.0.1", 0)
        stack.callback(self.mux.close)
        self._stack = stack

    def lend_socket(self, host: str = "127.0.0.1") -> socket.socket:
        """Return a socket of this host that is connected to the mux."""
        sender = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender.bind((host, 0))
        sender.connect(("127.0.0.1", self.mux.port))
        return sender

    async def send(self, sender: socket.socket, *datagrams: bytes) -> None:
        """Send and wait until the mux has read all of it."""
        wanted = self.mux.datagrams_in + len(datagrams)
        for datagram in datagrams:
            sender.send(datagram)
        await wait_until(lambda: self.mux.datagrams_in == wanted)


@contextmanager
def lend_stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


@pytest.mark.parametrize(
    ("first", "protocol"),
    [
        (0, "stun"),
        (3, "stun"),
        (4, None),
        (19, None),
        (20, "dtls"),
        (63, "dtls"),
        (64, None),
        (127, None),
        (128, "media"),
        (191, "media"),
        (192, None),
        (255, None),
    ],
)
async def test_the_first_byte_says_whose_a_datagram_is(first: int, protocol: str | None) -> None:
    with lend_stage() as stage:
        datagram = bytes([first]) + b" and the rest"
        await stage.send(stage.lend_socket(), datagram)
        assert stage.handled.came == ([] if protocol is None else [(protocol, datagram)])
        assert stage.mux.datagrams_refused == (protocol is None)


async def test_a_source_has_its_own_budget_of_stun_whatever_ports_it_sends_from() -> None:
    burst = int(2 * RATE_PER_S)
    with lend_stage() as stage:
        one, again, other = stage.lend_socket(), stage.lend_socket(), stage.lend_socket("127.0.0.2")
        await stage.send(one, *[STUN] * (burst + 5))
        await stage.send(again, STUN)
        assert (len(stage.handled.came), stage.mux.datagrams_refused) == (burst, 6)
        # Media and handshakes of the same source are not strangers', nor are other sources' asks.
        await stage.send(one, b"\x80media", b"\x16dtls")
        await stage.send(other, STUN)
        assert [kind for kind, _ in stage.handled.came[burst:]] == ["media", "dtls", "stun"]
        stage.now_s = 1.0
        await stage.send(one, *[STUN] * burst)
        assert stage.mux.datagrams_refused == 6 + burst - RATE_PER_S


async def test_a_flood_leaves_the_loop_its_turns() -> None:
    with lend_stage() as stage:
        await stage.send(stage.lend_socket(), *[b"\x80"] * (2 * READ_BATCH + 1))
        assert len(stage.handled.came) == 2 * READ_BATCH + 1
        assert stage.handled.batches >= 3


async def test_what_cannot_be_sent_is_dropped_and_counted() -> None:
    with lend_stage() as stage:
        stage.mux.send_or_drop(bytes(70_000), ("127.0.0.1", 9))
        assert stage.mux.sends_failed == 1
        listener = stage.lend_socket()
        stage.mux.send_or_drop(b"pong", listener.getsockname())
        listener.settimeout(60)
        assert listener.recv(10) == b"pong"


async def test_a_port_is_taken_once_and_free_when_it_was_closed() -> None:
    with lend_stage() as stage:
        port = stage.mux.port
        second = UdpMux(Handled(), lambda: 0.0, RATE_PER_S)
        with pytest.raises(OSError, match="in use") as taken:
            second.open("127.0.0.1", port)
        assert taken.value.errno == errno.EADDRINUSE
        stage.mux.close()
        stage.mux.close()
        assert (stage.mux.port, stage.mux.fileno()) == (0, -1)
        second.open("127.0.0.1", port)
        second.close()


@pytest.mark.parametrize(
    ("candidates", "host"), [(["192.0.2.1"], "0.0.0.0"), (["192.0.2.1", "2001:db8::1"], "::")]
)
def test_both_families_are_reached_by_one_socket(candidates: list[str], host: str) -> None:
    assert choose_host(candidates) == host
