"""Every benchmark of a whole product in its 30-second form; they share one product."""

import pytest

from benchmarks.frame import Question
from benchmarks.products import share
from tests.benchmarks.test_short_forms import OF_PRODUCTS, check_answers
from tests.product import Product
from tests.two_edges.conftest import TWO_EDGES

pytestmark = [pytest.mark.ray, pytest.mark.late, pytest.mark.timeout(300)]


@pytest.mark.parametrize("question", OF_PRODUCTS, ids=lambda one: one.name)
async def test_a_benchmark_answers_its_question(question: Question, product: Product):
    """Each starts its own product where numbers are recorded."""
    await check_answers(question, share(product, TWO_EDGES))
