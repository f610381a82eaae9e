"""Every benchmark in its 30-second form: it runs, its sides do the same work, goals are judged."""

from collections.abc import Iterator

import pytest

from benchmarks.__main__ import list_questions
from benchmarks.frame import Form, Question, ask, report
from benchmarks.products import Products, share
from tests.product import Product

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

QUESTIONS = {name: one for name, one in list_questions().items() if not one.is_costly}
OPTIONS = {
    "edge_count": "2",
    "limits_rates_enabled": "false",
    "limits_chat_per_10_s_max": "1000000",
}


@pytest.fixture(scope="module")
def products() -> Iterator[Products]:
    """Share one product: each question starts its own where numbers are recorded."""
    running = Product.start(None, **OPTIONS)
    yield share(running, OPTIONS)
    running.stop()


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=list(QUESTIONS))
async def test_a_benchmark_answers_its_question(question: Question, products: Products):
    outcome = await ask(question, Form.SHORT, products)
    text = report(outcome)
    print(f"\n{text}")
    for side, answers in outcome.answers.items():
        assert len(answers) == question.rounds_short, side
        for answer in answers:
            assert {name for name, value in answer.figures.items() if not value >= 0} == set()
    assert text.count("\ngoal ") == len(question.goals)
