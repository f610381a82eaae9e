"""Which of a publisher's encodings one viewer gets: what its link carries, or what it asked for.

Owned by a viewer's session, asked by `room` some times a second. Pure state; time comes in. What a
link carries is judged by the viewer's loss and by an estimate: ours (`link_estimate`), or else its
own (REMB). Neither tells how much more would fit, so a better layer is tried after a calm time, and
a trial that fails doubles the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

SETTLE_S = 2.0
LOSS_HIGH = 0.10
LOSS_LOW = 0.02
CALM_S = 5.0
TRIAL_S = 10.0
HOLD_MAX_S = 80.0
ESTIMATE_FRESH_S = 5.0
ESTIMATE_LOW = 0.8
ESTIMATE_ENOUGH = 1.1
FALL = 0.95
FALLS_WITHIN_S = 6.0


@dataclass(frozen=True, slots=True)
class LayerFact:
    """One encoding: its name in the publisher's SDP, its picture and bit rate, whether it comes."""

    rid: str
    width: int
    height: int
    bitrate_bps: int
    is_active: bool


class LayerSelector:
    """Decides for one viewer; `pinned` is what it asked for by hand, None to follow its link."""

    def __init__(self) -> None:
        self.pinned: str | None = None
        self._rid: str | None = None
        self._bitrate_bps = 0
        self._changed_at_s = float("-inf")
        self._is_trial = False
        self._hold_s = CALM_S
        self._losses: deque[float] = deque(maxlen=3)
        self._lossy_at_s = float("-inf")
        self._estimate_bps = 0
        self._estimated_at_s = float("-inf")
        self._falls_at_s: deque[float] = deque(maxlen=2)
        self._falls = 0

    def note_loss(self, fraction: float, now_s: float) -> None:
        """Take what the viewer says it lost since its last report; 0 to 1."""
        self._losses.append(fraction)
        if fraction >= LOSS_LOW:
            self._lossy_at_s = now_s

    def note_estimate(self, bitrate_bps: int, now_s: float) -> None:
        """Take what the viewer estimates that its link carries (REMB)."""
        if bitrate_bps < FALL * self._estimate_bps:
            self._falls_at_s.append(now_s)
        self._estimate_bps = bitrate_bps
        self._estimated_at_s = now_s

    def note_link(self, bitrate_bps: int, falls: int, now_s: float) -> None:
        """Take what we estimate ourselves, and how often that fell so far for a reason."""
        if falls > self._falls:
            self._falls_at_s.append(now_s)
        self._falls = falls
        self._estimate_bps = bitrate_bps
        self._estimated_at_s = now_s

    def decide(self, layers: Sequence[LayerFact], now_s: float) -> str:
        """Return the layer to send, of those that come now, which are given best first."""
        assert layers, "there is a layer to choose"
        rids = [layer.rid for layer in layers]
        if self.pinned in rids:
            self._note_choice(layers[rids.index(self.pinned)], now_s)
        elif self._rid not in rids:
            known = self._rid is not None
            below = [f for f in layers if f.bitrate_bps <= self._bitrate_bps] if known else layers
            self._note_choice(below[0] if below else layers[-1], now_s)
        else:
            self._follow_link(layers, rids.index(self._rid), now_s)
        assert self._rid is not None, "a choice was made"
        return self._rid

    def _follow_link(self, layers: Sequence[LayerFact], at: int, now_s: float) -> None:
        """Move one step up, or down to what fits, once the last change has settled."""
        present = layers[at]
        self._bitrate_bps = present.bitrate_bps
        age_s = now_s - self._changed_at_s
        if age_s < SETTLE_S:
            return
        is_low = self._is_estimate_low(present, now_s)
        if (self._is_lossy() or is_low) and at + 1 < len(layers):
            self._hold_s = min(2 * self._hold_s, HOLD_MAX_S) if self._is_trial else CALM_S
            self._note_choice(layers[self._find_fitting(layers, at, is_low=is_low)], now_s)
            return
        if age_s > TRIAL_S:
            self._is_trial = False
        if at > 0 and self._may_climb(layers[at - 1], present, now_s):
            self._note_choice(layers[at - 1], now_s)
            self._is_trial = True

    def _is_lossy(self) -> bool:
        """Tell whether much is lost by two of three reports: one counts few packets, or a burst."""
        return sum(loss >= LOSS_HIGH for loss in self._losses) >= 2

    def _find_fitting(self, layers: Sequence[LayerFact], at: int, *, is_low: bool) -> int:
        if not is_low:
            return at + 1
        fitting = (n for n in range(at + 1, len(layers)) if self._fits(layers[n]))
        return next(fitting, len(layers) - 1)

    def _fits(self, layer: LayerFact) -> bool:
        return layer.bitrate_bps <= self._estimate_bps

    def _is_estimate_low(self, present: LayerFact, now_s: float) -> bool:
        """Tell whether the viewer's estimate is too low and fell twice of late.

        After a step up it is low for half a minute: it grows by a twelfth a second from what the
        lower layer needed. While it grows, nothing is wrong; one fall may be a moment's jitter.
        """
        if self._estimate_bps >= ESTIMATE_LOW * present.bitrate_bps or len(self._falls_at_s) < 2:
            return False
        since_s = max(now_s - FALLS_WITHIN_S, self._changed_at_s + SETTLE_S)
        return self._falls_at_s[0] >= since_s

    def _may_climb(self, above: LayerFact, present: LayerFact, now_s: float) -> bool:
        """A receiver's estimate ends at 1.5 times what it gets: enough of that is a good sign."""
        if now_s - max(self._changed_at_s, self._lossy_at_s) < self._hold_s:
            return False
        if now_s - self._estimated_at_s > ESTIMATE_FRESH_S:
            return True
        is_calm = not self._falls_at_s or now_s - self._falls_at_s[-1] > CALM_S
        wanted_bps = ESTIMATE_ENOUGH * min(above.bitrate_bps, present.bitrate_bps)
        return is_calm and self._estimate_bps >= wanted_bps

    def _note_choice(self, layer: LayerFact, now_s: float) -> None:
        if layer.rid != self._rid:
            self._changed_at_s = now_s
            self._losses.clear()
            self._is_trial = False
        self._rid, self._bitrate_bps = layer.rid, layer.bitrate_bps
