"""A room whose publisher leaves, comes back, or changes its codec."""

from __future__ import annotations

import pytest

from media.sfu.codecs import choose_publish
from media.sfu.options import SfuOptions
from media.sfu.sdp import parse_offer
from media.sfu.session import PublisherSession, SessionParts
from media.sfu.silence import list_abandoned
from media.sfu.srtp import SrtpPair
from tests.media.sfu import packets as p
from tests.media.sfu.peer import Credentials, make_offer
from tests.media.sfu.room_stage import (
    FINGERPRINT,
    Feedback,
    Stage,
    get_payloads,
    get_steps,
    make_keys,
    make_parts,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_returning_publisher_continues_for_viewers_with_a_keyframe(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.video(publisher, b"\x10\x01a")
    stage.room.remove_publisher(publisher, stage.now_s)
    assert stage.room.get_stats().publisher_state == "lost"
    stage.now_s += 4.0
    again, feedback = stage.add_publisher()
    stage.seq = 40_000
    stage.video(again, b"\x10\x01late", ssrc=70)
    assert feedback.keyframes_wanted == 1
    stage.video(again, p.VP8_KEY, b"\x10\x01b", ssrc=70)
    found = stage.list_video(viewer)
    assert get_payloads(found) == [p.VP8_KEY, b"\x10\x01a", p.VP8_KEY, b"\x10\x01b"]
    assert get_steps(found) == {1}
    assert found[2].timestamp - found[1].timestamp == 4 * 90_000


def test_a_publisher_with_another_codec_names_the_viewers_who_must_leave(stage: Stage) -> None:
    publisher, _ = stage.add_publisher("VP8")
    stage.video(publisher, p.VP8_KEY)
    viewer, listener = stage.add_viewer(), stage.add_viewer(("opus",))
    offer = make_offer(Credentials(), FINGERPRINT, "sendonly", ("H264",))
    chosen = choose_publish(parse_offer(offer), stage.room.list_preferred_codecs())
    session = PublisherSession(publisher_parts(), chosen)
    assert stage.room.promote_publisher(session, stage.now_s) == [viewer]
    assert listener.session_id in stage.room.viewers


def publisher_parts() -> SessionParts:
    return make_parts(Feedback(SrtpPair(make_keys()[0])))


def test_viewers_codec_is_asked_for_first(stage: Stage) -> None:
    stage.add_publisher("VP8")
    stage.add_viewer()
    assert stage.room.list_preferred_codecs()[0] == "VP8"


def test_who_came_for_a_publisher_that_never_begins_does_not_wait_for_ever(stage: Stage) -> None:
    expected, _ = stage.add_publisher()
    stage.room.publisher, stage.room.next_publisher = None, expected
    viewer = stage.add_viewer()
    options = SfuOptions()
    assert list_abandoned([stage.room], options, stage.now_s + 1000) == []
    stage.room.remove_publisher(expected, stage.now_s)
    in_time_s = stage.now_s + options.viewer_grace_s
    assert list_abandoned([stage.room], options, in_time_s) == []
    assert list_abandoned([stage.room], options, in_time_s + 1) == [viewer]
