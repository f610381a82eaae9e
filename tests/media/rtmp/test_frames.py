"""Tags to frames to RTP: nothing of a picture is lost, and clocks neither wrap nor jump."""

import pytest

from media.live.h264 import join_nals
from media.live.packets import PictureAssembler
from media.rtmp.errors import PublishRefused, RtmpMalformed
from media.rtmp.frames import MsClock, TagFrames, split_nals
from media.rtmp.rtp import PAYLOAD_BYTES_MAX, PictureOrder, TrackWriter, list_payloads
from media.rtmp.tags import AudioConfig, AudioTag, VideoConfig, VideoTag
from media.sfu.rtp import parse_rtp
from media.sfu.track import TrackPacket
from tests.media.live.configurations import AVC
from tests.media.rtmp.kept import Kept

pytestmark = pytest.mark.unit

IDR, SLICE = b"\x65" + bytes(range(256)) * 12, b"\x41" + b"p" * 90


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def frames(kept: Kept) -> TagFrames:
    made = TagFrames(kept)
    made.apply(VideoConfig("H264", AVC))
    made.apply(AudioConfig("AAC", b"\x11\x90"))
    return made


def picture(dts_ms: int, nal: bytes = SLICE, *, pts_ms: int | None = None) -> VideoTag:
    shown_ms = dts_ms if pts_ms is None else pts_ms
    return VideoTag("H264", dts_ms, shown_ms, nal is IDR, join_nals([nal]))


def test_pictures_carry_their_times_and_format(frames: TagFrames, kept: Kept) -> None:
    frames.apply(picture(1000, IDR, pts_ms=1080))
    frames.apply(picture(1040))
    first, second = kept.video
    assert (first.format.width, first.format.height) == (320, 180)
    assert (first.dts_ticks, first.pts_ticks, first.is_key) == (0, 7200, True)
    assert (second.dts_ticks, second.pts_ticks, second.is_key) == (3600, 3600, False)
    assert first.data == join_nals([IDR])


def test_sound_follows_on_without_rounding_errors(frames: TagFrames, kept: Kept) -> None:
    for number in range(100):
        frames.apply(AudioTag("AAC", number * 1024 * 1000 // 48_000, b"frame"))
    assert [sample.pts_ticks for sample in kept.audio] == [n * 1024 for n in range(100)]
    assert kept.audio[0].format.channels == 2
    frames.apply(AudioTag("AAC", 9000, b"frame"))  # a hole stays a hole
    assert kept.audio[-1].pts_ticks == 9000 * 48


def test_sound_is_announced_before_its_first_frame(kept: Kept) -> None:
    frames = TagFrames(kept)
    assert frames.sound is None
    frames.apply(AudioConfig("AAC", b"\x11\x90"))
    assert frames.sound is not None
    assert (frames.sound.sample_rate_hz, frames.sound.channels) == (48_000, 2)
    assert kept.audio == []


def test_another_rate_counts_in_ticks_of_its_own(frames: TagFrames, kept: Kept) -> None:
    for timestamp_ms in (0, 21):
        frames.apply(AudioTag("AAC", timestamp_ms, b"frame"))
    frames.apply(AudioConfig("AAC", b"\x12\x08"))
    for timestamp_ms in (43, 66):
        frames.apply(AudioTag("AAC", timestamp_ms, b"frame"))
    first = 43 * 44_100 // 1000
    assert [sample.pts_ticks for sample in kept.audio] == [0, 1024, first, first + 1024]
    assert [sample.format.sample_rate_hz for sample in kept.audio] == [48_000] * 2 + [44_100] * 2
    assert [sample.format.channels for sample in kept.audio] == [2, 2, 1, 1]


def test_the_same_sound_in_other_words_stays_the_same(frames: TagFrames, kept: Kept) -> None:
    """A record may say beside what follows that it has no spectral band replication."""
    frames.apply(AudioTag("AAC", 0, b"frame"))
    frames.apply(AudioConfig("AAC", bytes.fromhex("119056e500")))
    frames.apply(AudioTag("AAC", 21, b"frame"))
    first, second = kept.audio
    assert first.format == second.format
    assert (first.pts_ticks, second.pts_ticks) == (0, 1024)


def test_frames_before_their_configuration_are_dropped(kept: Kept) -> None:
    frames = TagFrames(kept)
    frames.apply(picture(0, IDR))
    frames.apply(AudioTag("AAC", 0, b"frame"))
    assert (kept.video, kept.audio, frames.dropped) == ([], [], 2)


def test_the_clock_goes_on_over_a_wrap_and_leaves_jumps_out() -> None:
    clock = MsClock()
    times = [0xFFFFFFF0, 0xFFFFFFFA, 4, 44, 40, 500_000, 500_040, 10, 50]
    assert [clock.place(t) for t in times] == [0, 10, 20, 60, 56, 56, 96, 96, 136]
    assert clock.jumps == 2


@pytest.mark.parametrize(
    "tag",
    [
        pytest.param(AudioConfig("AAC", b"\x2b\x11"), id="he-aac"),
        pytest.param(AudioConfig("AAC", b"\x11\xb8"), id="seven-channels"),
    ],
)
def test_what_cannot_be_carried_is_refused_in_words(frames: TagFrames, tag) -> None:
    with pytest.raises(PublishRefused):
        frames.apply(tag)


@pytest.mark.parametrize(
    "record", [b"", AVC[:9], AVC[:-3], bytes([1, 0, 0, 0, 0xFF, 0xE0, 0]), b"\xff" * 40]
)
def test_a_broken_configuration_is_malformed(frames: TagFrames, record: bytes) -> None:
    with pytest.raises(RtmpMalformed):
        frames.apply(VideoConfig("H264", record))


def test_nal_units_must_fit(frames: TagFrames) -> None:
    assert split_nals(b"\0\0\0\0\0\0\0\1a", 4) == [b"a"]
    assert split_nals(b"\2ab\1c", 1) == [b"ab", b"c"]
    with pytest.raises(RtmpMalformed):
        frames.apply(VideoTag("H264", 0, 0, True, b"\0\0\0\x09abc"))


def test_packets_give_the_pictures_back(frames: TagFrames, kept: Kept) -> None:
    frames.apply(picture(0, IDR))
    frames.apply(picture(40))
    writer, assembler, index, got = TrackWriter(96, ssrc=7), PictureAssembler(), 100, []
    for sample in kept.video:
        for packet in writer.write(list_payloads(sample), sample.pts_ticks):
            fields = parse_rtp(packet)
            assert fields is not None
            assert len(fields.payload) <= PAYLOAD_BYTES_MAX
            assert (fields.payload_type, fields.ssrc) == (96, 7)
            track_packet = TrackPacket(
                index, fields.marker, fields.timestamp, fields.payload, False
            )
            got += assembler.add(track_packet)
            index += 1
    assert [(p.data, p.is_key) for p in got] == [(s.data, s.is_key) for s in kept.video]
    assert got[0].format == kept.video[0].format
    assert (got[1].timestamp - got[0].timestamp) & 0xFFFFFFFF == 3600


def test_pictures_out_of_order_are_noticed(frames: TagFrames, kept: Kept) -> None:
    for dts_ms, pts_ms in ((0, 80), (40, 200), (80, 120), (120, 160)):
        frames.apply(picture(dts_ms, pts_ms=pts_ms))
    order = PictureOrder()
    assert [order.is_late(sample) for sample in kept.video] == [False, False, True, True]
