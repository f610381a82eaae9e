"""The benchmark frame: medians, paired ratios, the same work on all sides, goals told honestly."""

import pytest

from benchmarks.frame import Answer, Goal, Question, WorkDiffers, ask, report

pytestmark = pytest.mark.unit


def make_question(values: dict[str, list[float]], works: dict[str, str], goal: Goal) -> Question:
    def side(name: str):
        rounds = iter(values[name])

        async def run(_short: bool) -> Answer:
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
