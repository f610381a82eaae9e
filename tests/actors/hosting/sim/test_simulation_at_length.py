"""The hosting protocol in thousands of simulated sites, and proof that planted faults are found."""

from __future__ import annotations

import pytest

from tests.actors.hosting.sim.planted import PLANTED
from tests.actors.hosting.sim.test_simulation import SEEDS, check_seeds
from tests.actors.hosting.sim.world import find_broken

pytestmark = pytest.mark.long


SITES = 2_500
"""The benchmark `simulation` runs 10,000."""


@pytest.mark.timeout(600)
def test_one_owner_no_loss_no_number_twice_in_thousands_of_sites() -> None:
    check_seeds(range(SEEDS.stop, SITES))


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_within_the_seeds_of_every_check(name: str) -> None:
    assert find_broken(SEEDS, PLANTED[name]) is not None
