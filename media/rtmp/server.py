"""The RTMP listener: connections, time limits, and the hand-over of publishers.

Owned by the edge. `admit` decides who may publish, before any media is read; what it returns gets
every tag. Plain asyncio; bytes that break the protocol cost their own connection and no other.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, cast

from kit.logs import get_log
from media.rtmp.errors import PublishRefused, RtmpMalformed
from media.rtmp.session import Metadata, PublishEnded, PublishRequested, RtmpEvent, RtmpSession
from media.rtmp.tags import Tag, TagUnsupported

SWEEP_S = 1.0
GOODBYE_S = 0.5
"""A refused client has so long to read why before its connection ends."""
OUTPUT_BYTES_MAX = 64 << 10

log = get_log("rtmp")


@dataclass(frozen=True)
class RtmpOptions:
    """Addresses and limits of one listener; `port` 0 takes any free one."""

    host: str = "127.0.0.1"
    port: int = 1935
    share_port: bool = False
    """Several edges of one machine may listen on one port; a connection stays with one."""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    connections_max: int = 200
    unadmitted_per_address_max: int = 20
    admission_timeout_s: float = 10.0
    idle_timeout_s: float = 15.0
    bitrate_max_bps: int = 50_000_000
    bitrate_over_s_max: int = 5
    """So many seconds in a row may be over it."""


class Publication(Protocol):
    """An admitted publisher's way into the product."""

    def apply(self, tag: Tag) -> None:
        """Take what the publisher sent; raises PublishRefused for what cannot go on."""
        ...

    def end(self, reason: str) -> None:
        """The publisher is gone; once only.

        Reasons: "left", "lost", "timeout", "malformed", "slow", "cut" (by us), "shutdown".
        """
        ...


@dataclass(frozen=True)
class Applicant:
    """Who asks to publish; `cut(reason)` ends the connection later, the publisher being told."""

    app: str
    key: str = field(repr=False)
    encoder: str
    address: str
    cut: Callable[[str], None] = field(repr=False)


Admit = Callable[[Applicant], Awaitable[Publication]]


