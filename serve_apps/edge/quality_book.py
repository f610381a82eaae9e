"""How watching goes for the followers of one room at this edge: the latest report of each. Pure.

Nobody speaks for others: a report belongs to the connection that sent it, a newer one replaces it,
and it is forgotten with the connection or when nothing follows. So a room's book is never larger
than its audience here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from actors.live_room.messages import Way
from actors.live_room.quality import QualityReport, count_delays, is_suffering
from kit.metrics import WATCH_REPORTS
from serve_apps.edge.followers import Follower
from serve_apps.edge.socket_words import WatchReport

TAKEN_EVERY_S = 4.0
"""More often one connection is not heard."""
FORGOTTEN_AFTER_S = 30.0
RUNGS_MAX = 8
OTHER_RUNG = "other"


class QualityBook:
    """The latest reports, by connection."""

    def __init__(self) -> None:
        self._reports: dict[Follower, tuple[float, WatchReport]] = {}

    def __len__(self) -> int:
        return len(self._reports)

    def take(self, follower: Follower, report: WatchReport, now_s: float) -> None:
        """Keep a report instead of the one before; one that comes too soon is dropped."""
        before = self._reports.get(follower)
        is_early = before is not None and now_s - before[0] < TAKEN_EVERY_S
        WATCH_REPORTS.labels("early" if is_early else "taken").inc()
        if not is_early:
            self._reports[follower] = (now_s, report)

    def forget(self, follower: Follower) -> None:
        """A connection is gone."""
        self._reports.pop(follower, None)

    def sum_up(self, now_s: float) -> QualityReport:
        """Return how it goes for all of them; forgets those that fell silent."""
        for follower, (at_s, _report) in list(self._reports.items()):
            if now_s - at_s > FORGOTTEN_AFTER_S:
                del self._reports[follower]
        return sum_up([report for _at_s, report in self._reports.values()])


def sum_up(reports: Sequence[WatchReport]) -> QualityReport:
    """Add reports up."""
    players = Counter(Way(report.way) for report in reports)
    rungs = Counter(report.rung for report in reports if report.rung)
    kept = dict(rungs.most_common(RUNGS_MAX))
    if len(rungs) > len(kept):
        kept[OTHER_RUNG] = rungs.total() - sum(kept.values())
    return QualityReport(
        players=dict(players),
        suffering=sum(
            is_suffering(
                stalled_ms=report.stalled_ms,
                played_ms=report.span_ms,
                lost=report.lost,
                received=report.received,
            )
            for report in reports
        ),
        freezes=sum(report.freezes for report in reports),
        stalled_ms=sum(min(report.stalled_ms, report.span_ms) for report in reports),
        played_ms=sum(report.span_ms for report in reports),
        lost=sum(report.lost for report in reports),
        received=sum(report.received for report in reports),
        latencies=count_delays(r.latency_ms for r in reports if r.latency_ms is not None),
        joins=count_delays(r.join_ms for r in reports if r.join_ms is not None),
        rungs=kept,
    )
