"""One open link: batches what is sent, hands over what arrives, notices silence.

Made by `server.py` and `opening.py` after the hello. Used from one event loop. What is sent within
one loop turn leaves as one frame. The queue is bounded: a peer that does not read loses the link.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any, Protocol

from actors.link.frames import (
    HEADER_BYTES,
    FrameRefused,
    LinkLost,
    LinkPeer,
    decode_frame,
    encode_frames,
    make_decoder,
    read_length,
)
from kit.logs import get_log
from kit.metrics import LINK_FRAMES, LINKS_ENDED

log = get_log("link")

HEARTBEAT_S = 0.3
SILENCE_S = 1.0
STALL_S = 0.3
"""When our own watch ran so late, silence says more about us than about the peer."""
QUEUE_BYTES_MAX = 8 << 20
QUEUE_MESSAGES_MAX = 20_000


class LinkOwner(Protocol):
    """Whoever a link belongs to; called on the event loop, and must not block."""

    def on_link_open(self, link: Link) -> None:
        """A peer proved itself."""
        ...

    def on_link_messages(self, link: Link, messages: list[Any]) -> None:
        """Messages of one frame, in order."""
        ...

    def on_link_lost(self, link: Link, reason: str) -> None:
        """The link is over; called once."""
        ...


@dataclass(frozen=True)
class LinkParts:
    """What a link is made of after the hello."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    me: LinkPeer
    peer: LinkPeer
    accepted: Any
    owner: LinkOwner


class Link:
    """An authenticated connection to `peer`."""

    def __init__(self, parts: LinkParts) -> None:
        self._parts = parts
        self._decoder = make_decoder(parts.accepted)
        self._pending: list[Any] = []
        self._is_flush_due = False
        self._tasks: list[asyncio.Task[None]] = []
        self._heard_at_s = time.monotonic()
        self._sent_at_s = time.monotonic()
        self.is_open = True

    @property
    def peer(self) -> LinkPeer:
        """Who is at the other end."""
        return self._parts.peer

    @property
    def queued_bytes(self) -> int:
        """What was written and the peer's side did not take yet; 0 when the link is over."""
        if not self.is_open:
            return 0
        return self._parts.writer.transport.get_write_buffer_size()

    def start(self) -> None:
        """Begin reading and watching; the owner hears of it first."""
        self._parts.owner.on_link_open(self)
        self._tasks = [
            asyncio.create_task(self._read(), name=f"link-read-{self.peer.name}"),
            asyncio.create_task(self._watch(), name=f"link-watch-{self.peer.name}"),
        ]

    def send(self, message: Any) -> None:
        """Queue a message; raises LinkLost when the link is over."""
        if not self.is_open:
            raise LinkLost
        self._pending.append(message)
        if len(self._pending) > QUEUE_MESSAGES_MAX:
            self.end("overflow")
            raise LinkLost
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def end(self, reason: str) -> None:
        """Close at once and tell the owner; ending twice does nothing."""
        if not self.is_open:
            return
        self._flush()
        if not self.is_open:
            return
        self.is_open = False
        self._parts.writer.close()
        # TLS would wait half a minute for the goodbye of a peer that is no more.
        transport = self._parts.writer.transport
        asyncio.get_running_loop().call_later(SILENCE_S, transport.abort)
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        LINKS_ENDED.labels(self.peer.role, reason).inc()
        log.info("link.lost", role=self.peer.role, peer=self.peer.name, reason=reason)
        self._parts.owner.on_link_lost(self, reason)

    async def close(self) -> None:
        """End the link and wait for its tasks."""
        self.end("closed")
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                await self._parts.writer.wait_closed()

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._pending and self.is_open:
            messages, self._pending = self._pending, []
            self._write(messages)

    def _write(self, messages: list[Any]) -> None:
        transport = self._parts.writer.transport
        try:
            for data in encode_frames(self._parts.me.incarnation, messages):
                transport.write(data)
        except FrameRefused as error:
            log.exception("link.message_too_large", peer=self.peer.name, error=error.text)
            self.end("oversize")
            return
        LINK_FRAMES.labels("sent").inc()
        self._sent_at_s = time.monotonic()
        if transport.get_write_buffer_size() > QUEUE_BYTES_MAX:
            self.end("overflow")

    async def _read(self) -> None:
        """Hand over frames until the peer is gone or sends what it must not."""
        reader, owner = self._parts.reader, self._parts.owner
        reason = "eof"
        try:
            while self.is_open:
                length = read_length(await reader.readexactly(HEADER_BYTES))
                envelope = decode_frame(self._decoder, await reader.readexactly(length))
                self._heard_at_s = time.monotonic()
                LINK_FRAMES.labels("received").inc()
                if envelope.incarnation != self.peer.incarnation:
                    reason = "other_incarnation"
                    break
                if envelope.messages:
                    owner.on_link_messages(self, envelope.messages)
        except (asyncio.IncompleteReadError, OSError):
            reason = "eof"
        except FrameRefused as error:
            log.warning("link.frame_refused", peer=self.peer.name, error=error.text)
            reason = "refused"
        except Exception as error:  # the owner's fault must end the link, not leave it half-alive
            log.exception("link.owner_failed", peer=self.peer.name, error=type(error).__name__)
            reason = "fault"
        self.end(reason)

    async def _watch(self) -> None:
        """Send heartbeats and end the link after a second of silence."""
        while self.is_open:
            before_s = time.monotonic()
            await asyncio.sleep(HEARTBEAT_S / 2)
            now_s = time.monotonic()
            if now_s - before_s > HEARTBEAT_S / 2 + STALL_S:
                self._heard_at_s = now_s
            elif now_s - self._heard_at_s > SILENCE_S:
                self.end("silent")
            if self.is_open and now_s - self._sent_at_s >= HEARTBEAT_S / 2:
                self._write([])
