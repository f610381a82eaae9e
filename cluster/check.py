"""`make check`: lint, format, types, contracts and unit tests, side by side, in under a minute."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cluster.suite import ROOT, Share

BIN = Path(sys.executable).parent
UNIT = Share("unit tests", frozenset({"unit"}))
HALF = ("tests/actors/", "tests/architecture/")
"""The folders whose unit tests take about as long as all others: each half is one process."""
SIDE_BY_SIDE = 2
TIMEOUT_S = 300


def split_files() -> tuple[list[str], list[str]]:
    """Return the files of unit tests in two halves; each file is in one, with all of its tests."""
    files = UNIT.list_files()
    return (
        [file for file in files if file.startswith(HALF)],
        [file for file in files if not file.startswith(HALF)],
    )


def list_checks() -> dict[str, list[str]]:
    """Return the command of each check, the longest first: whoever is free takes the next."""
    one, other = split_files()
    pytest = [sys.executable, "-m", "pytest", "-q"]
    return {
        "types": [str(BIN / "mypy")],
        "unit 1": [*pytest, *one],
        "unit 2": [*pytest, *other],
        "lint": [str(BIN / "ruff"), "check", "--quiet", "."],
        "format": [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
    }


def run_check(name: str, command: list[str]) -> tuple[str, int, str, float]:
    """Run one check; return its name, exit status, output and seconds."""
    started = time.monotonic()
    result = subprocess.run(  # noqa: S603 -- the fixed commands above
        command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return name, result.returncode, result.stdout + result.stderr, time.monotonic() - started


def main() -> int:
    """Run all checks; print each with its time; return 1 when one failed."""
    failed = False
    checks = list_checks()
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
        for name, status, output, took_s in pool.map(run_check, checks, checks.values()):
            sys.stdout.write(f"{'ok  ' if status == 0 else 'FAIL'} {name:8} {took_s:5.1f} s\n")
            if status != 0 or name.startswith("unit"):
                sys.stdout.write(output)
            failed = failed or status != 0
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
