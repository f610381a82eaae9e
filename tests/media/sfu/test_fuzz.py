"""No parser that strangers reach crashes on a few thousand mutated inputs.

`python -m benchmarks sfu_fuzz` asks a hundred thousand each, and whether memory grows.
"""

from __future__ import annotations

import random

import pytest

from tests.media.sfu.fuzz import make_targets, mutate, run_target

pytestmark = pytest.mark.unit

INPUTS = {"stun": 3000, "dtls": 400, "rtp": 3000, "rtcp": 3000, "sdp": 600}
TARGETS = make_targets()


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs_are_read_or_refused(name: str) -> None:
    run_target(TARGETS[name], seed=1, inputs=INPUTS[name])


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].feed(seed)


def test_the_same_seed_gives_the_same_inputs() -> None:
    seeds = TARGETS["sdp"].seeds
    one, two = random.Random(7), random.Random(7)
    assert [mutate(one, seeds) for _ in range(50)] == [mutate(two, seeds) for _ in range(50)]
