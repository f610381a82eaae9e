"""Which edge somebody is sent to."""

from __future__ import annotations

import pytest

from serve_apps.access.placing import decide_ingest, decide_watch
from storage.edges import EdgeEntry

pytestmark = pytest.mark.unit


def make_edge(name: str, load: float = 0.0, *, is_late: bool = False) -> EdgeEntry:
    return EdgeEntry("here", 0, 1, name, load, is_late=is_late)


def test_viewers_stay_at_the_origin_until_another_edge_has_far_more_room() -> None:
    edges = [make_edge("idle", 0.1), make_edge("origin", 0.2)]
    assert decide_watch(edges, "origin").url == "origin"
    edges = [make_edge("idle", 0.1), make_edge("origin", 0.21)]
    assert decide_watch(edges, "origin").url == "idle"
    assert decide_watch(edges, "gone").url == "idle"


def test_nobody_is_sent_to_an_edge_that_failed_or_fell_silent_while_there_is_another() -> None:
    edges = [make_edge("other", 0.9), make_edge("origin", is_late=True)]
    assert decide_watch(edges, "origin").url == "other"
    assert decide_ingest(edges, "origin").url == "other"
    edges = [make_edge("origin"), make_edge("other", 0.9)]
    assert decide_watch(edges, "origin", avoid="origin").url == "other"
    assert decide_ingest(edges, "origin", avoid="origin").url == "other"
    assert decide_ingest(edges[:1], "origin", avoid="origin").url == "origin"


def test_a_publisher_comes_back_to_its_last_edge_however_loaded() -> None:
    edges = [make_edge("idle"), make_edge("last", 0.9)]
    assert decide_ingest(edges, "last").url == "last"
    assert decide_ingest(edges, None).url == "idle"
