"""The hosting protocol in 10,000 simulated sites, and proof that the simulation would notice."""

from __future__ import annotations

import pytest

from tests.actors.hosting.sim.planted import PLANTED
from tests.actors.hosting.sim.test_simulation import SEEDS, check_seeds
from tests.actors.hosting.sim.world import find_broken

pytestmark = pytest.mark.long


@pytest.mark.timeout(600)
def test_one_owner_no_loss_no_number_twice_in_ten_thousand_sites() -> None:
    check_seeds(range(SEEDS.stop, 10_000))


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_within_the_seeds_of_every_check(name: str) -> None:
    assert find_broken(SEEDS, PLANTED[name]) is not None
