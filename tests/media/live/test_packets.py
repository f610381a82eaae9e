"""Packets to frames: order, loss, parameter sets, one clock for picture and sound."""

import random
from itertools import pairwise

import pytest

from media.h264_bits import ParameterSetMalformed
from media.live.h264 import build_format, read_size
from media.live.packets import OPUS_SILENCE, WAIT_S, WAITING_MAX, read_opus_ticks
from tests.media.live.packets_stage import (
    FRAME_TICKS,
    PPS,
    SPS_320,
    SPS_854,
    SPS_1920,
    Camera,
    Desk,
    Microphone,
    Packet,
    iterate_nals,
)

pytestmark = pytest.mark.unit


def test_sizes_are_read_with_their_cropping():
    assert read_size(SPS_320) == (320, 180)
    assert read_size(SPS_854) == (854, 480)
    assert read_size(SPS_1920) == (1920, 1080)
    assert build_format(SPS_1920, [PPS]).codec_name == "avc1.640028"


def test_a_parameter_set_cut_anywhere_is_refused_or_read_never_worse():
    for end in range(len(SPS_1920)):
        try:
            width, height = read_size(SPS_1920[:end])
        except ParameterSetMalformed:
            continue
        assert (width, height) == (1920, 1080)  # what is missing comes after the size
    picks = random.Random(4)
    for _ in range(2000):
        noise = bytes(picks.randrange(256) for _byte in range(picks.randrange(1, 40)))
        try:
            build_format(noise, [PPS])
        except ParameterSetMalformed:
            continue


def test_pictures_come_whole_with_parameter_sets_taken_out():
    camera, desk = Camera(), Desk()
    desk.show(camera.shoot(is_key=True, size=5000))
    for _ in range(3):
        desk.show(camera.shoot(size=2500), after_s=1 / 30)
    video = desk.reel.video
    assert [sample.is_key for sample in video] == [True, False, False, False]
    assert [nal[0] & 0x1F for nal in iterate_nals(video[0].data)] == [5]
    assert len(next(iterate_nals(video[0].data))) == 5000
    assert [later.dts_ticks - earlier.dts_ticks for earlier, later in pairwise(video)] == [
        FRAME_TICKS
    ] * 3  # across the wrap of the timestamp
    assert video[0].format.width == 320
    assert video[0].format.config[5:].startswith(b"\xe1")


def test_reordered_packets_are_put_in_order_and_repeated_ones_dropped():
    camera, desk = Camera(), Desk()
    packets = camera.shoot(is_key=True) + camera.shoot(size=4000) + camera.shoot()
    shuffled = packets[:2] + packets[:1:-1] + packets[3:5]
    for packet in shuffled:
        desk.show([packet], after_s=0.001)
    assert [sample.is_key for sample in desk.reel.video] == [True, False, False]


def test_a_lost_packet_is_waited_for_then_drops_pictures_until_a_keyframe():
    camera, desk = Camera(), Desk()
    desk.show(camera.shoot(is_key=True))
    torn = camera.shoot(size=4000)
    desk.show(torn[:1] + torn[2:], after_s=0.03)
    desk.show(camera.shoot(), after_s=0.03)
    assert len(desk.reel.video) == 1  # the packet may still come
    assert not desk.asked
    desk.show(camera.shoot(), after_s=WAIT_S)
    assert len(desk.reel.video) == 1
    assert desk.asked
    assert desk.source.packets_lost == 1
    desk.show(camera.shoot(is_key=True), after_s=0.03)
    desk.show(camera.shoot(), after_s=0.03)
    assert [sample.is_key for sample in desk.reel.video] == [True, True, False]
    # Time went on: what was dropped leaves a hole, which the packager's last picture fills.
    assert desk.reel.video[1].dts_ticks - desk.reel.video[0].dts_ticks == 4 * FRAME_TICKS


