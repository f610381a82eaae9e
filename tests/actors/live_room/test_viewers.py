"""A room's viewers over several edges: each person once, strangers added up, exactly."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.live_room.messages import ViewersReport, Way
from actors.live_room.viewers import Viewers
from serve_apps.edge.room_mirrors import Watchers

pytestmark = pytest.mark.unit

OWNER, ADA, BOB = (uuid.UUID(int=number) for number in (1, 2, 3))
PEOPLE = (OWNER, ADA, BOB, None)
EDGES = ("edge-0", "edge-1", "edge-2")


def name(*people: uuid.UUID) -> bytes:
    return b"".join(person.bytes for person in people)


def test_a_person_on_two_edges_counts_once_and_by_the_best_way() -> None:
    viewers = Viewers(OWNER)
    viewers.report("edge-0", ViewersReport({Way.CHAT: 1}, {Way.CHAT: name(ADA, OWNER)}))
    viewers.report("edge-1", ViewersReport({}, {Way.WEBRTC: name(ADA), Way.CHAT: name(BOB)}))
    assert viewers.ways == {"webrtc": 1, "hls": 0, "chat": 2}
    viewers.report("edge-1", ViewersReport({}, {}, name(ADA), is_whole=False))
    assert viewers.ways == {"webrtc": 0, "hls": 0, "chat": 3}
    viewers.forget("edge-0")
    assert viewers.ways == {"webrtc": 0, "hls": 0, "chat": 1}


def test_a_stranger_with_a_player_here_and_a_socket_there_is_one() -> None:
    viewers = Viewers(OWNER)
    viewers.report("edge-0", ViewersReport({Way.CHAT: 3}))
    viewers.report("edge-1", ViewersReport({Way.WEBRTC: 1, Way.HLS: 1}))
    assert viewers.ways == {"webrtc": 1, "hls": 1, "chat": 1}


STEPS = st.one_of(
    st.tuples(
        st.just("count"), st.sampled_from(EDGES), st.sampled_from(PEOPLE), st.sampled_from(Way)
    ),
    st.tuples(st.sampled_from(["report", "forget"]), st.sampled_from(EDGES)),
)


@given(st.lists(STEPS, max_size=40))
def test_whatever_edges_report_in_whichever_order_the_sum_is_exact(steps: list[tuple]) -> None:
    """Edges that are forgotten say everything anew; in between they say what changed."""
    viewers = Viewers(OWNER)
    edges = {edge: Watchers() for edge in EDGES}
    told: set[str] = set()
    open_now: Counter[tuple[str, uuid.UUID | None, Way]] = Counter()

    def report(edge: str) -> None:
        whole, change = edges[edge].take_reports()
        viewers.report(edge, change if edge in told else whole)
        told.add(edge)

    for what, edge, *counted in steps:
        if what == "count":
            person, way = counted
            change = -1 if open_now[edge, person, way] else 1
            open_now[edge, person, way] += change
            edges[edge].add(person, way, change)
        elif what == "report":
            report(edge)
        else:
            viewers.forget(edge)
            told.discard(edge)
    for edge in EDGES:
        report(edge)
    present = +open_now
    strangers = {way: sum(present[edge, None, way] for edge in EDGES) for way in Way}
    strangers[Way.CHAT] = max(0, strangers[Way.CHAT] - strangers[Way.WEBRTC] - strangers[Way.HLS])
    counted: set[uuid.UUID | None] = {OWNER, None}
    for way in Way:
        people = {person for _, person, how in present if how is way} - counted
        counted |= people
        assert viewers.ways[way] == len(people) + strangers[way]
