"""How much one viewer's link carries, from when its packets arrived and which never did.

Owned by a viewer's session, fed by `delivery`; `layer_selector` goes by it. Google congestion
control (draft-ietf-rmcat-gcc-02; constants of the draft and of libwebrtc's goog_cc). Pure; time
comes in. The estimate is never sent at, only compared with encodings: of the rate control the
additive increase near convergence (§5.5) is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from media.sfu.delay_trend import DelayTrend, LinkUse

DECREASE = 0.85
INCREASE_PER_S = 1.08
AHEAD_MAX = 1.5
AHEAD_MAX_BPS = 10_000
DECREASE_EVERY_S = 0.3
RATE_WINDOW_S = 1.0
LOSS_HIGH, LOSS_LOW = 0.10, 0.02
LOSS_INCREASE = 1.05
LOSS_PACKETS_MIN = 20
LOSS_EVERY_S = 0.5
"""Of fewer packets a tenth is lost by chance where a twentieth is on the whole."""
FRAMES_REMEMBERED = 512
RATE_SPAN_MIN_S = 0.2


Passage = tuple[float, float | None, int]
"""One packet's way: when it left by our clock, arrived by the viewer's (None: lost), its bytes."""


class LinkEstimate:
    """The lower of what delays and losses allow."""

    def __init__(self) -> None:
        self.estimate_bps = 0
        """0 until something arrived for long enough to tell."""
        self.falls = 0
        """How often it was lowered."""
        self._trend = DelayTrend()
        self._received: deque[tuple[float, int]] = deque()
        self._received_bytes = 0
        self._delay_bps = 0.0
        self._loss_bps: float | None = None
        self._counted = self._lost = 0
        self._updated_at_s = self._fell_at_s = float("-inf")
        self._judged_at_s = self._raised_at_s = float("-inf")

    def apply(self, passages: Iterable[Passage], now_s: float) -> None:
        """Take one report's packets, in the order of sending."""
        frame_sent_s, frame_arrived_s, frame_bytes = 0.0, 0.0, 0
        for sent_s, arrived_s, size_bytes in passages:
            self._counted += 1
            if arrived_s is None:
                self._lost += 1
                continue
            if sent_s != frame_sent_s:
                self._note_frame(frame_sent_s, frame_arrived_s, frame_bytes)
                frame_sent_s, frame_arrived_s, frame_bytes = sent_s, arrived_s, size_bytes
            else:  # Most packets come this way.
                frame_bytes += size_bytes
                if arrived_s > frame_arrived_s:
                    frame_arrived_s = arrived_s
        self._note_frame(frame_sent_s, frame_arrived_s, frame_bytes)
        rate_bps = self._measure_rate()
        if rate_bps:
            self._follow_delay(rate_bps, now_s)
            self._follow_loss(rate_bps, now_s)
            loss_bps = self._delay_bps if self._loss_bps is None else self._loss_bps
            self.estimate_bps = round(min(self._delay_bps, loss_bps))

    def _note_frame(self, sent_s: float, arrived_s: float, size_bytes: int) -> None:
        """Take packets that left together, when the last of them arrived."""
        if size_bytes:
            self._received.append((arrived_s, size_bytes))
            self._received_bytes += size_bytes
            self._trend.apply(sent_s * 1000, arrived_s * 1000)

    def _measure_rate(self) -> float:
        """Return the rate of arrival over the last second, 0 while that is not known."""
        received = self._received
        if not received:
            return 0.0
        newest_s = received[-1][0]
        while received[0][0] < newest_s - RATE_WINDOW_S or len(received) > FRAMES_REMEMBERED:
            self._received_bytes -= received.popleft()[1]
        # The first frame's bytes came before the time that is measured.
        span_s = newest_s - received[0][0]
        size_bytes = self._received_bytes - received[0][1]
        return size_bytes * 8 / span_s if span_s >= RATE_SPAN_MIN_S else 0.0

    def _follow_delay(self, rate_bps: float, now_s: float) -> None:
        """Grow while the queue does not, fall below what arrives when it does (§5.5).

        What arrives meanwhile is carried, however low a moment's standstill brought the estimate:
        the draft's sender follows its estimate, ours keeps sending what it sent.
        """
        since_s = min(now_s - self._updated_at_s, 1.0)
        self._updated_at_s = now_s
        ahead_bps = AHEAD_MAX * rate_bps + AHEAD_MAX_BPS
        if not self._delay_bps:
            self._delay_bps = ahead_bps
        elif self._trend.use is LinkUse.GROWS:
            if self._may_fall(now_s):
                self._delay_bps = min(self._delay_bps, DECREASE * rate_bps)
        elif self._trend.use is LinkUse.NORMAL:
            grown_bps = max(self._delay_bps * INCREASE_PER_S**since_s, rate_bps)
            self._delay_bps = max(min(grown_bps, ahead_bps), min(self._delay_bps, ahead_bps))

    def _follow_loss(self, rate_bps: float, now_s: float) -> None:
        """Fall by half the loss above a tenth of it, grow below a fiftieth (§6).

        Never below what arrives, without a reserve while much is lost, for the reason above.
        """
        if self._counted < LOSS_PACKETS_MIN or now_s - self._judged_at_s < LOSS_EVERY_S:
            return
        self._judged_at_s = now_s
        loss = self._lost / self._counted
        self._counted = self._lost = 0
        if loss > LOSS_HIGH:
            if self._may_fall(now_s):
                known_bps = self._delay_bps if self._loss_bps is None else self._loss_bps
                fallen_bps = min(known_bps, AHEAD_MAX * rate_bps) * (1 - 0.5 * loss)
                self._loss_bps = max(fallen_bps, DECREASE * rate_bps)
        elif loss < LOSS_LOW and self._loss_bps is not None and now_s - self._raised_at_s >= 1.0:
            self._raised_at_s = now_s
            self._loss_bps = max(self._loss_bps, rate_bps) * LOSS_INCREASE
            if self._loss_bps > AHEAD_MAX * self._delay_bps:
                self._loss_bps = None

    def _may_fall(self, now_s: float) -> bool:
        if now_s - self._fell_at_s < DECREASE_EVERY_S:
            return False
        self._fell_at_s = now_s
        self.falls += 1
        return True
