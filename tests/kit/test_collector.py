"""How seldom the collector of cycles walks everything once a process has started."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kit.collector import CALM_MAX, FULL, GROWN_MIN, MIDDLE, YOUNG_MAX, Tidiness

pytestmark = pytest.mark.unit

GROWING = """
import gc
from kit.collector import spare_the_long_lived
spare_the_long_lived()
before = gc.get_stats()
kept = [[] for _ in range(1_000_000)]
after = gc.get_stats()
print([now["collections"] - then["collections"] for now, then in zip(after, before)])
"""


def test_a_million_new_objects_have_the_young_collected_and_not_everything():
    done = subprocess.run(
        [sys.executable, "-c", GROWING], capture_output=True, text=True, check=True
    )
    young, middle, full = (int(word) for word in done.stdout.strip("[]\n").split(","))
    assert young > 100
    assert middle > 10
    assert full == 0


def test_everything_is_collected_once_when_it_is_quiet_after_a_rush():
    tidiness = Tidiness(0)
    rush = (10, 0, GROWN_MIN // YOUNG_MAX)
    assert tidiness.choose(rush) == MIDDLE
    tidiness.middle_before = rush[2] + 1
    quiet = (CALM_MAX // 2, 0, tidiness.middle_before)
    assert [tidiness.choose(quiet) for _ in range(3)] == [FULL, MIDDLE, MIDDLE]


def test_a_busy_process_is_never_held_up_for_everything():
    tidiness = Tidiness(0)
    assert {tidiness.choose((0, 9, 0)) for _ in range(1_000)} == {MIDDLE}