def test_a_retransmission_in_time_loses_nothing():
    camera, desk = Camera(), Desk()
    desk.show(camera.shoot(is_key=True))
    torn = camera.shoot(size=4000)
    desk.show(torn[:1] + torn[2:], after_s=0.03)
    desk.show(camera.shoot(), after_s=0.03)
    desk.show([torn[1]], after_s=0.1)
    assert len(desk.reel.video) == 3
    assert desk.source.packets_lost == 0


def test_a_retransmission_from_far_away_is_waited_for_as_long_as_it_may_come():
    camera, desk = Camera(), Desk(wait_s=1.0)
    desk.show(camera.shoot(is_key=True))
    torn = camera.shoot(size=4000)
    desk.show(torn[:1] + torn[2:], after_s=0.03)
    desk.show(camera.shoot(), after_s=0.9)
    assert len(desk.reel.video) == 1
    desk.show([torn[1]], after_s=0.05)
    assert len(desk.reel.video) == 3
    assert desk.source.packets_lost == 0


def test_a_packet_that_will_not_come_is_given_up_at_once():
    camera, desk = Camera(), Desk(wait_s=1.0)
    desk.show(camera.shoot(is_key=True))
    camera.shoot()
    desk.show(camera.shoot(), after_s=0.1)
    assert not desk.asked
    desk.wait_s = 0.0
    desk.show([], after_s=0.01)
    assert desk.source.packets_lost == 1
    assert desk.asked


def test_each_packet_is_waited_for_since_it_was_missed():
    camera, desk = Camera(), Desk()
    desk.show(camera.shoot(is_key=True))
    first = camera.shoot()
    desk.show(camera.shoot(), after_s=0.1)
    camera.shoot()
    desk.show(camera.shoot(), after_s=0.1)
    desk.show(first, after_s=0.1)
    assert (len(desk.reel.video), desk.source.packets_lost) == (3, 0)
    desk.show([], after_s=WAIT_S - 0.11)
    assert desk.source.packets_lost == 0
    desk.show([], after_s=0.02)
    assert desk.source.packets_lost == 1


def test_what_waits_is_bounded_however_long_a_packet_may_still_come():
    camera, microphone, desk = Camera(), Microphone(), Desk(wait_s=1e9)
    desk.show(camera.shoot(is_key=True))
    camera.shoot()
    desk.show(camera.shoot())
    for _ in range(2 * WAITING_MAX):
        desk.hear(microphone.record(), after_s=0.02)
    assert len(desk.reel.audio) > WAITING_MAX - 20
    for _ in range(WAITING_MAX - 2):
        desk.show(camera.shoot())
    assert desk.source.packets_lost == 0
    desk.show(camera.shoot())
    assert desk.source.packets_lost == 1
    assert len(desk.reel.audio) == 2 * WAITING_MAX


def test_sound_that_waited_with_a_picture_follows_beside_it_and_never_stops_nearby():
    camera, microphone, desk = Camera(), Microphone(), Desk(wait_s=1.0)
    desk.show(camera.shoot(is_key=True))
    desk.hear(microphone.record())
    repeated = camera.shoot()
    desk.show(camera.shoot(), after_s=0.03)
    desk.hear(microphone.record(), after_s=WAIT_S - 0.01)
    assert len(desk.reel.audio) == 2
    desk.hear(microphone.record(), after_s=0.02)
    desk.show(camera.shoot(), after_s=0.1)
    desk.hear(microphone.record(), after_s=0.1)
    assert len(desk.reel.audio) == 2
    desk.reel.kinds.clear()
    desk.show(repeated, after_s=0.1)
    assert desk.reel.kinds == ["video", "video", "audio", "video", "audio"]


def test_what_is_held_behind_something_missing_is_there_when_its_publisher_leaves():
    camera, microphone, desk = Camera(), Microphone(), Desk(wait_s=1.0)
    desk.show(camera.shoot(is_key=True))
    camera.shoot()
    desk.show(camera.shoot(), after_s=0.03)
    desk.hear(microphone.record(), after_s=WAIT_S + 0.01)
    assert (len(desk.reel.video), len(desk.reel.audio)) == (1, 0)
    desk.source.finish(desk.now_s)
    assert (len(desk.reel.audio), desk.source.packets_lost) == (1, 1)


