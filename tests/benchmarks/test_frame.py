"""The benchmark frame: medians, paired ratios, the same work on all sides, goals told honestly."""

import re
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from benchmarks.frame import Answer, Condition, Form, Goal, Question, WorkDiffers, ask, report
from benchmarks.products import Products

pytestmark = pytest.mark.unit


def make_question(values: dict[str, list[float]], works: dict[str, str], goal: Goal) -> Question:
    def side(name: str):
        rounds = iter(values[name])

        async def run(_form: Form) -> Answer:
            return Answer({"ms": next(rounds)}, works[name])

        return run

    return Question("q", "How slow?", {name: side(name) for name in values}, goals=(goal,))


async def test_a_ratio_is_the_median_of_paired_rounds():
    values = {"ours": [1, 2, 30, 4, 5], "peer": [2, 2, 10, 8, 5]}
    goal = Goal("ours", "ms", 1.0, against="peer")
    outcome = await ask(make_question(values, {"ours": "w", "peer": "w"}, goal))
    assert outcome.measure(goal) == 1.0
    assert "goal met: ours / peer ms 1.00 (at most 1.0)" in report(outcome)


async def test_a_missed_goal_is_recorded_as_missed():
    goal = Goal("ours", "ms", 2.0)
    outcome = await ask(make_question({"ours": [3, 3, 3, 3, 3]}, {"ours": "w"}, goal))
    assert "goal MISSED: ours ms 3.00 (at most 2.0)" in report(outcome)


async def test_sides_that_did_other_work_fail_the_run():
    values = {"ours": [1] * 5, "peer": [1] * 5}
    question = make_question(
        values, {"ours": "10 messages", "peer": "9 messages"}, Goal("ours", "ms", 1)
    )
    with pytest.raises(WorkDiffers):
        await ask(question)


async def test_a_missing_peer_is_left_out_and_named_with_its_cure():
    goal = Goal("ours", "ms", 1.0, against="peer")
    question = make_question({"ours": [3] * 5, "peer": [2] * 5}, {"ours": "w", "peer": "w"}, goal)
    outcome = await ask(replace(question, find_missing=lambda: {"peer": "apt-get install peer"}))
    text = report(outcome)
    assert outcome.answers.keys() == {"ours"}
    assert re.search(r"^no peer +left out; to have it: apt-get install peer$", text, re.M)
    assert "goal NOT MEASURED: ours / peer ms (at most 1.0)" in text


async def test_sides_of_a_stage_run_while_it_is_open():
    opened = []

    @asynccontextmanager
    async def stage(_form: Form, _products: Products):
        opened.append("open")
        yield {"ours": run}
        opened.append("closed")

    async def run(form: Form) -> Answer:
        opened.append(form.name)
        return Answer({"ms": 1.0}, "w", {"ms by step": {"first": 0.5, "last": 0.25}})

    outcome = await ask(Question("q", "How slow?", stage=stage), Form.SHORT)
    assert opened == ["open", "SHORT", "closed"]
    text = report(outcome)
    assert "ms by step (ours, medians)" in text
    assert re.search(r"^  first +0\.5$", text, re.M)


@pytest.mark.parametrize(
    ("idle", "said"),
    [
        (95.0, "goal met: two / one ms 0.50 (at most 0.6)"),
        (40.0, "goal NOT MEASURED: two / one ms (at most 0.6), idle was 40, at least 90 is needed"),
    ],
)
async def test_a_goal_with_a_condition_is_judged_only_where_it_held(idle: float, said: str):
    def side(ms: float, idle: float):
        async def run(_form: Form) -> Answer:
            return Answer({"ms": ms, "idle": idle}, "w")

        return run

    goal = Goal("two", "ms", 0.6, against="one", condition=Condition("idle", 90.0))
    question = Question("q", "How slow?", {"one": side(2, 99.0), "two": side(1, idle)})
    assert said in report(await ask(replace(question, goals=(goal,))))


async def test_a_peer_too_quick_to_be_measured_judges_nothing():
    async def quick(_form: Form) -> Answer:
        return Answer({"ms": 0.0}, "w")

    async def slow(_form: Form) -> Answer:
        return Answer({"ms": 1.0}, "w")

    goal = Goal("two", "ms", 0.6, against="one")
    question = Question("q", "How slow?", {"one": quick, "two": slow}, goals=(goal,))
    said = "goal NOT MEASURED: two / one ms (at most 0.6), one took less than the clock tells"
    assert said in report(await ask(question))
