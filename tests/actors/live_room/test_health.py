"""How a live goes: samples, time watched, who came, and who may say what."""

from __future__ import annotations

import uuid

import pytest

from actors.hosting.effects import Answer, Requester
from actors.live_room.entries import Origin, RoomStatus
from actors.live_room.health import SAMPLE_EVERY_S, HealthAsk, HealthShown, IngestReport
from actors.live_room.messages import ViewersReport, Way
from actors.live_room.quality import QualityReport, add_up, count_delays, find_percentile_ms
from actors.live_room.room import Room
from kit.clock import ManualClock
from tests.actors.live_room.test_room import ADA, BOB, EDGE, make_room, say, store

pytestmark = pytest.mark.unit

OTHER_EDGE = "edge/edge-1/2"
QUALITY = QualityReport(
    players={Way.WEBRTC: 2},
    suffering=1,
    freezes=3,
    stalled_ms=900,
    played_ms=20_000,
    latencies=count_delays([120, 240]),
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def room(clock: ManualClock) -> Room:
    room = make_room(clock)
    room.connect_publisher(Origin(EDGE, "s1", {"edge": "http://edge"}))
    store(room)
    return room


def tell(room: Room, command: object, link: str = EDGE) -> None:
    assert room.handle(Requester(link), command) == []


def show(room: Room) -> HealthShown:
    (answer,) = room.handle(Requester("api/1", 7), HealthAsk())
    assert isinstance(answer, Answer)
    assert isinstance(answer.message, HealthShown)
    return answer.message


def test_a_sample_holds_the_peak_and_the_time_watched(room: Room, clock: ManualClock) -> None:
    assert room.due_s is not None
    assert room.due_s <= clock.monotonic_s() + SAMPLE_EVERY_S
    tell(room, ViewersReport({Way.WEBRTC: 3, Way.HLS: 1, Way.CHAT: 6}))
    clock.advance(4)
    tell(room, ViewersReport({Way.WEBRTC: 1}))
    say(room, "c1")
    store(room)
    clock.advance(6)
    room.pass_time()
    (sample,) = show(room).samples
    assert (sample.viewers, sample.webrtc, sample.hls, sample.chat) == (6, 1, 0, 0)
    assert (sample.watched_webrtc_ms, sample.watched_hls_ms) == (18_000, 4_000)
    assert (sample.span_ms, sample.lines) == (10_000, 1)
    assert list(room.health.waiting) == [sample]
    room.health.drop_stored([sample])
    assert not room.health.waiting


def test_nothing_is_noted_before_a_live_begins_and_its_end_closes_the_last_sample(
    clock: ManualClock,
) -> None:
    room = make_room(clock, RoomStatus.CREATED)
    tell(room, ViewersReport({Way.CHAT: 7}))
    say(room, "early")
    store(room)
    clock.advance(60)
    tell(room, ViewersReport({Way.CHAT: 2}))
    room.pass_time()
    assert not room.health.waiting
    room.connect_publisher(Origin(EDGE, "s1", {"edge": "http://edge"}))
    store(room)
    clock.advance(3)
    room.end("done")
    store(room)
    (sample,) = room.health.waiting
    assert (sample.span_ms, sample.viewers, sample.lines) == (3_000, 2, 0)
    assert room.health.due_s is None


def test_edges_are_added_up_and_an_edge_that_is_gone_says_nothing(room: Room) -> None:
    tell(room, QUALITY)
    tell(room, QUALITY, OTHER_EDGE)
    quality = show(room).quality
    assert (quality.players, quality.suffering, quality.freezes) == ({Way.WEBRTC: 4}, 2, 6)
    assert find_percentile_ms(quality.latencies, 0.5) == 150
    assert find_percentile_ms(quality.latencies, 0.95) == 300
    room.forget_link(OTHER_EDGE)
    tell(room, QualityReport(players={}))
    assert show(room).quality == add_up([])


def test_what_comes_in_is_told_by_the_publishers_own_edge_alone(room: Room) -> None:
    report = IngestReport("s1", 2_500_000, 30.0, 2000, 0, 900)
    tell(room, report, OTHER_EDGE)
    tell(room, IngestReport("s0", 1, 1.0, None))
    assert show(room).ingest is None
    tell(room, report)
    assert show(room).ingest == report
    room.lose_publisher(EDGE, "s1", "left")
    assert show(room).ingest is None


def test_a_visitor_counts_once_however_often_they_come_and_the_owner_does_not(room: Room) -> None:
    people = {Way.CHAT: ADA.user_id.bytes + BOB.user_id.bytes}
    stranger = uuid.uuid4().bytes[:8]
    for link in (EDGE, OTHER_EDGE):
        tell(room, ViewersReport({Way.CHAT: 1}, people, visitors=stranger), link)
        tell(room, ViewersReport({}, {}, BOB.user_id.bytes, is_whole=False), link)
    assert show(room).visitors == 2