def test_a_picture_that_waited_is_placed_where_it_would_have_been():
    camera, microphone, desk = Camera(), Microphone(), Desk(wait_s=1.0)
    key = camera.shoot(is_key=True, size=4000)
    desk.show(key[:1] + key[2:])
    desk.hear(microphone.record(), after_s=0.1)
    desk.show(camera.shoot(), after_s=0.1)
    desk.show([key[1]], after_s=0.5)
    desk.hear(microphone.record())
    assert [sample.pts_ticks for sample in desk.reel.video] == [0, FRAME_TICKS]
    assert desk.reel.audio[0].pts_ticks == 0  # nothing earlier was known when it was placed


@pytest.mark.parametrize(
    "payload", [b"\x7c", b"\x7c\x85", b"\x7c\x05rest", b"\x78\x00\x09short", b"\x5f??", b"\x00"]
)
def test_malformed_payloads_break_one_picture_and_nothing_else(payload: bytes):
    camera, desk = Camera(), Desk()
    desk.show(camera.shoot(is_key=True))
    desk.show([Packet(camera.index, 1, camera.timestamp, payload)])
    camera.index += 1
    camera.timestamp += FRAME_TICKS
    desk.show(camera.shoot())
    assert len(desk.reel.video) == 1
    desk.show(camera.shoot(is_key=True))
    assert len(desk.reel.video) == 2


def test_packets_of_nothing_but_padding_are_passed_over():
    camera, desk = Camera(), Desk()
    desk.show(camera.shoot(is_key=True))
    desk.show([Packet(camera.index, 0, camera.timestamp, b"")])
    camera.index += 1
    desk.show(camera.shoot())
    assert len(desk.reel.video) == 2


def test_another_size_is_another_format():
    camera, desk = Camera(), Desk()
    desk.show(camera.shoot(is_key=True))
    camera.sps = SPS_854
    desk.show(camera.shoot(is_key=True))
    desk.show(camera.shoot())
    first, second, third = (sample.format for sample in desk.reel.video)
    assert (first.width, second.width) == (320, 854)
    assert second is third


def test_lengths_of_opus_packets():
    assert read_opus_ticks(OPUS_SILENCE) == 960
    assert read_opus_ticks(b"\x08") == 960  # SILK 20 ms
    assert read_opus_ticks(b"\xf9") == 1920  # two frames
    assert read_opus_ticks(b"\xfb\x03") == 2880
    assert read_opus_ticks(b"\xfb\x3f") == 0  # longer than 120 ms
    assert read_opus_ticks(b"\xfb") == 0
    assert read_opus_ticks(b"") == 0


def test_sound_is_laid_by_arrival_then_by_sender_reports():
    camera, microphone, desk = Camera(), Microphone(), Desk()
    picture, sound = camera.timestamp, microphone.timestamp
    desk.show(camera.shoot(is_key=True))
    desk.hear(microphone.record(), after_s=0.1)
    assert desk.reel.audio[0].pts_ticks == 4800  # it came 100 ms after the picture
    # In truth both were captured at second 50 of the sender's clock.
    desk.source.apply_report("video", 50 << 32, picture)
    desk.source.apply_report("audio", 50 << 32, sound)
    desk.hear(microphone.record(), after_s=0.02)
    assert desk.reel.audio[1].pts_ticks == 960
    # A report from another world changes nothing.
    desk.source.apply_report("audio", 9000 << 32, sound)
    desk.hear(microphone.record(), after_s=0.02)
    assert desk.reel.audio[2].pts_ticks == 1920


def test_a_clock_set_anew_does_not_move_the_programme():
    camera, desk = Camera(), Desk()
    desk.show(camera.shoot(is_key=True))
    for step in (90_000 * 60, -90_000 * 3600):
        camera.timestamp = (camera.timestamp + step) & 0xFFFFFFFF
        desk.show(camera.shoot(), after_s=1 / 30)
    times = [sample.dts_ticks for sample in desk.reel.video]
    assert times == [0, 3000, 6000]
    assert desk.source.timeline.jumps == 2
