"""`python -m benchmarks [--short] [--keep] [NAME …]`: ask the named questions, or all of them."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import signal
import sys
from pathlib import Path

from benchmarks.frame import Form, Outcome, Question, ask, report

FOLDER = Path(__file__).parent


def list_questions() -> dict[str, Question]:
    """Find every `benchmarks/<name>/question.py`."""
    found = {}
    for file in sorted(FOLDER.glob("*/question.py")):
        module = importlib.import_module(f"benchmarks.{file.parent.name}.question")
        found[file.parent.name] = module.QUESTION
    return found


async def answer(question: Question, form: Form) -> Outcome:
    """Ask; whoever ends the benchmark politely leaves no product behind."""
    task = asyncio.current_task()
    assert task is not None, "asyncio.run makes one"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await ask(question, form)


def main() -> int:
    """Run what was asked for; write `last.txt` beside each question unless it ran short."""
    questions = list_questions()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(questions))
    parser.add_argument("--short", action="store_true", help="a 30-second form; nothing is written")
    flags = parser.parse_args()
    unknown = set(flags.names) - set(questions)
    if unknown:
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}")
    for name in flags.names or questions:
        text = report(
            asyncio.run(answer(questions[name], Form.SHORT if flags.short else Form.FULL))
        )
        sys.stdout.write(text + "\n")
        if not flags.short:
            (FOLDER / name / "last.txt").write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
