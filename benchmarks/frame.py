"""The frame every benchmark stands in: rounds, medians, ratios, a goal, and the recorded answer.

A benchmark is a folder with `question.py` that offers `QUESTION: Question`. Its last output is kept
beside it as `last.txt`, with machine, date, versions and configuration. A side that did other work
than its peer makes the run fail; a missed goal is printed and recorded as missed.
"""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

ROUNDS = 5
ROUNDS_SHORT = 2


class WorkDiffers(AssertionError):
    """The sides of a comparison did not do the same work."""


@dataclass(frozen=True)
class Answer:
    """What one side measured in one round: figures by name, and a fingerprint of its work."""

    figures: Mapping[str, float]
    work: str


@dataclass(frozen=True)
class Goal:
    """A figure that must stay at or below a limit; `against` makes it a ratio to that side."""

    side: str
    figure: str
    limit: float
    against: str | None = None


@dataclass(frozen=True)
class Question:
    """One benchmark: the sentence it answers, its sides, what they are, and its goals."""

    name: str
    sentence: str
    sides: Mapping[str, Callable[[bool], Awaitable[Answer]]]
    libraries: tuple[str, ...] = ()
    configuration: Mapping[str, object] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()


@dataclass
class Outcome:
    """All rounds of all sides."""

    question: Question
    answers: dict[str, list[Answer]]

    def median(self, side: str, figure: str) -> float:
        """Return the median of a figure over the rounds."""
        return statistics.median(answer.figures[figure] for answer in self.answers[side])

    def check_work(self) -> None:
        """Refuse a comparison whose sides did different work."""
        works = {answer.work for answers in self.answers.values() for answer in answers}
        if len(works) != 1:
            raise WorkDiffers(f"the sides did different work: {sorted(works)}")

    def measure(self, goal: Goal) -> float:
        """Return the goal's figure, as a ratio where it has a peer (median of paired rounds)."""
        if goal.against is None:
            return self.median(goal.side, goal.figure)
        pairs = zip(self.answers[goal.side], self.answers[goal.against], strict=True)
        return statistics.median(a.figures[goal.figure] / b.figures[goal.figure] for a, b in pairs)


async def ask(question: Question, *, short: bool = False) -> Outcome:
    """Run the sides in turn, round by round, so that noise meets them alike."""
    answers: dict[str, list[Answer]] = {side: [] for side in question.sides}
    for number in range(ROUNDS_SHORT if short else ROUNDS):
        for side, run in question.sides.items():
            sys.stderr.write(f"{question.name}: round {number + 1}, {side} …\n")
            answers[side].append(await run(short))
    outcome = Outcome(question, answers)
    outcome.check_work()
    return outcome


def describe_machine() -> str:
    """Return processor, cores, memory and system in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = platform.release().split("-")[0]
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {kernel}"


def report(outcome: Outcome) -> str:
    """Write the table, the goals and what they were measured on."""
    question = outcome.question
    figures = list(next(iter(outcome.answers.values()))[0].figures)
    rounds = len(next(iter(outcome.answers.values())))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        question.sentence,
        "",
        f"date      {today}",
        f"machine   {describe_machine()}",
        f"python    {platform.python_version()}",
        *(f"{name:9} {version(name)}" for name in question.libraries),
        *(f"{key:9} {value}" for key, value in question.configuration.items()),
        f"rounds    {rounds}, sides in turn; min · median · max",
        "",
        f"{'side':18}" + "".join(f"{figure:>34}" for figure in figures),
    ]
    for side, answers in outcome.answers.items():
        cells = ""
        for figure in figures:
            values = sorted(answer.figures[figure] for answer in answers)
            middle = statistics.median(values)
            cells += f"{f'{values[0]:.2f} · {middle:.2f} · {values[-1]:.2f}':>34}"
        lines.append(f"{side:18}{cells}")
    lines.append("")
    for goal in question.goals:
        measured = outcome.measure(goal)
        verdict = "met" if measured <= goal.limit else "MISSED"
        peer = f" / {goal.against}" if goal.against else ""
        lines.append(
            f"goal {verdict}: {goal.side}{peer} {goal.figure} {measured:.2f} (at most {goal.limit})"
        )
    return "\n".join(lines).rstrip() + "\n"
