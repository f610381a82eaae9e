"""One UDP socket for every peer: reads, tells protocols apart, limits strangers, sends.

Owned by `server`, which handles what arrives. Bound once per process; never shared between
processes, since ICE and DTLS state lives in this one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from media.sfu.budget import SourceBudgets
from media.sfu.stun import Address

READ_BATCH = 64
DATAGRAM_BYTES_MAX = 2048
SOCKET_BUFFER_BYTES = 4 << 20


class DatagramHandler(Protocol):
    """What the mux calls, once per datagram, and once after each batch of them."""

    def on_stun(self, datagram: bytes, source: Address) -> None:
        """A STUN message within the source's rate."""
        ...

    def on_dtls(self, datagram: bytes, source: Address) -> None:
        """A DTLS record."""
        ...

    def on_media(self, datagram: bytes, source: Address) -> None:
        """An SRTP or SRTCP packet."""
        ...

    def on_batch_end(self) -> None:
        """Nothing more to read for now."""
        ...


class UdpMux:
    """The socket and its place in the event loop."""

    def __init__(
        self, handler: DatagramHandler, now: Callable[[], float], stun_per_source_per_s: float
    ) -> None:
        self._handler = handler
        self._now = now
        self._stun = SourceBudgets(stun_per_source_per_s, 2 * stun_per_source_per_s)
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.datagrams_in = 0
        self.datagrams_refused = 0
        self.sends_failed = 0

    def open(self, host: str, port: int) -> None:
        """Bind and start reading; raises OSError when the port is taken. Needs a running loop."""
        assert self._socket is None, "a mux opens once"
        self._loop = asyncio.get_running_loop()
        self._socket = _bind_socket(host, port)
        self._loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Stop reading and free the port; closing twice does nothing."""
        if self._socket is None or self._loop is None:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._socket = None

    @property
    def port(self) -> int:
        """The bound port; 0 while closed."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else 0

    @property
    def family(self) -> int:
        """The socket's address family."""
        return self._socket.family if self._socket is not None else socket.AF_INET

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 while closed."""
        return self._socket.fileno() if self._socket is not None else -1

    def sendto(self, datagram: bytes | memoryview, address: Address, /) -> int:
        """Send one datagram; raises BlockingIOError when the socket's buffer is full."""
        if self._socket is None:
            return 0
        return self._socket.sendto(datagram, address)

    def send_or_drop(self, datagram: bytes, address: Address) -> None:
        """Send control traffic; all of it is repeated by its protocol when lost."""
        try:
            self.sendto(datagram, address)
        except OSError:  # Full buffer, or no route to a peer that has gone.
            self.sends_failed += 1

    def run_next_turn(self, callback: Callable[[], None]) -> None:
        """Call back once in the loop's next turn."""
        assert self._loop is not None, "the mux is open"
        self._loop.call_soon(callback)

    def run_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call back once, after a while."""
        assert self._loop is not None, "the mux is open"
        self._loop.call_later(delay_s, callback)

    def run_when_writable(self, callback: Callable[[], None]) -> None:
        """Call back once, when the socket takes datagrams again."""
        if self._socket is None or self._loop is None:
            return
        self._loop.add_writer(self._socket.fileno(), self._on_writable, callback)

    def _on_writable(self, callback: Callable[[], None]) -> None:
        if self._socket is not None and self._loop is not None:
            self._loop.remove_writer(self._socket.fileno())
            callback()

    def _read(self) -> None:
        """Read a bounded batch; the loop calls again while more is waiting."""
        for _ in range(READ_BATCH):
            if self._socket is None:
                return
            try:
                datagram, source = self._socket.recvfrom(DATAGRAM_BYTES_MAX)
            except BlockingIOError:
                break
            except OSError:  # An ICMP error of an earlier send surfaces here.
                continue
            self.datagrams_in += 1
            if datagram:
                self._dispatch(datagram, source[:2])
        self._handler.on_batch_end()

    def _dispatch(self, datagram: bytes, source: Address) -> None:
        """Tell protocols apart by the first byte (RFC 7983 §7)."""
        first = datagram[0]
        if 128 <= first <= 191:
            self._handler.on_media(datagram, source)
        elif 20 <= first <= 63:
            self._handler.on_dtls(datagram, source)
        elif first <= 3 and self._stun.spend(source[0], self._now()):
            self._handler.on_stun(datagram, source)
        else:
            self.datagrams_refused += 1


def choose_host(candidate_ips: Sequence[str]) -> str:
    """Return what to bind so that peers reach every candidate: both families by one IPv6 socket."""
    return "::" if any(":" in ip for ip in candidate_ips) else "0.0.0.0"  # noqa: S104


def _bind_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            bound.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
