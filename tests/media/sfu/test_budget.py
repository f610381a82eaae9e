"""Rates hold per source, and strangers cannot make the table grow."""

from __future__ import annotations

import pytest

from media.sfu.budget import Budget, SourceBudgets

pytestmark = pytest.mark.unit


def test_a_budget_gives_its_burst_then_its_rate() -> None:
    budget = Budget(rate_per_s=10, burst=3, now_s=0.0)
    assert [budget.spend(0.0) for _ in range(4)] == [True, True, True, False]
    assert budget.spend(0.1)
    assert not budget.spend(0.1)
    assert [budget.spend(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_budget_ignores_time_that_stands_still() -> None:
    budget = Budget(rate_per_s=10, burst=1, now_s=5.0)
    assert budget.spend(5.0)
    assert not budget.spend(4.0)


def test_one_sources_flood_leaves_another_alone() -> None:
    budgets = SourceBudgets(rate_per_s=1, burst=2)
    assert [budgets.spend("a", 0.0) for _ in range(3)] == [True, True, False]
    assert budgets.spend("b", 0.0)


def test_the_table_of_sources_is_bounded_and_forgets_the_quietest() -> None:
    budgets = SourceBudgets(rate_per_s=0.001, burst=1, sources_max=3)
    assert budgets.spend("busy", 0.0)
    for number in range(10):
        budgets.spend(f"s{number}", 0.0)
        assert not budgets.spend("busy", 0.0)
    assert len(budgets) == 3


def test_all_addresses_of_one_ipv6_network_are_one_source() -> None:
    budgets = SourceBudgets(1.0, 1.0)
    assert budgets.spend("2001:db8::1", 0.0)
    assert not budgets.spend("2001:db8::ffff:2", 0.0)
    assert budgets.spend("2001:db8:0:1::1", 0.0)
    assert budgets.spend("::ffff:192.0.2.1", 0.0)
    assert budgets.spend("::ffff:192.0.2.2", 0.0)
    assert budgets.spend("no address:", 0.0)
