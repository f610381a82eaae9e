"""The frame every benchmark stands in: rounds, medians, ratios, a goal, and the recorded answer.

A benchmark is a folder with `question.py` that offers `QUESTION: Question`. Its last output is kept
beside it as `last.txt`, with machine, date, versions and configuration. A side that did other work
than its peer makes the run fail; a missed goal is printed and recorded as missed.
"""

from __future__ import annotations

import datetime
import enum
import os
import platform
import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from benchmarks.products import Products, start_fresh

ROUNDS = 5
ROUNDS_SHORT = 1

Amount = TypeVar("Amount", int, float)


class WorkDiffers(AssertionError):
    """The sides of a comparison did not do the same work."""


@dataclass(frozen=True)
class Answer:
    """What one side measured in one round: figures by name, and a fingerprint of its work.

    `breakdowns` say what a figure consists of: title, then part by part.
    """

    figures: Mapping[str, float]
    work: str
    breakdowns: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class Form(enum.Enum):
    """How thoroughly is asked: in full, or in about half a minute."""

    FULL = enum.auto()
    SHORT = enum.auto()

    def choose(self, full: Amount, short: Amount) -> Amount:
        """Return the amount for this form."""
        return full if self is Form.FULL else short


Side = Callable[[Form], Awaitable[Answer]]
"""Measures one round."""
Sides = Mapping[str, Side]
Stage = Callable[[Form, Products], AbstractAsyncContextManager[Sides]]


@dataclass(frozen=True)
class Condition:
    """What must have been so in every round of a goal's sides for it to be judged."""

    figure: str
    least: float


@dataclass(frozen=True)
class Goal:
    """A figure that must stay at or below a limit; `against` makes it a ratio to that side."""

    side: str
    figure: str
    limit: float
    against: str | None = None
    condition: Condition | None = None


@dataclass(frozen=True)
class Question:
    """One benchmark: the sentence it answers, its sides, what they are, and its goals.

    Sides that need something running come out of `stage`, which is opened before the first round
    and closed after the last one; the product it needs is lent to it. `find_missing` names sides
    whose peer is not installed, each with the command that brings it: they are left out, and the
    report says so. A value of the configuration may be a function, asked when the report is
    written.
    """

    name: str
    sentence: str
    sides: Sides = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    configuration: Mapping[str, object] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    stage: Stage = lambda _form, _products: nullcontext({})
    find_missing: Callable[[], Mapping[str, str]] = dict
    rounds: int = ROUNDS
    rounds_short: int = ROUNDS_SHORT
    needs_product: bool = False
    """Its stage borrows one, or starts its own; the others run beside what does in the suite."""
    is_costly: bool = False
    """Its short form is long for what it tells: the suite leaves it out."""


@dataclass
class Outcome:
    """All rounds of all sides, and the sides that were missing."""

    question: Question
    answers: dict[str, list[Answer]]
    missing: Mapping[str, str] = field(default_factory=dict)

    def median(self, side: str, figure: str) -> float:
        """Return the median of a figure over the rounds."""
        return statistics.median(answer.figures[figure] for answer in self.answers[side])

    def check_work(self) -> None:
        """Refuse a comparison whose sides did different work."""
        works = {
            side: sorted({answer.work for answer in answers})
            for side, answers in self.answers.items()
        }
        if len({work for of_side in works.values() for work in of_side}) != 1:
            raise WorkDiffers(f"the sides did different work: {works}")

    def find_hindrance(self, goal: Goal) -> str:
        """Say why a goal cannot be judged; empty when it can."""
        sides = {goal.side, goal.against or goal.side}
        if sides & self.missing.keys():
            return "a side is missing"
        peers = self.answers[goal.against] if goal.against else []
        if any(peer.figures[goal.figure] == 0 for peer in peers):
            return f"{goal.against} took less than the clock tells"
        wanted = goal.condition
        if wanted is None:
            return ""
        found = [each.figures[wanted.figure] for side in sides for each in self.answers[side]]
        if min(found) >= wanted.least:
            return ""
        return f"{wanted.figure} was {min(found):.0f}, at least {wanted.least:.0f} is needed"

    def measure(self, goal: Goal) -> float | None:
        """Return the goal's figure, as a ratio where it has a peer (median of paired rounds).

        None: it cannot be judged.
        """
        if self.find_hindrance(goal):
            return None
        if goal.against is None:
            return self.median(goal.side, goal.figure)
        pairs = zip(self.answers[goal.side], self.answers[goal.against], strict=True)
        return statistics.median(a.figures[goal.figure] / b.figures[goal.figure] for a, b in pairs)


