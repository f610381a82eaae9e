"""`python -m benchmarks.vod_faults --minutes 2 --height 720`: asks about a smaller film."""

from __future__ import annotations

import argparse
import asyncio
import sys

from benchmarks.frame import ask, report
from benchmarks.vod_faults.question import FULL, make_question
from benchmarks.vod_faults.rounds import Film


def main() -> None:
    """Ask in full about the film that the arguments describe; write nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=FULL.minutes)
    parser.add_argument("--height", type=int, default=FULL.height, help="one of 480, 720, 1080")
    parser.add_argument("--shared", action="store_true", help="count seconds that workers had")
    flags = parser.parse_args()
    question = make_question(Film(flags.minutes, flags.height, flags.shared))
    sys.stdout.write(report(asyncio.run(ask(question))))


if __name__ == "__main__":
    main()
