"""The two shares of the suite are one verdict."""

import pytest

from cluster.suite import judge

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [([0, 0], 0), ([0, 5], 0), ([5, 0], 0), ([5, 5], 5), ([1, 0], 1), ([0, 1], 1), ([5, 2], 2)],
)
def test_a_failure_counts_and_a_share_without_tests_does_not(statuses: list[int], verdict: int):
    assert judge(statuses) == verdict