async def ask(
    question: Question, form: Form = Form.FULL, products: Products = start_fresh
) -> Outcome:
    """Run the sides in turn, round by round, so that noise meets them alike."""
    missing = question.find_missing()
    async with question.stage(form, products) as staged:
        sides = {
            name: run for name, run in {**question.sides, **staged}.items() if name not in missing
        }
        answers: dict[str, list[Answer]] = {side: [] for side in sides}
        for number in range(form.choose(question.rounds, question.rounds_short)):
            for side, run in sides.items():
                sys.stderr.write(f"{question.name}: round {number + 1}, {side} …\n")
                answers[side].append(await run(form))
    outcome = Outcome(question, answers, missing)
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
    """Write the table, what figures consist of, the goals, and what it was measured on."""
    question = outcome.question
    rounds = len(next(iter(outcome.answers.values())))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    facts = {
        "date": today,
        "machine": describe_machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in question.libraries},
        **{
            key: value() if callable(value) else value
            for key, value in question.configuration.items()
        },
        "rounds": f"{rounds}, sides in turn",
        **{f"no {side}": f"left out; to have it: {cure}" for side, cure in outcome.missing.items()},
    }
    width = max(map(len, facts)) + 2
    lines = [question.sentence, "", *(f"{key:{width}}{value}" for key, value in facts.items())]
    lines += ["", *_list_figures(outcome), *_list_breakdowns(outcome), ""]
    lines += [_judge(outcome, goal) for goal in question.goals]
    return "\n".join(lines).rstrip() + "\n"


def _list_figures(outcome: Outcome) -> list[str]:
    """Write one row per side and figure."""
    width = max(map(len, ("side" + 14 * " ", *outcome.answers))) + 2
    lines = [f"{'side':{width}}{'figure':30}{'min':>12}{'median':>12}{'max':>12}"]
    for side, answers in outcome.answers.items():
        for figure in answers[0].figures:
            values = sorted(answer.figures[figure] for answer in answers)
            cells = (values[0], statistics.median(values), values[-1])
            lines.append(f"{side:{width}}{figure:30}" + "".join(f"{cell:12.2f}" for cell in cells))
    return lines


def _list_breakdowns(outcome: Outcome) -> list[str]:
    """Write what figures consist of: the median of every part, in the order given."""
    lines: list[str] = []
    for side, answers in outcome.answers.items():
        for title in answers[0].breakdowns:
            lines += ["", f"{title} ({side}, medians)"]
            parts = dict.fromkeys(part for answer in answers for part in answer.breakdowns[title])
            for part in parts:
                middle = statistics.median(
                    answer.breakdowns[title].get(part, 0.0) for answer in answers
                )
                lines.append(f"  {part:30}{middle:10.1f}")
    return lines


def _judge(outcome: Outcome, goal: Goal) -> str:
    """Say whether a goal was met."""
    measured = outcome.measure(goal)
    peer = f" / {goal.against}" if goal.against else ""
    what = f"{goal.side}{peer} {goal.figure}"
    if measured is None:
        why = outcome.find_hindrance(goal)
        return f"goal NOT MEASURED: {what} (at most {goal.limit}), {why}"
    verdict = "met" if measured <= goal.limit else "MISSED"
    return f"goal {verdict}: {what} {measured:.2f} (at most {goal.limit})"
