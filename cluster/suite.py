"""`make test`: the whole suite in three processes, so that tests that wait run beside others.

What may start a product (`ray` and `browser`, unless marked `beside` or `early`) runs in one of
them, one test after the other, with its output as it comes; that of the other two is shown when all
have ended, and what failed in any of them once more at the very end. Arguments are pytest's.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
MARKS = re.compile(r"^pytestmark = (.+?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"\bmark\.(\w+)")


@dataclass(frozen=True)
class Share:
    """The files that bear any of some marks (of all, where none is named) and none of others.

    `also` are marks that bring a file in whatever else it bears.
    """

    title: str
    some: frozenset[str]
    none: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()

    def list_files(self) -> list[str]:
        """Return its test files: a share need not load those of the others."""
        files = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))
        return [str(path) for path in files if self._has(read_marks((ROOT / path).read_text()))]

    def _has(self, marks: frozenset[str]) -> bool:
        if self.also & marks:
            return True
        return (not self.some or bool(self.some & marks)) and not self.none & marks


SHARES = (
    Share(
        "tests that start products", frozenset({"ray", "browser"}), frozenset({"beside", "early"})
    ),
    Share("tests of media", frozenset({"media", "beside"})),
    Share(
        "tests of rules and rows",
        frozenset(),
        frozenset({"ray", "browser", "media"}),
        also=frozenset({"early"}),
    ),
)
"""Every test is in one of them; the first one's output is shown at once."""
PASSED, NO_TESTS = 0, 5
"""Exit statuses of pytest."""
REASON_LINES_MAX = 12
QUIET_NICENESS = 10
"""Of what runs beside products: those answer people, so they come first on a busy machine."""


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
    with contextlib.ExitStack() as stack:
        reports = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        outputs: dict[str, IO[bytes]] = {}
        running = []
        for share in SHARES:
            if running:
                outputs[share.title] = stack.enter_context(tempfile.TemporaryFile())
            # Each remembers its own failures for --last-failed.
            own = ["-o", f"cache_dir=.pytest_cache/{len(running)}"]
            own.append(f"--junitxml={reports / str(len(running))}.xml")
            running.append(start([*own, *arguments, *share.list_files()], outputs.get(share.title)))
            if share.title in outputs:
                os.setpriority(os.PRIO_PROCESS, running[-1].pid, QUIET_NICENESS)
        statuses = wait(running)
        sys.stdout.flush()
        for title, output in outputs.items():
            output.seek(0)
            sys.stdout.buffer.write(f"\n=== {title}\n".encode() + output.read())
        for report in sorted(reports.iterdir()):
            sys.stdout.write("".join(map("\n=== {}".format, list_failures(report.read_text()))))
    sys.stdout.write("\n")
    return statuses


def list_failures(report: str) -> list[str]:
    """Return name and reason of each test that failed, from pytest's JUnit report."""
    told = []
    for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314 -- pytest wrote it
        for problem in (*case.findall("failure"), *case.findall("error")):
            # The longer text ends with where it happened; the message is what was said there.
            where = (problem.text or "").strip().rpartition("\n")[2]
            said = problem.get("message", "").splitlines()[:REASON_LINES_MAX]
            told.append("\n".join([f"{case.get('classname')}::{case.get('name')}", where, *said]))
    return told


def wait(processes: list[subprocess.Popen[bytes]]) -> list[int]:
    """Return the exit statuses; at Ctrl-C, which they get too, wait until they have tidied up."""
    try:
        return [process.wait() for process in processes]
    except KeyboardInterrupt:
        return [process.wait() for process in processes]


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
