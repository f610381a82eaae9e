"""The hosting protocol in 500 simulated sites; `test_simulation_at_length.py` runs many more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.actors.hosting.sim.logs import hearing_errors
from tests.actors.hosting.sim.plan import draw_plan
from tests.actors.hosting.sim.world import World, find_broken

pytestmark = pytest.mark.unit

SEEDS = range(500)


def check_seeds(seeds: range) -> None:
    broken = find_broken(seeds)
    if broken is not None:
        seed, fault = broken
        pytest.fail(f"{fault}\nreplay: python -m tests.actors.hosting.sim.world {seed}")


def test_one_owner_no_loss_no_number_twice_whatever_befalls() -> None:
    check_seeds(SEEDS)


def test_in_lulls_hosts_give_up_what_nobody_wants_and_it_comes_back() -> None:
    lulls = [plan for plan in map(draw_plan, SEEDS) if plan.visits]
    given_up = 0
    for plan in lulls:
        world = World(plan, is_traced=True)
        with hearing_errors():
            world.run()
        world.site.close()
        given_up += any("given up" in line for line in world.trace)
    assert given_up >= 3


def test_a_seed_replays_to_the_letter() -> None:
    def replay(hash_seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "tests.actors.hosting.sim.world", "7"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    trace = replay("1")
    assert trace == replay("2")
    assert trace.count("\n") > 50
