"""The batch egress with its inner loop compiled: sealing and sending in one call.

What does not go at once, whatever is refused, and viewers of other ciphers are the business of
`egress_batch`, which goes on in the same slab.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Sequence

from media.sfu.compiled_loop import PACKETS_MAX, Audience, CompiledLoop, Sent
from media.sfu.egress import DatagramSender, EgressJob, EgressTarget, LoopTurns
from media.sfu.egress_batch import SLAB_BYTES, BatchEgress, cut_runs
from media.sfu.packets_out import OutPacket
from media.sfu.sendmmsg import BUNDLE_SEGMENTS_MAX, MESSAGES_MAX, NAME_SPACE, pack_name


class CompiledEgress(BatchEgress):
    """Hands whole targets to the compiled loop, as many at a time as the slab holds."""

    def __init__(
        self,
        sink: DatagramSender,
        turns: LoopTurns,
        now: Callable[[], float],
        loop: CompiledLoop,
    ) -> None:
        super().__init__(sink, turns, now, is_bundling=True)
        self.name = "compiled"
        self._loop = loop
        self._slab_at = ctypes.addressof(ctypes.c_char.from_buffer(self._slab))

    def _send_some(self, job: EgressJob) -> bool:
        """Seal and send to as many targets as fit; by Python where the loop cannot."""
        packets, count = job.packets, len(job.packets)
        if job.next_packet or count > PACKETS_MAX:
            return super()._send_some(job)
        tag_bytes = job.targets[job.next_target].tag_bytes
        size_bytes = sum(packet.size_bytes for packet in packets) + tag_bytes * count
        messages = count
        if count > 1 and self._is_bundling and not self._refusers:
            messages = sum(1 for _ in cut_runs(packets, is_bundling=True))
        room = min(SLAB_BYTES // size_bytes, MESSAGES_MAX // messages)
        end = min(job.next_target + room, len(job.targets))
        targets = [one for one in job.targets[job.next_target : end] if one.is_open]
        fd = self._sink.fileno()
        audience = self._describe(targets, packets[0]) if room and fd >= 0 else None
        if audience is None:
            return super()._send_some(job)
        done = self._loop.send(fd, audience, packets, self._slab_at)
        job.next_target = end
        for one in targets:
            one.packets_out += count
        return done is None or self._go_on(done, targets, audience.names)

    def _describe(self, targets: Sequence[EgressTarget], first: OutPacket) -> Audience | None:
        """Return the targets as the loop takes them; None when one of them is not for it."""
        family = self._sink.family
        streams = [one.describe_stream(first.ssrc, first.index) for one in targets]
        if not all(streams):
            return None
        try:
            names = [pack_name(one.address, family) for one in targets]
        except (OSError, ValueError):
            return None
        refusers = self._refusers
        alone = bytes(name in refusers for name in names) if refusers else bytes(len(names))
        segments_max = BUNDLE_SEGMENTS_MAX if self._is_bundling else 1
        return Audience(b"".join(streams), b"".join(names), alone, segments_max)

    def _go_on(self, done: Sent, targets: Sequence[EgressTarget], names: bytes) -> bool:
        """Count what was not sealed, and leave what did not go to the batch; False: it waits."""
        for one, unsealed in zip(targets, done.unsealed, strict=True):
            one.packets_out -= unsealed
            self.packets_dropped += unsealed
        self._messages = [
            (names[at * NAME_SPACE : (at + 1) * NAME_SPACE], offset, size, segment)
            for at, offset, size, segment in done.messages[done.sent :]
        ]
        if done.code == errno.EAGAIN:
            return False
        if done.code:
            self._give_up(OSError(done.code, os.strerror(done.code)))
        return self._flush()
