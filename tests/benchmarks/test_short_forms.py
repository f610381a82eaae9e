"""Every benchmark in its 30-second form: it runs, its sides do the same work, goals are judged."""

import math
from typing import NoReturn

import pytest

from benchmarks.__main__ import list_questions
from benchmarks.frame import Form, Question, ask, report
from benchmarks.products import Products

pytestmark = [pytest.mark.ray, pytest.mark.beside, pytest.mark.timeout(300)]

QUESTIONS = [one for one in list_questions().values() if not one.is_costly]
OF_PRODUCTS = [one for one in QUESTIONS if one.needs_product]
OF_PARTS = [one for one in QUESTIONS if not one.needs_product]


@pytest.mark.parametrize("question", OF_PARTS, ids=lambda one: one.name)
async def test_a_benchmark_without_a_product_answers_its_question(question: Question):
    await check_answers(question, lend_nothing)


def lend_nothing(**_options: str) -> NoReturn:
    raise AssertionError("a benchmark that uses a product says so: needs_product")


async def check_answers(question: Question, products: Products) -> None:
    outcome = await ask(question, Form.SHORT, products)
    text = report(outcome)
    print(f"\n{text}")
    for side, answers in outcome.answers.items():
        assert len(answers) == question.rounds_short, side
        for answer in answers:
            # A figure that is a difference may fall below zero in so short a time.
            broken = {name for name, value in answer.figures.items() if not math.isfinite(value)}
            assert broken == set()
    assert text.count("\ngoal ") == len(question.goals)
