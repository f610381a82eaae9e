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
CHECKS = {
    "lint": [str(BIN / "ruff"), "check", "--quiet", "."],
    "format": [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
    "types": [str(BIN / "mypy")],
    "unit": [sys.executable, "-m", "pytest", "-q", *UNIT.list_files()],
}
TIMEOUT_S = 300


def run_check(name: str) -> tuple[str, int, str, float]:
    """Run one check; return its name, exit status, output and seconds."""
    started = time.monotonic()
    result = subprocess.run(  # noqa: S603 -- the fixed commands above
        CHECKS[name], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return name, result.returncode, result.stdout + result.stderr, time.monotonic() - started


def main() -> int:
    """Run all checks; print each with its time; return 1 when one failed."""
    failed = False
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, status, output, took_s in pool.map(run_check, CHECKS):
            sys.stdout.write(f"{'ok  ' if status == 0 else 'FAIL'} {name:8} {took_s:5.1f} s\n")
            if status != 0 or name == "unit":
                sys.stdout.write(output)
            failed = failed or status != 0
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
