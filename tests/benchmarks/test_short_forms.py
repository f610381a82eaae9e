"""Every benchmark in its 30-second form: it runs, its sides do the same work, goals are judged."""

import pytest

from benchmarks.__main__ import list_questions
from benchmarks.frame import Form, Question, ask, report

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

QUESTIONS = list_questions()


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=list(QUESTIONS))
async def test_a_benchmark_answers_its_question(question: Question):
    outcome = await ask(question, Form.SHORT)
    text = report(outcome)
    print(f"\n{text}")
    for side, answers in outcome.answers.items():
        assert len(answers) == question.rounds_short, side
        for answer in answers:
            assert {name for name, value in answer.figures.items() if not value >= 0} == set()
    assert text.count("\ngoal ") == len(question.goals)
