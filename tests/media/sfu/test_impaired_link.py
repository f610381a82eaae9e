"""The bad network of the tests is as bad as it says, and the same every time."""

from __future__ import annotations

import itertools

import pytest

from tests.media.sfu.impaired_link import REORDERED_S, Conditions, Impairment

pytestmark = pytest.mark.unit

COUNT = 4000
PERIOD_S = 0.002


def run(conditions: Conditions, seed: int = 1, size_bytes: int = 1000) -> list[tuple[float, ...]]:
    """Return the fates of datagrams that leave two milliseconds apart."""
    impairment = Impairment(seed, conditions)
    return [impairment.decide(size_bytes, n * PERIOD_S) for n in range(COUNT)]


def test_the_same_seed_gives_the_same_fates_and_another_one_others() -> None:
    bad = Conditions(loss=0.05, delay_s=0.02, jitter_s=0.05, reordering=0.1, duplication=0.1)
    assert run(bad) == run(bad)
    assert run(bad) != run(bad, seed=2)


def test_what_is_lost_does_not_depend_on_the_other_conditions() -> None:
    lost = [not fate for fate in run(Conditions(loss=0.05))]
    assert lost == [not fate for fate in run(Conditions(loss=0.05, jitter_s=0.05, reordering=0.3))]
    assert 0.04 < sum(lost) / COUNT < 0.06


@pytest.mark.parametrize(("size_bytes", "share"), [(1000, 0.63), (100, 0.095)])
def test_garbled_bytes_lose_long_datagrams_more_often_than_short_ones(
    size_bytes: int, share: float
) -> None:
    lost = [not fate for fate in run(Conditions(garbled=0.001), size_bytes=size_bytes)]
    assert sum(lost) / COUNT == pytest.approx(share, abs=0.03)


def test_jitter_delays_within_its_bounds_and_keeps_the_order() -> None:
    fates = run(Conditions(delay_s=0.02, jitter_s=0.05))
    times = [due_s for (due_s,) in fates]
    waits = [due_s - n * PERIOD_S for n, due_s in enumerate(times)]
    assert times == sorted(times)
    assert 0.02 <= min(waits) < 0.03
    assert 0.06 < max(waits) <= 0.07


def test_a_share_is_overtaken_and_a_share_comes_twice() -> None:
    fates = run(Conditions(reordering=0.1, duplication=0.2))
    late = [fate[0] - n * PERIOD_S > REORDERED_S / 2 for n, fate in enumerate(fates)]
    assert 0.08 < sum(late) / COUNT < 0.12
    assert 0.17 < sum(len(fate) == 2 for fate in fates) / COUNT < 0.23


def test_a_bottleneck_passes_its_rate_and_queues_no_longer_than_it_may() -> None:
    fates = run(Conditions(rate_bps=2_000_000, queue_s=0.1))  # half of what comes
    waits = [fate[0] - n * PERIOD_S for n, fate in enumerate(fates) if fate]
    assert 0.1 < max(waits) <= 0.1 + 2 * 0.004
    assert 0.5 < len(waits) / COUNT < 0.53
    steps = {round(b - a, 6) for a, b in itertools.pairwise(fate[0] for fate in fates if fate)}
    assert steps == {0.004}
