"""Many datagrams per system call, as sendmmsg or as bundles that the kernel or card cuts up (GSO).

Seals packets side by side into a slab, a viewer's after one another, so that packets of one size
are a bundle where they lie. Where a device or a path refuses bundles they go out one by one.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from media.sfu.egress import DatagramSender, EgressJob, EgressTarget, LoopTurns, QueuedEgress
from media.sfu.egress_sendto import SEAL_ERRORS
from media.sfu.packets_out import OutPacket
from media.sfu.sendmmsg import (
    BUNDLE_BYTES_MAX,
    BUNDLE_SEGMENTS_MAX,
    MESSAGES_MAX,
    Message,
    MessageBatch,
    pack_name,
)

PART_PACKETS = 128
SLAB_BYTES = 1 << 18
REFUSERS_MAX = 64
REFUSALS = frozenset({errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.EIO})


class MessageSender(Protocol):
    """`sendmmsg.MessageBatch`, or a stand-in for the kernel."""

    def write(self, messages: Sequence[Message], /) -> None:
        """Take messages to send."""
        ...

    def send(self, fd: int, first: int, end: int, /) -> int:
        """Send some of them; raises OSError when the first cannot be sent."""
        ...


class BatchEgress(QueuedEgress):
    """Fills the slab, sends it, and goes on where the kernel stopped."""

    def __init__(
        self,
        sink: DatagramSender,
        turns: LoopTurns,
        now: Callable[[], float],
        *,
        is_bundling: bool,
        make_sender: Callable[[bytearray], MessageSender] = MessageBatch,
    ) -> None:
        super().__init__(sink, turns, now)
        slab = bytearray(SLAB_BYTES)
        self.name = "gso" if is_bundling else "sendmmsg"
        self._slab = memoryview(slab)
        self._sender = make_sender(slab)
        self._is_bundling = is_bundling
        self._refusers: set[bytes] = set()
        self._messages: list[Message] = []
        self._first = 0
        self.bundles_refused = 0

    def _send_some(self, job: EgressJob) -> bool:
        """Seal up to `PART_PACKETS` packets, at least those of one message, and send them."""
        packets = job.packets
        runs = [
            (
                first,
                end,
                sum(packet.size_bytes for packet in packets[first:end]),
            )
            for first, end in cut_runs(packets, is_bundling=self._is_bundling)
        ]
        offset = sealed = 0
        family = self._sink.family
        while job.next_target < len(job.targets) and sealed < PART_PACKETS:
            target = job.targets[job.next_target]
            name = self._find_name(target, family)
            for first, end, plain_bytes in runs if name else ():
                if first < job.next_packet:
                    continue
                size = plain_bytes + (end - first) * target.tag_bytes
                if offset + size > SLAB_BYTES or len(self._messages) >= MESSAGES_MAX:
                    return self._flush()
                job.next_packet = end
                sealed += end - first
                self._seal_run(packets[first:end], target, name, offset)
                offset += size
            job.skip_target()
        return self._flush()

    def _find_name(self, target: EgressTarget, family: int) -> bytes:
        """Return where to send; empty when there is nobody or no such address."""
        if not target.is_open:
            return b""
        try:
            return pack_name(target.address, family)
        except (OSError, ValueError):
            self.packets_dropped += 1
            return b""

    def _seal_run(
        self, packets: Sequence[OutPacket], target: EgressTarget, name: bytes, offset: int
    ) -> None:
        """Seal one run as one message, or as several when the path refuses bundles."""
        try:
            end = target.seal(packets, self._slab, offset)
        except SEAL_ERRORS:
            self.packets_dropped += len(packets)
            return
        target.packets_out += len(packets)
        segment = packets[0].size_bytes + target.tag_bytes
        message = (name, offset, end - offset, segment if len(packets) > 1 else 0)
        if message[3] and (not self._is_bundling or name in self._refusers):
            self._messages += split_bundle(message)
        else:
            self._messages.append(message)

    def _flush(self) -> bool:
        """Send the messages in order; False when the socket is full: the rest stays as sealed."""
        messages = self._messages
        while self._first < len(messages):
            fd = self._sink.fileno()
            if fd < 0:
                break
            window = messages[self._first : self._first + MESSAGES_MAX]
            self._sender.write(window)
            sent = 0
            try:
                while sent < len(window):
                    sent += self._sender.send(fd, sent, len(window))
            except BlockingIOError:
                self._first += sent
                return False
            except OSError as error:
                self._first += sent
                self._give_up(error)
                continue
            self._first += sent
        messages.clear()
        self._first = 0
        return True

    def _give_up(self, error: OSError) -> None:
        """Send a refused bundle in pieces; drop a datagram whose viewer cannot be reached."""
        message = self._messages[self._first]
        name, _offset, _size, segment = message
        if not segment or error.errno not in REFUSALS:
            self.packets_dropped += len(split_bundle(message))
            self._first += 1
            return
        self.bundles_refused += 1
        self._refusers.add(name)
        if error.errno == errno.EIO or len(self._refusers) > REFUSERS_MAX:
            self._is_bundling = False  # The device cannot do it, whoever the viewer is.
            self._refusers.clear()
        self._messages[self._first : self._first + 1] = split_bundle(message)


def split_bundle(message: Message) -> list[Message]:
    """Return a bundle's datagrams one by one; a lone datagram stays as it is."""
    name, offset, size, segment = message
    if not segment:
        return [message]
    return [
        (name, at, min(segment, offset + size - at), 0)
        for at in range(offset, offset + size, segment)
    ]


def cut_runs(packets: Sequence[OutPacket], *, is_bundling: bool) -> Iterator[tuple[int, int]]:
    """Yield [first, end) of what may leave as one bundle: equal sizes, the last may be smaller."""
    first = 0
    while first < len(packets):
        end = first + 1
        size = packets[first].size_bytes
        limit = min(BUNDLE_SEGMENTS_MAX, BUNDLE_BYTES_MAX // (size + 64)) if is_bundling else 1
        while end < len(packets) and end - first < limit and packets[end].size_bytes == size:
            end += 1
        is_tail = end < len(packets) and end - first < limit and packets[end].size_bytes < size
        end += is_tail
        yield first, end
        first = end
