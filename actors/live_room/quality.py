"""How watching goes, as players tell it: what an edge sums up, and what a room makes of it. Pure.

A player tells of its last seconds and of nothing else, so that the sum of the latest reports is the
present. Delays are counted by bounds, which edges can add up; a percentile is the bound it lies in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from actors.hosting.messages import Message
from actors.live_room.messages import Way

DELAYS_MS = (50, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 7500, 10_000, 20_000)
"""Bounds; longer delays count beyond the last."""
BEYOND_MS = 30_000
STALLED_SHARE = 0.02
LOST_SHARE = 0.05
"""Who stood still for more of the time, or lost more of the packets, suffers."""


class QualityReport(Message, frozen=True):
    """The players of a room at one edge that told of their last seconds, summed up."""

    players: dict[Way, int]
    suffering: int = 0
    freezes: int = 0
    stalled_ms: int = 0
    played_ms: int = 0
    lost: int = 0
    received: int = 0
    latencies: tuple[int, ...] = ()
    """Players by delay, as in `DELAYS_MS`; likewise how long they took to show a picture."""
    joins: tuple[int, ...] = ()
    rungs: dict[str, int] = msgspec.field(default_factory=dict)


def is_suffering(*, stalled_ms: int, played_ms: int, lost: int, received: int) -> bool:
    """Say whether somebody's picture is bad enough to mention."""
    has_stalled = stalled_ms > STALLED_SHARE * played_ms
    return has_stalled or lost > LOST_SHARE * (lost + received)


def count_delays(delays_ms: Iterable[int]) -> tuple[int, ...]:
    """Count delays by their bounds."""
    counts = [0] * (len(DELAYS_MS) + 1)
    for delay_ms in delays_ms:
        counts[bisect_left(DELAYS_MS, delay_ms)] += 1
    return tuple(counts)


def find_percentile_ms(counts: Sequence[int], share: float) -> int | None:
    """Return the bound below which this share of counted delays lies; None: there are none."""
    left = share * sum(counts)
    if not left:
        return None
    for bound_ms, count in zip((*DELAYS_MS, BEYOND_MS), counts, strict=True):
        left -= count
        if left <= 0:
            return bound_ms
    return BEYOND_MS


def add_up(reports: Sequence[QualityReport]) -> QualityReport:
    """Return the reports of several edges as one."""
    players: Counter[Way] = Counter()
    rungs: Counter[str] = Counter()
    for report in reports:
        players.update(report.players)
        rungs.update(report.rungs)
    return QualityReport(
        players=dict(players),
        suffering=sum(report.suffering for report in reports),
        freezes=sum(report.freezes for report in reports),
        stalled_ms=sum(report.stalled_ms for report in reports),
        played_ms=sum(report.played_ms for report in reports),
        lost=sum(report.lost for report in reports),
        received=sum(report.received for report in reports),
        latencies=_add_counts([report.latencies for report in reports]),
        joins=_add_counts([report.joins for report in reports]),
        rungs=dict(rungs),
    )


def _add_counts(counts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    width = len(DELAYS_MS) + 1
    return tuple(sum(row[at] for row in counts if len(row) == width) for at in range(width))
