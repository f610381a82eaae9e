"""Playlists say exactly what the records hold."""

from fractions import Fraction

import pytest

from media.vod.hls import build_master_playlist, build_media_playlist, join_track
from media.vod.records import SegmentRecord, TrackRecord

pytestmark = pytest.mark.unit


def part(
    numbers: range, *, track: str = "240p", size_bytes: int = 50_000, init: str = "init.mp4"
) -> TrackRecord:
    return TrackRecord(
        track=track,
        codec="avc1.640015",
        init_name=init,
        timescale=90_000,
        segments=tuple(SegmentRecord(n, n * 360_000, 360_000, size_bytes) for n in numbers),
        width=426,
        height=240,
    )


SOUND = TrackRecord(
    track="audio",
    codec="mp4a.40.2",
    init_name="init.mp4",
    timescale=48_000,
    segments=(SegmentRecord(0, 0, 192_512, 64_000), SegmentRecord(1, 192_512, 96_000, 30_000)),
    channels=2,
)


def test_a_media_playlist_lists_every_segment_in_order():
    track = join_track([part(range(2, 3)), part(range(2))])
    assert build_media_playlist(track, 4).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:4",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="240p/init.mp4"',
        "#EXTINF:4.000000,",
        "240p/00000.m4s",
        "#EXTINF:4.000000,",
        "240p/00001.m4s",
        "#EXTINF:4.000000,",
        "240p/00002.m4s",
        "#EXT-X-ENDLIST",
    ]


def test_a_segment_above_the_target_is_a_broken_invariant():
    segments = (SegmentRecord(0, 0, 90_000 * 4 + 360, 1), SegmentRecord(1, 360_360, 405_000, 1))
    track = join_track([TrackRecord("240p", "avc1.640015", "init.mp4", 90_000, segments, 426, 240)])
    assert "#EXT-X-TARGETDURATION:5\n" in build_media_playlist(track, 5)
    with pytest.raises(AssertionError, match="above the target"):
        build_media_playlist(track, 4)


def test_a_track_that_grows_says_so_and_begins_at_its_start():
    lines = build_media_playlist(join_track([part(range(2))], is_whole=False), 4).splitlines()
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in lines
    assert "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES" in lines
    assert "#EXT-X-ENDLIST" not in lines


def test_another_init_segment_is_announced_with_a_discontinuity():
    track = join_track([part(range(1)), part(range(1, 2), init="init-abc.mp4")])
    lines = build_media_playlist(track, 4).splitlines()
    where = lines.index("#EXT-X-DISCONTINUITY")
    assert lines[where + 1] == '#EXT-X-MAP:URI="240p/init-abc.mp4"'
    assert lines[where + 3] == "240p/00001.m4s"


def test_the_master_playlist_adds_the_sound_to_each_variant():
    audio = join_track([SOUND])
    rung = join_track([part(range(2))])
    lines = build_master_playlist([rung], [audio], Fraction(30_000, 1001)).splitlines()
    assert lines[:3] == ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    assert lines[3] == (
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="main",DEFAULT=YES,AUTOSELECT=YES,'
        'CHANNELS="2",URI="audio.m3u8"'
    )
    assert audio.measure_peak_bps(4) == 127_660
    assert rung.measure_peak_bps(4) == rung.average_bps == 100_000
    assert lines[4] == (
        f"#EXT-X-STREAM-INF:BANDWIDTH={100_000 + 127_660},"
        f"AVERAGE-BANDWIDTH={100_000 + audio.average_bps},"
        'CODECS="avc1.640015,mp4a.40.2",RESOLUTION=426x240,FRAME-RATE=29.970,AUDIO="sound",'
        "CLOSED-CAPTIONS=NONE"
    )
    assert lines[5] == "240p.m3u8"


def test_a_silent_video_mentions_no_sound():
    text = build_master_playlist([join_track([part(range(1))])], [], Fraction(25))
    assert "AUDIO" not in text
    assert 'CODECS="avc1.640015"' in text


def test_a_hole_or_an_overlap_is_a_broken_invariant():
    with pytest.raises(AssertionError, match="hole"):
        join_track([part(range(1)), part(range(2, 3))])
    with pytest.raises(AssertionError, match="different tracks"):
        join_track([part(range(1)), part(range(1, 2), track="360p")])
    late = TrackRecord(
        "240p", "avc1.640015", "init.mp4", 90_000, (SegmentRecord(1, 400_000, 9000, 1),), 426, 240
    )
    with pytest.raises(AssertionError, match="does not start where"):
        join_track([part(range(1)), late])
