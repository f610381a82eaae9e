"""A viewer's link decides which encoding it gets, without flapping, unless the viewer does."""

from __future__ import annotations

import itertools

import pytest

from media.sfu.layer_selector import CALM_S, HOLD_MAX_S, LayerFact, LayerSelector

pytestmark = pytest.mark.unit

FULL = LayerFact("f", 1280, 720, 2_000_000, is_active=True)
HALF = LayerFact("h", 640, 360, 600_000, is_active=True)
QUARTER = LayerFact("q", 320, 180, 150_000, is_active=True)
LAYERS = (FULL, HALF, QUARTER)


class Link:
    """A viewer whose link carries so much; steps of half a second."""

    def __init__(self, carries_bps: int, *, estimates: bool = False) -> None:
        self.selector = LayerSelector()
        self.carries_bps = carries_bps
        self.estimates = estimates
        self.now_s = 100.0
        self.rid = ""
        self.changes: list[tuple[float, str]] = []
        self.estimate_bps = 300_000.0

    def run(self, seconds: float) -> str:
        for _ in range(int(seconds * 2)):
            self.now_s += 0.5
            rid = self.selector.decide(LAYERS, self.now_s)
            if rid != self.rid:
                self.rid = rid
                self.changes.append((self.now_s, rid))
            sent = next(layer.bitrate_bps for layer in LAYERS if layer.rid == rid)
            loss = max(0.0, 1 - self.carries_bps / sent)
            if self.estimates:
                self._estimate(sent)
            else:
                self.selector.note_loss(loss, self.now_s)
        return self.rid

    def _estimate(self, sent_bps: int) -> None:
        """Do as receivers do: grow by a twelfth a second up to 1.5 times what comes, else fall."""
        if min(sent_bps, self.estimate_bps) > self.carries_bps:
            self.estimate_bps = 0.85 * self.carries_bps
        else:
            self.estimate_bps = min(1.04 * self.estimate_bps, 1.5 * sent_bps)
        self.selector.note_estimate(int(self.estimate_bps), self.now_s)


def test_a_link_that_carries_everything_keeps_the_best() -> None:
    for estimates in (False, True):
        link = Link(10_000_000, estimates=estimates)
        assert link.run(120) == "f"
        assert len(link.changes) == 1


@pytest.mark.parametrize("estimates", [False, True])
def test_a_narrow_link_ends_where_it_fits(*, estimates: bool) -> None:
    link = Link(200_000, estimates=estimates)
    link.run(120)
    spent = [
        (b - a, rid) for (a, rid), (b, _) in itertools.pairwise([*link.changes, (link.now_s, "")])
    ]
    assert sum(seconds for seconds, rid in spent if rid == "q") > 70
    assert sum(seconds for seconds, rid in spent if rid == "f") < 15


def test_an_estimate_that_is_low_for_a_moment_changes_nothing() -> None:
    link = Link(10_000_000, estimates=True)
    link.run(20)
    link.selector.note_estimate(100_000, link.now_s)
    link.run(20)
    assert [rid for _, rid in link.changes] == ["f"]


def test_trials_that_fail_come_ever_more_rarely() -> None:
    link = Link(700_000)
    link.run(600)
    tries = [at for at, rid in link.changes if rid == "f"]
    waits = [b - a for a, b in itertools.pairwise(tries)]
    assert waits == sorted(waits)
    assert len(tries) <= 12
    assert waits[-1] >= HOLD_MAX_S


def test_a_link_that_recovers_climbs_back_step_by_step() -> None:
    link = Link(100_000)
    link.run(10)
    link.carries_bps = 10_000_000
    assert link.run(4 * CALM_S) == "f"
    assert [rid for _, rid in link.changes][-3:] == ["q", "h", "f"]


def test_a_small_estimate_lets_nobody_climb() -> None:
    link = Link(100_000, estimates=True)
    link.run(10)
    link.carries_bps = 160_000
    assert link.run(60) == "q"


def test_a_wish_by_hand_holds_whatever_the_link_says_until_it_is_taken_back() -> None:
    link = Link(100_000)
    link.selector.pinned = "f"
    assert link.run(30) == "f"
    link.selector.pinned = None
    assert link.run(30) == "q"


def test_an_encoding_that_stops_is_replaced_by_the_next_smaller() -> None:
    selector = LayerSelector()
    assert selector.decide(LAYERS, 1.0) == "f"
    assert selector.decide((HALF, QUARTER), 2.0) == "h"
    selector.pinned = "f"
    assert selector.decide((HALF, QUARTER), 3.0) == "h"
    assert selector.decide(LAYERS, 4.0) == "f"
