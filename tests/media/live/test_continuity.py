"""A programme whose publisher is away: a slate in its place, and playlists that keep the rules."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from media.live.continuity import GONE_AFTER_S, LATE_MAX_S, SILENT_AFTER_S
from media.live.h264 import build_format
from media.live.packets import OPUS_FORMAT, OPUS_SILENCE
from media.live.recording import measure_duration_ms, publish_recording
from media.live.samples import AudioSample, VideoFormat, VideoSample
from media.live.slates import SIDE_MAX, Slate, SlateShape, decide_shape
from media.live.stored import build_window, describe_segment
from media.live.window import Entry
from tests.media.live.packets_stage import PPS, SPS_320
from tests.media.live.programme import AUDIO, EPOCH, VIDEO, Programme, check_contiguous
from tests.media.playlist_rules import PlaylistReader

pytestmark = pytest.mark.unit

FORM = replace(build_format(SPS_320 + b"\x00", [PPS]), is_slate=True)
SLATE = Slate(SlateShape(320, 180, 30), FORM, tuple(b"slate" for _ in range(60)))
TICK_S = 0.2


class Interrupted(Programme):
    """A programme whose publisher goes away and comes back."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reader = PlaylistReader(self.playlists)

    def be_away(self, seconds: float) -> None:
        """Let time pass without a picture; the edge looks in every now and then."""
        for _ in range(round(seconds / TICK_S)):
            self.now_s += TICK_S
            if self.continuity.is_due:
                assert self.continuity.get_shape() == SLATE.shape
                self.continuity.show(SLATE)
                self.reader.reload()

    def skip_clocks(self, seconds: float) -> None:
        """The publisher's own clocks run on while it sends nothing."""
        self.camera.timestamp += round(seconds * 90_000)
        self.microphone.timestamp += round(seconds * 48_000)
        self._due_audio_s += seconds

    def return_as_another(self) -> None:
        """Another publisher, as the edge begins it."""
        self.continuity.finish()
        last = self.window.get_last(VIDEO)
        assert last is not None
        self.gen += 1
        self._due_audio_s = self.now_s
        offset_ms = round((self.now_s - 500) * 1000)
        self.begin(first=last.number + 1, offset_ms=offset_ms, is_resumed=True)

    def list_slates(self, track: str = VIDEO) -> list[Entry]:
        return [entry for entry in self.window.list_entries(track) if entry.is_slate]

    def list_marks(self, track: str = VIDEO) -> list[int]:
        """Numbers of the segments that a discontinuity stands before."""
        return [e.number for e in self.window.list_entries(track) if e.is_discontinuous]


@pytest.fixture
def programme() -> Interrupted:
    made = Interrupted()
    made.run(5)
    return made


def test_a_slate_goes_on_where_the_picture_of_a_publisher_who_left_ended(programme: Interrupted):
    programme.continuity.note_gone()
    programme.be_away(GONE_AFTER_S - TICK_S)
    assert not programme.list_slates()
    programme.be_away(6)
    first = programme.list_slates()[0]
    before = programme.window.find_entry(VIDEO, first.number - 1)
    assert before is not None
    assert first.start_s == pytest.approx(before.start_s + before.duration_s, abs=0.001)
    assert first.init.name == "init1.mp4"
    last = programme.window.list_entries(VIDEO)[-1]
    shown_s = (programme.now_s - 500) - (last.start_s + last.duration_s)
    assert 0 <= shown_s < 1  # it keeps up with the wall clock
    for track in (VIDEO, AUDIO):
        check_contiguous(programme.window, track)
        assert programme.list_marks(track) == [first.number]
        assert all(1.5 <= e.duration_s <= 2.5 for e in programme.list_slates(track) if e.is_whole)


def test_the_next_publisher_follows_a_slate_after_another_discontinuity(programme: Interrupted):
    programme.continuity.note_gone()
    programme.be_away(7)
    slates = [entry.number for entry in programme.list_slates()]
    programme.return_as_another()
    programme.run(5)
    found = programme.reader.reload()
    assert programme.list_marks() == [slates[0], slates[-1] + 1]
    assert found[VIDEO].segments[slates[-1] + 1].address.startswith("2/")
    resumed = found[VIDEO].segments[slates[-1] + 1].moment
    assert resumed is not None
    assert (resumed - EPOCH).total_seconds() == pytest.approx(12, abs=0.1)


def test_the_end_of_the_live_ends_the_slate(programme: Interrupted):
    programme.continuity.note_gone()
    programme.be_away(7)
    programme.continuity.finish()
    programme.window.end()
    found = programme.reader.reload()
    assert "ENDLIST" in found[VIDEO].tags
    assert all(segment.address for segment in found[VIDEO].segments)
    assert not programme.continuity.is_due


def test_the_list_of_variants_stays_the_publishers_own(programme: Interrupted):
    before = programme.playlists.render_master()
    programme.continuity.note_gone()
    programme.be_away(30)
    assert programme.playlists.render_master() == before