class RtmpServer:
    """All RTMP connections of one edge."""

    def __init__(self, options: RtmpOptions, admit: Admit) -> None:
        self.refused = 0
        self._options = options
        self._admit = admit
        self._listener: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._connections: set[_Connection] = set()

    @property
    def port(self) -> int:
        """The bound port; 0 while not started."""
        return 0 if self._listener is None else int(self._listener.sockets[0].getsockname()[1])

    def __len__(self) -> int:
        return len(self._connections)

    async def start(self) -> None:
        """Listen; raises OSError when the port is taken."""
        options = self._options
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self, options),
            options.host,
            options.port,
            ssl=options.tls,
            reuse_port=options.share_port or None,
        )
        self._sweeping = asyncio.create_task(self._sweep(), name="rtmp-sweep")

    async def close(self) -> None:
        """End every connection and free the port; closing twice does nothing."""
        if self._listener is None:
            return
        self._listener.close()
        for connection in list(self._connections):
            connection.end("shutdown")
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        self._listener = None

    # For connections

    def take(self, connection: _Connection) -> bool:
        """Keep a new connection; False when there are too many."""
        options = self._options
        waiting = Counter(c.address for c in self._connections if c.publication is None)
        is_full = len(self._connections) >= options.connections_max
        if is_full or waiting[connection.address] >= options.unadmitted_per_address_max:
            self.refused += 1
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: _Connection) -> None:
        """Let a connection go."""
        self._connections.discard(connection)

    async def admit(self, applicant: Applicant) -> Publication:
        """Ask who owns the key, within the time there is. Raises PublishRefused."""
        try:
            async with asyncio.timeout(self._options.admission_timeout_s):
                return await self._admit(applicant)
        except TimeoutError as error:
            raise PublishRefused("The server is busy; try again.") from error

    async def _sweep(self) -> None:
        """End the silent, the slow and the too fast, once a second."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            for connection in list(self._connections):
                connection.check_limits(loop.time())


class _Connection(asyncio.Protocol):
    """One publisher's socket."""

    def __init__(self, server: RtmpServer, options: RtmpOptions) -> None:
        self.address = ""
        self.publication: Publication | None = None
        self._server = server
        self._options = options
        self._session = RtmpSession(os.urandom)
        self._transport: asyncio.Transport | None = None
        self._admitting: asyncio.Task[None] | None = None
        self._since_s = 0.0
        self._heard_at_s = 0.0
        self._bytes = 0
        self._over_s = 0
        self._is_leaving = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket, unless there are too many."""
        # Not asserted: uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        peer = self._transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self._since_s = self._heard_at_s = asyncio.get_running_loop().time()
        if not self._server.take(self):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read what came and act on it."""
        self._heard_at_s = asyncio.get_running_loop().time()
        self._bytes += len(data)
        self._follow(lambda: self._session.receive(data))

    def connection_lost(self, _exc: Exception | None) -> None:
        """The socket is gone."""
        self.end("lost")

    # Within

    def _follow(self, listen: Callable[[], list[RtmpEvent]]) -> None:
        """Act on what the conversation brings, and send what it has to say."""
        try:
            for event in listen():
                self._act(event)
        except PublishRefused as refused:
            self._say_goodbye(refused.reason)
        except TagUnsupported as unsupported:
            self._say_goodbye(str(unsupported))
        except RtmpMalformed as malformed:
            log.info("rtmp.malformed", address=self.address, why=str(malformed))
            self.end("malformed")
        self._flush()

    def _act(self, event: RtmpEvent) -> None:
        if isinstance(event, PublishRequested):
            assert self._transport is not None, "connected"
            self._transport.pause_reading()  # nothing more is read of a publisher not yet admitted
            applicant = Applicant(
                event.app, event.key, self._session.encoder, self.address, self._say_goodbye
            )
            self._admitting = asyncio.create_task(self._admit(applicant), name="rtmp-admit")
        elif isinstance(event, PublishEnded):
            # FFmpeg has more to say afterwards, and fails where nobody takes it.
            self._release("left")
            self._end_soon("left")
        elif isinstance(event, Metadata):
            pass
        elif self.publication is not None:
            self.publication.apply(event)

    async def _admit(self, applicant: Applicant) -> None:
        """Answer a publisher; the task is owned by its connection."""
        assert self._transport is not None, "connected"
        try:
            publication = await self._server.admit(applicant)
        except PublishRefused as refused:
            self._server.refused += 1
            self._session.refuse_publish(refused)
            self._flush()
            self._close_soon()
            return
        if self._transport.is_closing():
            publication.end("lost")
            return
        self.publication = publication
        # First of all: whoever is refused for what came behind `publish` is not read any further.
        self._transport.resume_reading()
        try:
            self._follow(self._session.accept_publish)
        except Exception:
            log.exception("rtmp.failed", address=self.address)
            self.end("malformed")

    def _say_goodbye(self, reason: str) -> None:
        """End a publisher's stream and tell it why; one that is gone already needs no telling."""
        if self.publication is None:
            return
        log.info("rtmp.cut", address=self.address, reason=reason)
        self._session.say_ended(reason)
        self._flush()
        self._release("cut")
        self._close_soon()

    def _close_soon(self) -> None:
        """Close once what was said has had time to arrive; nothing more is read."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._end_soon("refused")

    def _end_soon(self, reason: str) -> None:
        self._is_leaving = True
        asyncio.get_running_loop().call_later(GOODBYE_S, self.end, reason)

    def _ends_by_itself(self) -> bool:
        """Say whether it is being admitted, for which there is a limit, or about to be closed."""
        is_admitting = self._admitting is not None and not self._admitting.done()
        return self._is_leaving or is_admitting

    def _flush(self) -> None:
        output = self._session.take_output()
        transport = self._transport
        if output and transport is not None and not transport.is_closing():
            transport.write(output)
            if transport.get_write_buffer_size() > OUTPUT_BYTES_MAX:
                self.end("slow")

    def check_limits(self, now_s: float) -> None:
        """End a connection that is silent, not admitted in time, or over its bit rate."""
        options = self._options
        if self.publication is None:
            is_late = now_s - self._since_s > options.admission_timeout_s
            if is_late and not self._ends_by_itself():
                self.end("timeout")
            return
        if now_s - self._heard_at_s > options.idle_timeout_s:
            self.end("timeout")
            return
        is_over = self._bytes * 8 > options.bitrate_max_bps * SWEEP_S
        self._bytes = 0
        self._over_s = self._over_s + 1 if is_over else 0
        if self._over_s >= options.bitrate_over_s_max:
            megabits = options.bitrate_max_bps // 1_000_000
            self._say_goodbye(f"The stream is over {megabits} Mbit/s; lower the bit rate.")

    def _release(self, reason: str) -> None:
        publication, self.publication = self.publication, None
        if publication is not None:
            publication.end(reason)

    def end(self, reason: str) -> None:
        """End the connection now; ending twice does nothing."""
        self._server.forget(self)
        if self._admitting is not None:
            self._admitting.cancel()
        self._release(reason)
        if self._transport is not None:
            self._transport.abort()
