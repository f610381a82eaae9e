"""A live's listed segments as a video: names, parts, where the bytes are."""

import uuid

import msgspec
import pytest

from media.live.fragments import VIDEO
from media.live.recording import measure_duration_ms, publish_recording
from media.live.stored import build_window, decide_gap, describe_segment
from media.live.window import LiveWindow
from media.vod.records import MASTER_NAME
from storage.live_segments import StoredSegment
from tests.media.live.programme import AUDIO, EPOCH, Programme
from tests.media.playlist_reading import read_playlist
from tests.media.playlist_rules import check_publication

pytestmark = pytest.mark.unit

LIVE_ID = uuid.UUID("01900000-0000-7000-8000-000000000001")


def record(programme: Programme) -> list[StoredSegment]:
    """The rows of all whole segments."""
    return [
        describe_segment(
            programme.window,
            number,
            LIVE_ID,
            int(programme.window.list_entries(VIDEO)[number].folder),
        )
        for number in programme.whole
    ]


def make_interrupted() -> list[StoredSegment]:
    """Rows of a publisher, a gap, and another one."""
    programme = Programme()
    programme.run(5)
    programme.packager.break_off()
    window = programme.window
    last = window.get_last(VIDEO)
    assert last is not None
    rows = record(programme)
    resumed_at = msgspec.convert("2026-03-01T20:00:12Z", type(EPOCH))
    gap = decide_gap(window, LIVE_ID, 2, resumed_at)
    assert gap is not None
    assert (gap.number, gap.duration_ms, gap.tracks) == (last.number + 1, 4000, {})
    later = Programme(gen=2)
    later.window = LiveWindow(EPOCH, lambda: None)
    later.begin(first=0, offset_ms=12_000, is_resumed=True)
    later.run(5)
    first = gap.number + 1
    moved = [msgspec.structs.replace(row, number=row.number + first) for row in record(later)]
    return [*rows, gap, *moved]


def test_a_recording_names_every_segment_and_where_it_is():
    programme = Programme()
    programme.run(9)
    rows = record(programme)
    publication = publish_recording(rows, {})
    assert publication.is_playable
    assert 'CODECS="avc1.42c00d,opus"' in publication.files[MASTER_NAME].decode()
    listing = read_playlist(publication.files["source.m3u8"].decode())
    assert len(listing.segments) == len(rows)
    assert listing.tags["PLAYLIST-TYPE"] == "VOD"
    for number, segment in enumerate(listing.segments):
        name = segment.address.removeprefix("source/")
        assert publication.keys["source", name] == f"live/{LIVE_ID}/1/source/{number}.m4s"
    init = listing.segments[0].init
    assert init is not None
    key = publication.keys["source", init.removeprefix("source/")]
    assert key == f"live/{LIVE_ID}/1/source/init0.mp4"
    total_s = sum(segment.duration_s for segment in listing.segments)
    assert total_s == pytest.approx(measure_duration_ms(rows) / 1000, abs=0.01)


def test_an_interruption_is_left_out_and_discontinuous_in_both_tracks():
    rows = make_interrupted()
    publication = publish_recording(rows, {})
    check_publication(publication)
    present = [row for row in rows if row.tracks]
    for name in ("source.m3u8", "audio.m3u8"):
        listing = read_playlist(publication.files[name].decode())
        assert len(listing.segments) == len(present)
        assert [s.is_discontinuous for s in listing.segments].count(True) == 1
        assert sum(segment.init is not None for segment in listing.segments) == 2
    assert publish_recording([row for row in rows if not row.tracks], {}).files == {}


def test_a_clip_is_a_range_that_begins_anywhere():
    rows = make_interrupted()
    publication = publish_recording(rows[1:], {})
    check_publication(publication)
    listing = read_playlist(publication.files["source.m3u8"].decode())
    assert listing.segments[0].address == "source/00000.m4s"
    assert publication.keys["source", "00000.m4s"].endswith(f"/{rows[1].number}.m4s")


def test_a_window_built_from_rows_lists_what_they_list():
    rows = make_interrupted()
    window = build_window(rows, lambda: None)
    for track in (VIDEO, AUDIO):
        entries = window.list_entries(track)
        assert [entry.number for entry in entries] == [row.number for row in rows]
        assert [entry.is_gap for entry in entries].count(True) == 1
        for row, entry in zip(rows, entries, strict=True):
            if row.tracks:
                assert abs((window.get_moment(entry) - row.started_at).total_seconds()) < 0.1
    holed = [*rows[:1], *rows[2:]]
    entries = build_window(holed, lambda: None).list_entries(VIDEO)
    assert [entry.number for entry in entries] == [row.number for row in rows]
    assert entries[1].is_gap  # what no row lists was never stored


def test_a_short_absence_is_no_gap():
    programme = Programme()
    programme.run(3)
    programme.packager.break_off()
    assert decide_gap(programme.window, LIVE_ID, 2, EPOCH) is None


def test_keyframes_are_listed_alone_and_a_segment_without_one_lengthens_the_one_before():
    programme = Programme(answers_keyframes=False)
    programme.run(9)
    rows = record(programme)
    keys = [row.tracks[VIDEO].key_bytes > 0 for row in rows]
    assert keys == [True, False]
    made = publish_recording(rows, {}).files
    (only,) = read_playlist(made["source-keys.m3u8"].decode()).segments
    assert only.duration_s == pytest.approx(measure_duration_ms(rows) / 1000, abs=0.01)
    assert "source-keys.m3u8" not in publish_recording(rows[1:], {}).files


def test_a_recording_whose_format_changes_says_every_codec_and_its_largest_size():
    rows = make_interrupted()
    other = [
        msgspec.structs.replace(
            row,
            tracks={
                VIDEO: msgspec.structs.replace(
                    row.tracks[VIDEO], codec="avc1.42c01f", width=1280, height=720
                ),
                AUDIO: msgspec.structs.replace(
                    row.tracks[AUDIO], codec="mp4a.40.2", timescale=24_000, channels=2
                ),
            },
        )
        for row in rows
        if row.origin_gen == 2 and row.tracks
    ]
    files = publish_recording([row for row in rows if row.origin_gen == 1] + other, {}).files
    variant, keys = (
        next(line for line in files[MASTER_NAME].decode().splitlines() if line.startswith(tag))
        for tag in ("#EXT-X-STREAM-INF", "#EXT-X-I-FRAME-STREAM-INF")
    )
    assert 'CODECS="avc1.42c00d,avc1.42c01f,opus,mp4a.40.2"' in variant
    assert 'CODECS="avc1.42c00d,avc1.42c01f"' in keys
    assert "RESOLUTION=1280x720" in variant
    assert "RESOLUTION=1280x720" in keys
    heard = read_playlist(files["audio.m3u8"].decode()).segments
    assert heard[-1].duration_s == pytest.approx(2 * read_last_s(other), abs=0.001)


def read_last_s(rows: list[StoredSegment]) -> float:
    """The length of the last segment's sound at 48,000 Hz."""
    return rows[-1].tracks[AUDIO].duration_ticks / 48_000
