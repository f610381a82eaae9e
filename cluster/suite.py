"""`make test`: the whole suite, three shares at a time, so that tests that wait run beside others.

Each share is a process, its tests one after the other. The first one's output, of what shares a
product, is shown as it comes; that of the others when all have ended, and what failed in any of
them once more at the very end. Arguments are pytest's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
MARKS = re.compile(r"^pytestmark = (.+?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"\bmark\.(\w+)")
PLACE = re.compile(r"^tests/\S+:\d+: .*", re.MULTILINE)
"""A place of a traceback in the tests."""


@dataclass(frozen=True)
class Share:
    """The files that bear any of some marks (of all, where none is named) and none of others."""

    title: str
    some: frozenset[str]
    none: frozenset[str] = frozenset()

    def list_files(self) -> list[str]:
        """Return its test files: a share need not load those of the others."""
        files = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))
        return [str(path) for path in files if self._has(read_marks((ROOT / path).read_text()))]

    def _has(self, marks: frozenset[str]) -> bool:
        return (not self.some or bool(self.some & marks)) and not self.none & marks


SHARES = (
    Share(
        "tests that share products", frozenset({"ray", "browser"}), frozenset({"beside", "late"})
    ),
    Share("tests of media", frozenset({"media"}), frozenset({"beside"})),
    Share("tests of rules and rows", frozenset(), frozenset({"ray", "browser", "media"})),
    Share("tests that start products of their own", frozenset({"late"})),
    Share("tests that start Ray or Chromium alone", frozenset({"beside"})),
)
"""In the order they are begun; every test is in one of them. What the first one prints is shown."""
AT_A_TIME = 3
PASSED, INTERRUPTED, NO_TESTS = 0, 2, 5
"""Exit statuses of pytest."""
REASON_LINES_MAX = 12
QUIET_NICENESS = 5
"""Of what runs beside products: those answer people, so they come first on a busy machine.

Not further back: beside a busy product at 0, what a test waits for took 20 s at 10 instead of 4."""


def read_marks(source: str) -> frozenset[str]:
    """Return the marks that a test file gives to all its tests; `tests/architecture` has it so."""
    found = MARKS.search(source)
    return frozenset(MARK.findall(found.group(1))) if found else frozenset()


def start(arguments: list[str], output: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start pytest; its output goes to the terminal or to a file."""
    words = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.Popen(words, cwd=ROOT, stdout=output, stderr=output)  # noqa: S603 -- pytest alone


def run_side_by_side(arguments: list[str]) -> list[int]:
    """Run all shares of the suite; return their exit statuses."""
    with tempfile.TemporaryDirectory() as directory:
        shown, *others = runs = [Run(share, Path(directory)) for share in SHARES]
        left = deque(others)
        lanes = [Thread(target=run_lane, args=(left, arguments)) for _ in range(AT_A_TIME - 1)]
        for lane in lanes:
            lane.start()
        shown.run(arguments, is_shown=True)
        if shown.status == INTERRUPTED:
            left.clear()
        run_lane(left, arguments)
        for lane in lanes:
            lane.join()
        sys.stdout.flush()
        for run in others:
            if run.output.exists():
                title = f"\n=== {run.share.title}\n"
                sys.stdout.buffer.write(title.encode() + run.output.read_bytes())
        for run in runs:
            report = run.report.read_text() if run.report.exists() else "<none/>"
            sys.stdout.write("".join(map("\n=== {}".format, list_failures(report))))
    sys.stdout.write("\n")
    return [run.status for run in runs]


@dataclass
class Run:
    """One share's pytest: where its output and report lie, and its exit status."""

    share: Share
    directory: Path
    status: int = NO_TESTS

    @property
    def output(self) -> Path:
        """What it printed, where that is not shown at once."""
        return self.directory / f"{self.share.title}.txt"

    @property
    def report(self) -> Path:
        """Its JUnit report, once it has ended."""
        return self.directory / f"{self.share.title}.xml"

    def run(self, arguments: list[str], *, is_shown: bool = False) -> None:
        """Run pytest until it has ended, quietly if it is not shown."""
        # Each remembers its own failures for --last-failed.
        cache = self.share.title.replace(" ", "-")
        own = ["-o", f"cache_dir=.pytest_cache/{cache}", f"--junitxml={self.report}"]
        words = [*own, *arguments, *self.share.list_files()]
        if is_shown:
            self.status = wait(start(words, None))
            return
        with self.output.open("wb") as output:
            process = start(words, output)
            os.setpriority(os.PRIO_PROCESS, process.pid, QUIET_NICENESS)
            self.status = wait(process)


def run_lane(left: deque[Run], arguments: list[str]) -> None:
    """Run what is left, one after the other, until all of it is taken or one was interrupted."""
    while True:
        try:
            run = left.popleft()
        except IndexError:  # another lane took the last one
            return
        run.run(arguments)
        if run.status == INTERRUPTED:
            left.clear()


def list_failures(report: str) -> list[str]:
    """Return name and reason of each test that failed, from pytest's JUnit report."""
    told = []
    for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314 -- pytest wrote it
        for problem in (*case.findall("failure"), *case.findall("error")):
            # The longer text says where it happened; the message is what was said there.
            text = (problem.text or "").strip()
            where = dict.fromkeys([*PLACE.findall(text), text.rpartition("\n")[2]])
            said = problem.get("message", "").splitlines()[:REASON_LINES_MAX]
            told.append("\n".join([f"{case.get('classname')}::{case.get('name')}", *where, *said]))
    return told


def wait(process: subprocess.Popen[bytes]) -> int:
    """Return the exit status; at Ctrl-C, which it gets too, wait until it has tidied up."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        return process.wait()


def is_test(word: str) -> bool:
    """Say whether an argument names tests to run; `--deselect=NAME` names one to leave out."""
    return not word.startswith("-") and (ROOT / word.partition("::")[0]).exists()


def judge(statuses: list[int]) -> int:
    """Return one exit status: an empty share is fine beside one that ran something."""
    failed = [status for status in statuses if status not in {PASSED, NO_TESTS}]
    return failed[0] if failed else min(statuses)


def main(arguments: list[str]) -> int:
    """Run the suite; whoever chooses tests by marker or name gets one process."""
    began_s = time.monotonic()
    if any(word.startswith("-m") or is_test(word) for word in arguments):
        return start(arguments, None).wait()
    status = judge(run_side_by_side(arguments))
    sys.stdout.write(f"All shares ended after {time.monotonic() - began_s:.0f} s.\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