def test_a_publisher_who_sends_nothing_is_away_and_comes_back_with_a_keyframe(
    programme: Interrupted,
):
    programme.be_away(SILENT_AFTER_S - TICK_S)
    assert not programme.continuity.is_showing
    programme.be_away(4)
    assert programme.continuity.is_showing
    programme.skip_clocks(8 - TICK_S)
    asked = programme.keys_asked
    programme._wants_key = False
    programme.run(4)
    assert programme.keys_asked > asked
    programme.reader.reload()
    assert not programme.continuity.is_showing
    assert len(programme.list_marks()) == 2
    last = programme.window.list_entries(VIDEO)[-1]
    assert last.init.name == "init0.mp4"
    assert last.start_s + last.duration_s == pytest.approx(programme.now_s - 500, abs=0.5)
    for track in (VIDEO, AUDIO):
        check_contiguous(programme.window, track)


def test_pictures_that_were_held_up_are_dropped(programme: Interrupted):
    programme.be_away(6)
    away_until_s = programme.now_s
    programme.camera.timestamp += (6 * 90_000) - 60 * 3000
    programme._wants_key = True
    for _ in range(60):  # of the last two seconds, all at once
        programme.show(programme.camera.shoot(is_key=programme._wants_key))
        programme._wants_key = False
    assert programme.continuity.is_showing
    programme.microphone.timestamp += 6 * 48_000
    programme._due_audio_s = programme.now_s
    programme._wants_key = True
    programme.run(2)
    assert not programme.continuity.is_showing
    resumed = programme.window.list_entries(VIDEO)[programme.list_marks()[-1]]
    assert resumed.start_s == pytest.approx(away_until_s - 500, abs=0.4)


def test_a_publisher_whose_clock_stood_still_is_moved_behind_the_slate(programme: Interrupted):
    form = build_format(SPS_320, [PPS])
    programme.be_away(6)
    came = 0
    for number in range(240):  # it goes on where its own clock was, six seconds late for good
        programme.now_s += 1 / 30
        at = (150 + number) * 3000
        programme.continuity.add_video(VideoSample(form, b"late", at, at, number % 15 == 0))
        if programme.continuity.is_showing:
            programme.continuity.show(SLATE)
        else:
            came += 1
            sound_at = (250 * 960) + number * 1600
            sample = AudioSample(OPUS_FORMAT, OPUS_SILENCE, sound_at, 1600)
            programme.continuity.add_audio(sample)
    programme.reader.reload()
    assert not programme.continuity.is_showing
    assert came == pytest.approx(240 - LATE_MAX_S * 30, abs=20)
    picture, sound = (programme.window.list_entries(track)[-1] for track in (VIDEO, AUDIO))
    ends_s = [entry.start_s + entry.duration_s for entry in (picture, sound)]
    assert ends_s[0] == pytest.approx(programme.now_s - 500, abs=0.7)
    assert ends_s[0] == pytest.approx(ends_s[1], abs=0.4)


def test_a_recording_leaves_the_slate_out_and_marks_the_place(programme: Interrupted):
    programme.continuity.note_gone()
    programme.be_away(9)
    programme.return_as_another()
    programme.run(5)
    live_id = uuid.UUID(int=1)
    rows = [
        describe_segment(programme.window, number, live_id, int(entry.folder))
        for number in programme.whole
        for entry in [programme.window.list_entries(VIDEO)[number]]
    ]
    slates = [row for row in rows if any(track.is_slate for track in row.tracks.values())]
    assert [row.number for row in slates] == [
        entry.number for entry in programme.list_slates() if entry.is_whole
    ]
    sent = [row for row in rows if row not in slates]
    published = publish_recording(sent, {}).files["source.m3u8"].decode()
    assert published.count("#EXT-X-DISCONTINUITY\n") == 1
    assert measure_duration_ms(sent) == pytest.approx(5000 + 4000, abs=1500)
    # Another edge lists the slate as this one did.
    rebuilt = build_window(rows, lambda: None).list_entries(VIDEO)
    assert [e.number for e in rebuilt if e.is_slate] == [row.number for row in slates]


@pytest.mark.parametrize(
    ("size", "frame_ticks", "shape"),
    [
        ((1280, 720), 3000, SlateShape(1280, 720, 30)),
        ((1080, 1920), 1500, SlateShape(1080, 1920, 30)),
        ((640, 360), 1800, SlateShape(640, 360, 25)),
        ((640, 360), 3754, SlateShape(640, 360, 25)),
        ((16_384, 8192), 3000, SlateShape(SIDE_MAX, SIDE_MAX // 2, 30)),
    ],
)
def test_a_slate_has_the_shape_of_the_picture(
    size: tuple[int, int], frame_ticks: int, shape: SlateShape
):
    assert decide_shape(VideoFormat(*size, b""), frame_ticks) == shape
