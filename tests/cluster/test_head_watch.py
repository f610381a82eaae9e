"""When a machine that joined may connect, and when its head turns out to be another one."""

from __future__ import annotations

import pytest

from cluster.head_watch import STRANGE_FOR_S, Acquaintance, Verdict

pytestmark = pytest.mark.unit


def test_a_head_that_lists_the_node_knows_it():
    assert Acquaintance("b").hear({"h", "b"}, 1.0) is Verdict.KNOWN


def test_a_head_that_is_away_says_nothing_however_long():
    met = Acquaintance("b")
    assert {met.hear(None, at_s) for at_s in (0.0, 10.0, 100.0)} == {Verdict.OPEN}


def test_a_head_that_does_not_list_the_node_for_two_seconds_is_another_one():
    met = Acquaintance("b")
    assert met.hear({"h"}, 10.0) is Verdict.OPEN
    assert met.hear({"h"}, 9.9 + STRANGE_FOR_S) is Verdict.OPEN
    assert met.hear({"h"}, 10.0 + STRANGE_FOR_S) is Verdict.STRANGER
    assert met.hear({"h", "b"}, 20.0) is Verdict.KNOWN


def test_a_head_that_went_away_meanwhile_is_asked_anew():
    met = Acquaintance("b")
    met.hear({"h"}, 10.0)
    met.hear(None, 11.0)
    assert met.hear({"h"}, 10.5 + STRANGE_FOR_S) is Verdict.OPEN
