"""The estimate of a viewer's link, and the choice by it, over played links of every kind."""

from __future__ import annotations

from collections import deque

import pytest

from media.sfu.layer_selector import LayerFact, LayerSelector
from media.sfu.link_estimate import LinkEstimate, Passage
from tests.media.sfu.impaired_link import Conditions, Impairment

pytestmark = pytest.mark.unit

PARTS = {"f": 8, "h": 3, "q": 1}
PACKET_BYTES = 1000
OVERHEAD_BYTES = 60
LAYERS = tuple(
    LayerFact(rid, 1280 >> at, 720 >> at, parts * PACKET_BYTES * 8 * 30, is_active=True)
    for at, (rid, parts) in enumerate(PARTS.items())
)
AMPLE = Conditions(delay_s=0.02)
FRAMES_PER_LOOK, FRAMES_PER_REPORT = 8, 3
CLOCK_AHEAD_S = 1000.0


class PlayedLink:
    """A viewer that gets what is chosen for it; it reports ten times a second."""

    def __init__(self, conditions: Conditions, seed: int = 1) -> None:
        self.link = Impairment(seed, conditions)
        self.estimate = LinkEstimate()
        self.selector = LayerSelector()
        self.changes: list[tuple[float, str]] = []
        self.now_s = 0.0
        self.rid = "f"
        self._frames = 0
        self._unreported: deque[Passage] = deque()

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 30)):
            self._frames += 1
            self.now_s = self._frames / 30
            for _ in range(PARTS[self.rid]):
                due = self.link.decide(PACKET_BYTES + OVERHEAD_BYTES, self.now_s)
                arrived_s = due[0] + CLOCK_AHEAD_S if due else None
                self._unreported.append((self.now_s, arrived_s, PACKET_BYTES))
            if self._frames % FRAMES_PER_REPORT == 0:
                self._report()
            if self._frames % FRAMES_PER_LOOK == 0:
                self._choose()

    def _choose(self) -> None:
        rid = self.selector.decide(LAYERS, self.now_s)
        if not self.changes or rid != self.rid:
            self.changes.append((self.now_s, rid))
        self.rid = rid

    def _report(self) -> None:
        """Report what came by now, and the lost ones before it."""
        here_s = self.now_s + CLOCK_AHEAD_S
        came = [n for n, p in enumerate(self._unreported) if p[1] is not None and p[1] <= here_s]
        report = [self._unreported.popleft() for _ in range(came[-1] + 1)] if came else []
        self.estimate.apply(report, self.now_s)
        if self.estimate.estimate_bps:
            estimate = self.estimate
            self.selector.note_link(estimate.estimate_bps, estimate.falls, self.now_s)


def test_a_moments_standstill_is_forgotten_once_packets_arrive_again() -> None:
    played = PlayedLink(AMPLE)
    played.run(10)
    known_bps = played.estimate.estimate_bps
    played.link.conditions = Conditions(delay_s=0.02, rate_bps=20_000, queue_s=0.5)
    played.run(1)
    played.link.conditions = AMPLE
    played.run(3)
    sent_bps = next(layer.bitrate_bps for layer in LAYERS if layer.rid == played.rid)
    assert known_bps > played.estimate.estimate_bps >= 0.95 * sent_bps


@pytest.mark.parametrize("queue_s", [0.05, 0.3, 2.0])
def test_a_link_that_narrows_gets_what_it_carries_within_5_seconds(queue_s: float) -> None:
    for seed in range(2):
        played = PlayedLink(AMPLE, seed)
        played.run(4)
        assert played.rid == "f"
        played.link.conditions = Conditions(delay_s=0.02, rate_bps=600_000, queue_s=queue_s)
        played.run(5)
        assert played.rid == "q", (seed, played.changes)
        assert played.estimate.estimate_bps < 600_000
        played.link.conditions = AMPLE
        played.run(25)
        assert played.rid == "f", (seed, played.changes)


@pytest.mark.parametrize(
    "conditions",
    [
        AMPLE,
        Conditions(delay_s=0.02, jitter_s=0.05),
        Conditions(loss=0.05, delay_s=0.02, jitter_s=0.03),
        Conditions(delay_s=0.02, rate_bps=3_000_000),
    ],
)
def test_a_link_that_carries_the_large_picture_keeps_it(conditions: Conditions) -> None:
    for seed in range(2):
        played = PlayedLink(conditions, seed)
        played.run(30)
        assert [rid for _, rid in played.changes] == ["f"], seed
