"""The shares of the suite hold every test once, and are one verdict."""

import pytest
from _pytest.mark.expression import Expression

from cluster.suite import SHARES, judge

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ([0, 0, 0], 0),
        ([0, 5, 5], 0),
        ([5, 0, 0], 0),
        ([5, 5, 5], 5),
        ([1, 0, 0], 1),
        ([0, 0, 1], 1),
        ([5, 2, 0], 2),
    ],
)
def test_a_failure_counts_and_a_share_without_tests_does_not(statuses: list[int], verdict: int):
    assert judge(statuses) == verdict


@pytest.mark.parametrize("category", ["unit", "long", "db", "ray", "media", "browser", "gpu"])
@pytest.mark.parametrize("beside", [set(), {"beside"}])
def test_every_test_is_in_one_share(category: str, beside: set[str]):
    marks = {category, *beside}
    if category not in {"ray", "browser"}:
        marks = {category}
    shares = [
        title
        for title, expression in SHARES.items()
        if Expression.compile(expression).evaluate(lambda name, **_: name in marks)
    ]
    assert len(shares) == 1
