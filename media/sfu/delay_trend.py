"""Tells from packets' one-way delays whether the queue of a link grows.

Used by `link_estimate`. Google congestion control's delay-based part (draft-ietf-rmcat-gcc-02 §5)
with the trendline filter that took the Kalman filter's place in libwebrtc
(modules/congestion_controller/goog_cc/trendline_estimator.cc); the constants are theirs. Pure.
"""

from __future__ import annotations

import enum
from collections import deque

WINDOW = 20
SMOOTHING = 0.9
GAIN = 4.0
DELTAS_COUNTED_MAX = 60
OVERUSE_MS = 10.0
THRESHOLD_MS = 12.5
THRESHOLD_MIN_MS, THRESHOLD_MAX_MS = 6.0, 600.0
RISE, FALL = 0.0087, 0.039
SPIKE_MS = 15.0
ADAPT_MS_MAX = 100.0
BURST_MS = 5.0
SILENCE_MS = 2000.0
"""After a pause the queue is another one: what was known of it goes."""


class LinkUse(enum.Enum):
    """What a link's queue does."""

    NORMAL = enum.auto()
    GROWS = enum.auto()
    SHRINKS = enum.auto()


class DelayTrend:
    """The slope of the delay over the last frames, against a threshold that adapts."""

    def __init__(self) -> None:
        self.use = LinkUse.NORMAL
        self._group: tuple[float, float] | None = None
        """When the present group of packets was sent first, and arrived last."""
        self._before: tuple[float, float] | None = None
        self._forget()

    def apply(self, sent_ms: float, arrived_ms: float) -> None:
        """Take one packet, in the order of sending; packets sent together are one group (§5.2)."""
        group = self._group
        if group is None:
            self._group = (sent_ms, arrived_ms)
        elif sent_ms - group[0] <= BURST_MS:
            if arrived_ms > group[1]:
                self._group = (group[0], arrived_ms)
        else:
            self._close_group(group)
            self._group = (sent_ms, arrived_ms)

    def _close_group(self, group: tuple[float, float]) -> None:
        before, self._before = self._before, group
        if before is None:
            return
        sent_ms, arrived_ms = group[0] - before[0], group[1] - before[1]
        if sent_ms > SILENCE_MS or abs(arrived_ms) > SILENCE_MS:
            self._forget()
            return
        self._deltas = min(self._deltas + 1, DELTAS_COUNTED_MAX)
        self._delay_ms += arrived_ms - sent_ms
        self._smooth_ms = SMOOTHING * self._smooth_ms + (1 - SMOOTHING) * self._delay_ms
        self._history.append((group[1], self._smooth_ms))
        slope = self._slope
        if len(self._history) == WINDOW:
            slope = fit_slope(self._history, slope)
        self._detect(slope, sent_ms, group[1])

    def _detect(self, slope: float, sent_ms: float, now_ms: float) -> None:
        """Compare the slope with the threshold (§5.4); growth counts once it lasted."""
        trend_ms = self._deltas * slope * GAIN
        if trend_ms > self._threshold_ms:
            is_first = self._growing_ms is None
            self._growing_ms = sent_ms / 2 if is_first else (self._growing_ms or 0.0) + sent_ms
            if self._growing_ms > OVERUSE_MS and not is_first and slope >= self._slope:
                self._growing_ms = 0.0
                self.use = LinkUse.GROWS
        else:
            self._growing_ms = None
            self.use = LinkUse.SHRINKS if trend_ms < -self._threshold_ms else LinkUse.NORMAL
        self._slope = slope
        self._adapt(abs(trend_ms), now_ms)

    def _adapt(self, trend_ms: float, now_ms: float) -> None:
        """Let the threshold follow the trend, so that rivals do not starve us (§5.4)."""
        since_ms = now_ms - self._adapted_at_ms
        self._adapted_at_ms = now_ms
        if trend_ms > self._threshold_ms + SPIKE_MS:
            return
        gain = FALL if trend_ms < self._threshold_ms else RISE
        moved = gain * (trend_ms - self._threshold_ms) * min(max(since_ms, 0.0), ADAPT_MS_MAX)
        threshold_ms = self._threshold_ms + moved
        self._threshold_ms = min(max(threshold_ms, THRESHOLD_MIN_MS), THRESHOLD_MAX_MS)

    def _forget(self) -> None:
        self.use = LinkUse.NORMAL
        self._deltas = 0
        self._delay_ms = self._smooth_ms = self._slope = 0.0
        self._history: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._threshold_ms = THRESHOLD_MS
        self._growing_ms: float | None = None
        self._adapted_at_ms = 0.0


def fit_slope(points: deque[tuple[float, float]], otherwise: float) -> float:
    """Return the slope of the line of least squares, `otherwise` when all are of one moment."""
    origin, count = points[0][0], len(points)
    sum_x = sum_y = sum_xx = sum_xy = 0.0
    for at, y in points:
        x = at - origin
        sum_x += x
        sum_y += y
        sum_xx += x * x
        sum_xy += x * y
    width = count * sum_xx - sum_x * sum_x
    return otherwise if width <= 0 else (count * sum_xy - sum_x * sum_y) / width
