"""How much a publisher's link carries, from what arrives of its streams and what is lost.

Used by `feedback`, which tells it to publishers that cannot find out by themselves (REMB). Google
congestion control's loss-based part, its rise bounded by what arrives as its delay-based part's is
(draft-ietf-rmcat-gcc-02 §6, §5.5). Pure; time comes in.
"""

from __future__ import annotations

from collections.abc import Iterable

from media.sfu.link_estimate import (
    AHEAD_MAX,
    AHEAD_MAX_BPS,
    INCREASE_PER_S,
    LOSS_HIGH,
    LOSS_LOW,
    LOSS_PACKETS_MIN,
)
from media.sfu.reception import Reception
from media.sfu.track import SourceTrack

BITRATE_MIN_BPS = 150_000
"""A picture of 180p; below that nobody would see anything."""
PROVEN_KEPT_PER_S = 0.995
"""Half of a rate that once arrived is believed in after two minutes: a screen may stand still."""


class ReceiverEstimate:
    """What one publisher may send in all its streams; the most there is until something is lost.

    A repeat in a stream of its own is one more packet that came, and does not undo the loss that it
    repairs: the link lost that. Where repeats come as the same bytes again, they cannot be told
    from late packets, and what they repair was not lost.
    """

    def __init__(self, bitrate_max_bps: int) -> None:
        self.bitrate_bps = bitrate_max_bps
        self._bitrate_max_bps = bitrate_max_bps
        self._seen: dict[SourceTrack, tuple[Reception, tuple[int, int, int], int]] = {}
        """What was counted of each track at the last look, and its bytes."""
        self._since_s: float | None = None
        self._sent = self._lost = self._received_bytes = 0
        self._proven_bps = 0.0

    def apply(self, tracks: Iterable[SourceTrack], now_s: float) -> int:
        """Take what came since the last call, about a second ago; returns what may be sent.

        Of fewer packets than tell anything the interval goes on; a pause begins another one.
        """
        came = sum([self._count(track) for track in tracks])
        if self._since_s is None or not came:
            self._begin(now_s)
        elif self._sent >= LOSS_PACKETS_MIN and now_s > self._since_s:
            self._judge(now_s - self._since_s)
            self._begin(now_s)
        return self.bitrate_bps

    def _begin(self, now_s: float) -> None:
        self._since_s = now_s
        self._sent = self._lost = self._received_bytes = 0

    def _count(self, track: SourceTrack) -> int:
        """Count what is new of a track; returns how many packets came."""
        reception, size_bytes = track.reception, track.bytes_in
        if reception is None:  # nothing that could be shown has begun
            return 0
        counts = reception.counts
        seen = self._seen.get(track)
        self._seen[track] = (reception, counts, size_bytes)
        if seen is None:  # it may have come from another publisher before
            return 0
        before = seen[1] if seen[0] is reception else (0, 0, 0)
        expected, received, repaired = (
            now - then for now, then in zip(counts, before, strict=True)
        )
        self._sent += expected + repaired
        self._lost += expected - received
        self._received_bytes += size_bytes - seen[2]
        return received + repaired

    def _judge(self, since_s: float) -> None:
        """Fall by half the loss above a tenth of it, rise below a fiftieth, hold in between."""
        rate_bps = self._received_bytes * 8 / since_s
        # What arrives now may be little because little is sent: a still screen, or the second in
        # which a link comes back. Alone it would let the estimate fall far below what it carries.
        self._proven_bps = max(rate_bps, self._proven_bps * PROVEN_KEPT_PER_S**since_s)
        ahead_bps = AHEAD_MAX * self._proven_bps + AHEAD_MAX_BPS
        loss = max(0, self._lost) / self._sent
        allowed_bps = float(self.bitrate_bps)
        if loss > LOSS_HIGH:
            allowed_bps = min(allowed_bps, ahead_bps) * (1 - 0.5 * loss)
        elif loss < LOSS_LOW:
            risen_bps = allowed_bps * INCREASE_PER_S ** min(since_s, 1.0)
            allowed_bps = max(allowed_bps, min(risen_bps, ahead_bps))
        self.bitrate_bps = round(min(max(allowed_bps, BITRATE_MIN_BPS), self._bitrate_max_bps))
