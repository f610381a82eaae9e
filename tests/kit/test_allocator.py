"""In a process that keeps memory warm, blocks that come and go take no fresh pages."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

STREAM = """
import resource, sys
from kit.allocator import keep_warm
if "warm" in sys.argv:
    assert keep_warm()
def stream():
    for _ in range(100):
        blocks = [b"x" * 262144 for _ in range(4)]
stream()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
stream()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count_fresh_pages(*words: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", STREAM, *words], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_blocks_that_come_and_go_take_no_fresh_pages():
    assert count_fresh_pages("warm") < 300 < count_fresh_pages()
