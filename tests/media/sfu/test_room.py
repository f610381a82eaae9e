"""A room forwards to each viewer exactly what it may have, once, in order."""

from __future__ import annotations

import pytest

from media.sfu.catch_up import PIECE_PACKETS
from tests.media.sfu import packets as p
from tests.media.sfu.room_stage import (
    Stage,
    get_payloads,
    get_steps,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_every_viewer_gets_every_packet_once_in_order(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewers = [stage.add_viewer() for _ in range(3)]
    stage.video(publisher, b"\x10\x01a", b"\x10\x01b")
    stage.video(publisher, b"\x10\x01c")
    for viewer in viewers:
        found = stage.list_video(viewer)
        assert get_payloads(found) == [p.VP8_KEY, b"\x10\x01a", b"\x10\x01b", b"\x10\x01c"]
        assert get_steps(found) == {1}
        assert {f.payload_type for f in found} == {96}


def test_viewers_with_the_same_numbers_share_their_plaintexts(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewers = [stage.add_viewer() for _ in range(3)]
    stage.egress.jobs.clear()
    stage.video(publisher, p.VP8_DELTA)
    (job,) = stage.egress.jobs
    assert set(job.targets) == set(viewers)


def test_a_late_joiner_starts_with_the_last_keyframe(stage: Stage) -> None:
    publisher, feedback = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY, b"\x10\x01a", p.VP8_KEY, b"\x10\x01b")
    wanted_before = feedback.keyframes_wanted
    viewer = stage.add_viewer()
    stage.video(publisher, b"\x10\x01c")
    found = stage.list_video(viewer)
    assert get_payloads(found) == [p.VP8_KEY, b"\x10\x01b", b"\x10\x01c"]
    assert get_steps(found) == {1}
    assert feedback.keyframes_wanted == wanted_before


def test_a_joiner_whose_keyframe_is_long_past_asks_for_one_and_waits(stage: Stage) -> None:
    publisher, feedback = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    stage.video(publisher, *[p.VP8_DELTA] * (90 * 4 // 3 + 1))
    stage.now_s += 5
    wanted_before = feedback.keyframes_wanted
    viewer = stage.add_viewer()
    stage.video(publisher, p.VP8_DELTA)
    assert feedback.keyframes_wanted == wanted_before + 1
    assert stage.list_video(viewer) == []
    stage.video(publisher, p.VP8_DELTA, p.VP8_KEY, b"\x10\x01z")
    stage.video(publisher, b"\x10\x01y")
    assert get_payloads(stage.list_video(viewer)) == [p.VP8_KEY, b"\x10\x01z", b"\x10\x01y"]


def test_a_viewer_who_joins_amid_a_batch_gets_nothing_twice(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    number = next(pt for pt, kind in publisher.kinds.items() if kind == "video")
    packet = p.make_rtp(stage.seq + 1, (stage.seq + 1) * 3000, b"\x10\x01a", marker_and_type=number)
    stage.room.apply_rtp(publisher, packet, stage.now_s)
    stage.seq += 1
    viewer = stage.add_viewer()
    stage.video(publisher, b"\x10\x01b")
    found = stage.list_video(viewer)
    assert get_payloads(found) == [p.VP8_KEY, b"\x10\x01a", b"\x10\x01b"]


def test_a_long_past_comes_in_pieces_with_nothing_missing_or_twice(stage: Stage) -> None:
    publisher, feedback = stage.add_publisher()
    past = [p.VP8_KEY, *(b"\x10\x01%d" % n for n in range(100))]
    stage.video(publisher, *past)
    wanted_before = feedback.keyframes_wanted
    viewer = stage.add_viewer()
    assert get_payloads(stage.list_video(viewer)) == past[:PIECE_PACKETS]
    live = [b"\x10\x01live %d" % n for n in range(60)]
    for payload in live:
        stage.video(publisher, payload)
    found = stage.list_video(viewer)
    assert get_payloads(found) == past + live
    assert get_steps(found) == {1}
    assert feedback.keyframes_wanted == wanted_before


def test_a_viewer_who_leaves_amid_the_past_gets_no_more_of_it(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY, *[p.VP8_DELTA] * 100)
    viewer = stage.add_viewer()
    stage.room.remove_viewer(viewer)
    stage.egress.jobs.clear()
    stage.video(publisher, p.VP8_DELTA)
    assert stage.egress.jobs == []


def test_sound_flows_at_once_and_only_to_those_who_asked(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    both, mute = stage.add_viewer(), stage.add_viewer(("VP8",))
    stage.sound(publisher, 3)
    assert len(stage.egress.list_sent(both)) == 3
    assert stage.egress.list_sent(mute) == []


def test_packets_of_other_payload_types_or_beyond_size_go_nowhere(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    for packet in (
        p.make_rtp(1, 1, b"x", marker_and_type=50),
        p.make_rtp(1, 1, p.VP8_KEY + bytes(1400), marker_and_type=96),
        b"\x80",
    ):
        stage.room.apply_rtp(publisher, packet, stage.now_s)
    stage.room.flush(stage.now_s)
    stats = stage.room.get_stats()
    assert (stats.packets_in, stats.packets_dropped) == (0, 3)


def test_what_comes_in_goes_out_unchanged(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY, p.VP8_DELTA)
    stage.sound(publisher)
    came = [(f.kind, f.payload_sha256) for f in stage.facts if f.direction == "in"]
    went = [(f.kind, f.payload_sha256) for f in stage.facts if f.direction == "out"]
    assert came == went
    assert [kind for kind, _ in came] == ["video", "video", "audio"]


def test_a_viewer_who_left_gets_nothing_more(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.room.remove_viewer(viewer)
    stage.egress.jobs.clear()
    stage.video(publisher, p.VP8_KEY)
    assert stage.egress.jobs == []
    assert stage.room.get_stats().viewers_connected == 0


def test_rates_are_measured_over_a_second(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.room.measure_rates(2.0)
    stage.video(publisher, p.VP8_KEY + bytes(988 - len(p.VP8_KEY)))
    stage.room.measure_rates(2.5)
    assert stage.room.get_stats().bitrate_in_bps == 0
    stage.room.measure_rates(3.0)
    assert stage.room.get_stats().bitrate_in_bps == 8000
