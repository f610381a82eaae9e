"""The shares of the suite hold every test once, and are one verdict that names what failed."""

import pytest
from _pytest.mark.expression import Expression

from cluster.suite import SHARES, judge, list_failures

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


def test_what_failed_is_named_with_its_reason():
    report = (
        '<testsuites><testsuite><testcase classname="tests.a" name="test_fine"/>'
        '<testcase classname="tests.a" name="test_sum"><failure message="assert 1 == 2&#10; more">'
        "def test_sum():\n>   assert 1 == 2\n\ntests/a.py:7: AssertionError</failure></testcase>"
        '<testcase classname="tests.b" name="test_row"><error message="on setup">gone</error>'
        "</testcase></testsuite></testsuites>"
    )
    assert list_failures(report) == [
        "tests.a::test_sum\ntests/a.py:7: AssertionError\nassert 1 == 2\n more",
        "tests.b::test_row\ngone\non setup",
    ]
