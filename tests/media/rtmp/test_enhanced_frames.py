"""Enhanced RTMP's pictures and sound to frames to RTP: HEVC, AV1 and Opus, nothing lost."""

from __future__ import annotations

import pytest

from media.live.av1 import Obu
from media.live.h264 import join_nals
from media.live.packets import OPUS_FORMAT, OPUS_SILENCE
from media.rtmp.errors import PublishRefused, RtmpMalformed
from media.rtmp.frames import TagFrames
from media.rtmp.rtp import PAYLOAD_BYTES_MAX, list_payloads
from media.rtmp.tags import AudioConfig, AudioTag, VideoConfig, VideoTag
from media.sfu.keyframes import is_keyframe_start
from tests.media.live.configurations import AV1C, HVC
from tests.media.rtmp.depacketizers import join_av1, join_hevc
from tests.media.rtmp.kept import Kept

pytestmark = pytest.mark.unit

OPUS_HEAD = bytes.fromhex("4f707573486561640102380180bb0000000000")
IDR = b"\x26\x01" + bytes(range(1, 256)) * 20
SLICE = b"\x02\x01" + b"p" * 90
VPS, AUD = b"\x40\x01other", b"\x46\x01\x50"
DELIMITER = b"\x12\x00"


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def frames(kept: Kept) -> TagFrames:
    return TagFrames(kept)


def publish_hevc(frames: TagFrames, *pictures: tuple[int, int, list[bytes]]) -> None:
    """Send pictures by decode time, time of showing and NAL units; the first is a keyframe."""
    frames.apply(VideoConfig("H265", HVC))
    for number, (dts_ms, pts_ms, nals) in enumerate(pictures):
        frames.apply(VideoTag("H265", dts_ms, pts_ms, number == 0, join_nals(nals)))


def publish_av1(frames: TagFrames, *units: list[Obu]) -> None:
    """Send temporal units, 40 ms each; the first is a keyframe."""
    frames.apply(VideoConfig("AV1", AV1C))
    for number, obus in enumerate(units):
        data = DELIMITER + b"".join(obu.pack() for obu in obus)
        frames.apply(VideoTag("AV1", 40 * number, 40 * number, number == 0, data))


def test_hevc_keeps_both_times_and_leaves_parameter_sets_to_the_format(
    frames: TagFrames, kept: Kept
) -> None:
    publish_hevc(frames, (1000, 1080, [AUD, VPS, IDR]), (1040, 1160, [AUD, SLICE]))
    first, second = kept.video
    assert (first.format.codec, first.format.width, first.format.height) == ("hevc", 320, 180)
    assert (first.dts_ticks, first.pts_ticks, first.is_key) == (0, 7200, True)
    assert (second.dts_ticks, second.pts_ticks, second.is_key) == (3600, 14_400, False)
    assert [first.data, second.data] == [join_nals([IDR]), join_nals([SLICE])]


def test_hevc_by_rtp_gives_its_pictures_back(frames: TagFrames, kept: Kept) -> None:
    publish_hevc(frames, (0, 0, [IDR]), (40, 40, [SLICE, SLICE]))
    key, other = (list_payloads(sample) for sample in kept.video)
    assert max(map(len, key + other)) <= PAYLOAD_BYTES_MAX
    sent = join_hevc(key)
    assert sent.endswith(b"\0\0\0\1" + IDR)
    assert [nal[0] >> 1 for nal in sent.split(b"\0\0\0\1")[1:]] == [32, 33, 34, 19]
    assert join_hevc(other) == (b"\0\0\0\1" + SLICE) * 2
    assert is_keyframe_start("H265", key[0])
    assert not is_keyframe_start("H265", other[0])


@pytest.mark.parametrize("size", [*range(1100, 1200), 2340, 2341, 2342, 2343, 2344, 5000])
def test_av1_by_rtp_gives_its_units_back_whatever_their_size(
    frames: TagFrames, kept: Kept, size: int
) -> None:
    frame, group = Obu(6, b"\x30", b"k" * size), Obu(4, b"\x20", b"g" * 300)
    publish_av1(frames, [frame, group], [Obu(6, b"\x34\x08", b"d" * 20)])
    key, other = (list_payloads(sample) for sample in kept.video)
    assert max(map(len, key)) <= PAYLOAD_BYTES_MAX
    assert join_av1(key) == AV1C[4:] + frame.pack() + group.pack()
    assert join_av1(other) == kept.video[1].data == b"\x36\x08\x14" + b"d" * 20
    # Chromium takes a packet that begins with no fragment for a picture's first.
    assert [payload[0] >> 7 for payload in key] == [0] + [1] * (len(key) - 1)
    assert [is_keyframe_start("AV1", p) for p in key] == [True] + [False] * (len(key) - 1)
    assert not is_keyframe_start("AV1", other[0])


def test_an_av1_keyframe_with_its_own_sequence_header_gets_no_second(
    frames: TagFrames, kept: Kept
) -> None:
    header = Obu(1, b"\x08", AV1C[6:])
    publish_av1(frames, [header, Obu(6, b"\x30", b"k")])
    assert join_av1(list_payloads(kept.video[0])) == kept.video[0].data


def test_opus_takes_its_time_from_its_packets(frames: TagFrames, kept: Kept) -> None:
    frames.apply(AudioConfig("OPUS", OPUS_HEAD))
    for number in range(5):
        frames.apply(AudioTag("OPUS", number * 20 + number % 2, OPUS_SILENCE))
    assert [sample.pts_ticks for sample in kept.audio] == [960 * number for number in range(5)]
    assert {sample.duration_ticks for sample in kept.audio} == {960}
    assert kept.audio[0].format == OPUS_FORMAT


def test_opus_of_more_channels_is_refused_in_words(frames: TagFrames) -> None:
    with pytest.raises(PublishRefused):
        frames.apply(AudioConfig("OPUS", OPUS_HEAD[:18] + b"\1" + bytes(8)))


@pytest.mark.parametrize(
    "tag",
    [
        VideoConfig("H265", HVC[:40]),
        VideoConfig("AV1", AV1C[:9]),
        AudioConfig("OPUS", OPUS_HEAD[:12]),
    ],
    ids=["hevc", "av1", "opus"],
)
def test_a_broken_configuration_is_malformed(frames: TagFrames, tag) -> None:
    with pytest.raises(RtmpMalformed):
        frames.apply(tag)


def test_a_unit_that_is_no_obus_is_malformed(frames: TagFrames) -> None:
    frames.apply(VideoConfig("AV1", AV1C))
    with pytest.raises(RtmpMalformed):
        frames.apply(VideoTag("AV1", 0, 0, True, b"\x32\x09cut"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (VideoConfig("H265", HVC), VideoConfig("AV1", AV1C)),
        (AudioConfig("OPUS", OPUS_HEAD), AudioConfig("AAC", b"\x11\x90")),
    ],
    ids=["picture", "sound"],
)
def test_another_codec_midway_is_refused_in_words(frames: TagFrames, first, second) -> None:
    frames.apply(first)
    frames.apply(first)
    with pytest.raises(PublishRefused):
        frames.apply(second)


def test_frames_of_another_codec_than_was_announced_are_dropped(
    frames: TagFrames, kept: Kept
) -> None:
    frames.apply(VideoConfig("H265", HVC))
    frames.apply(VideoTag("H264", 0, 0, True, join_nals([b"\x65abc"])))
    assert (kept.video, frames.dropped) == ([], 1)
