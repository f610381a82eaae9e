"""What becomes of large blocks that are freed: a process keeps them, or gives them back."""

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


FRAMES = """
import re, sys
from pathlib import Path
from kit.allocator import keep_warm
def read_kb():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))
if "warm" in sys.argv:
    assert keep_warm()
b"x" * (8 << 20)  # frees a mapping of its own: glibc takes such blocks from the heap from now on
before = read_kb()
frames, between = [], []
for n in range(40):
    frames.append(b"x" * (5 << 20))
    between.append(b"y" * 50_000)
frames.clear()
print(read_kb() - before)
"""


def count_kept_kb(*words: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FRAMES, *words], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def count_fresh_pages(*words: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", STREAM, *words], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_blocks_that_come_and_go_take_no_fresh_pages():
    assert count_fresh_pages("warm") < 300 < count_fresh_pages()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_frames_of_encoders_that_are_freed_leave_no_holes_in_the_heap():
    assert count_kept_kb("warm") < 25_000 < 100_000 < count_kept_kb()
