"""How seldom the collector of cycles walks everything once a process has started."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

MILLION = """
import gc
from kit.collector import spare_the_long_lived
spare_the_long_lived()
before = gc.get_stats()[2]["collections"]
kept = [[] for _ in range({objects})]
print(gc.get_stats()[2]["collections"] - before)
"""


@pytest.mark.parametrize(("objects", "is_full"), [(500_000, False), (1_500_000, True)])
def test_everything_is_walked_after_a_million_objects_and_not_before(objects: int, is_full: bool):
    script = MILLION.format(objects=objects)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert (int(done.stdout) > 0) == is_full
