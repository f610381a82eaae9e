"""Frames to parts and segments to playlists: what a low-latency player relies on."""

import random

import pytest

from media.live.fragments import PART_MIN_S, PART_TARGET_S, SEGMENT_MAX_S, TARGET_DURATION_S
from media.live.playlists import SKIP_UNTIL_S
from media.live.window import KEPT_SEGMENTS, UNSAVED_SEGMENTS_MAX
from tests.media.live.packets_stage import SPS_854, Packet
from tests.media.live.programme import (
    AUDIO,
    EPOCH,
    VIDEO,
    Programme,
    check_contiguous,
    iterate_fragments,
)
from tests.media.playlist_reading import read_multivariant, read_playlist
from tests.media.playlist_rules import check_multivariant

pytestmark = pytest.mark.unit


@pytest.fixture
def programme() -> Programme:
    return Programme()


def test_segments_are_cut_at_keyframes_that_were_asked_for(programme: Programme):
    programme.run(11)
    for track in (VIDEO, AUDIO):
        check_contiguous(programme.window, track)
    listing = programme.read()
    whole = [segment for segment in listing.segments if segment.address]
    assert len(whole) == 5
    assert all(1.5 <= segment.duration_s <= 2.5 for segment in whole)
    for entry in programme.window.list_entries(VIDEO):
        keys = [
            key for part in entry.parts for _b, _l, k in iterate_fragments(part.data) for key in k
        ]
        assert keys[0]
        assert sum(keys) == 1
    assert programme.whole == [0, 1, 2, 3, 4]
    assert listing.tags["TARGETDURATION"] == str(TARGET_DURATION_S)


@pytest.mark.parametrize("fps", [10, 24, 25, 30, 60])
def test_parts_keep_to_the_target(fps: int):
    programme = Programme(fps=fps)
    programme.run(9)
    for track in (VIDEO, AUDIO):
        segments = [s for s in programme.read(track).segments if s.address]
        for segment in segments:
            durations = [duration for duration, _uri, _i in segment.parts]
            assert max(durations) <= PART_TARGET_S
            assert sum(durations) == pytest.approx(segment.duration_s, abs=1e-4)
            if track == VIDEO and fps >= 24:
                assert min(durations[:-1]) >= PART_MIN_S - 0.01


def test_sound_is_cut_beside_the_picture_under_the_same_numbers(programme: Programme):
    programme.run(9)
    pictures, sounds = (programme.window.list_entries(track) for track in (VIDEO, AUDIO))
    assert [entry.number for entry in sounds] == [entry.number for entry in pictures]
    for picture, sound in zip(pictures, sounds, strict=True):
        assert abs(picture.start_s - sound.start_s) <= 0.1  # what was written cannot be moved


def test_the_wall_clock_runs_on_with_the_programme(programme: Programme):
    programme.run(9)
    segments = programme.read().segments
    assert segments[0].moment == EPOCH
    passed = 0.0
    for segment in segments[:-1]:
        assert segment.moment is not None
        assert (segment.moment - EPOCH).total_seconds() == pytest.approx(passed, abs=0.002)
        passed += segment.duration_s


def test_a_publisher_who_sends_no_keyframes_is_cut_all_the_same():
    programme = Programme(answers_keyframes=False)
    programme.run(13)
    durations = [s.duration_s for s in programme.read().segments if s.address]
    assert durations == pytest.approx([SEGMENT_MAX_S] * 3, abs=0.05)


def test_no_sound_becomes_silence_that_keeps_up():
    programme = Programme(has_sound=False)
    programme.run(5)
    check_contiguous(programme.window, AUDIO)
    assert programme.window.list_entries(AUDIO)[-1].number == 2
    picture, sound = (programme.window.list_entries(track)[-1] for track in (VIDEO, AUDIO))
    assert abs(picture.start_s + picture.duration_s - sound.start_s - sound.duration_s) < 0.4


def test_sound_that_stops_and_comes_back_leaves_no_hole(programme: Programme):
    programme.run(3)
    programme.has_sound = False
    programme.run(4)
    programme.microphone.timestamp += 4 * 48_000
    programme._due_audio_s += 4
    programme.has_sound = True
    programme.run(4)
    check_contiguous(programme.window, AUDIO)
    assert len(programme.whole) >= 4


def test_lost_pictures_stretch_the_one_before_and_time_goes_on():
    programme = Programme(lost=frozenset({40, 41, 100}))
    programme.run(9)
    check_contiguous(programme.window, VIDEO)
    assert programme.source.pictures.dropped >= 3
    last = programme.window.list_entries(VIDEO)[-1]
    assert last.start_s + last.duration_s == pytest.approx(9, abs=0.5)


def test_another_size_begins_another_init_with_a_discontinuity_in_both_tracks(
    programme: Programme,
):
    programme.run(3)
    programme.camera.sps = SPS_854
    programme._wants_key = True
    programme.run(3)
    for track in (VIDEO, AUDIO):
        marks = [segment.is_discontinuous for segment in programme.read(track).segments]
        assert sum(marks) == 1
    inits = {segment.init for segment in programme.read().segments} - {None}
    assert inits == {"1/init0.mp4", "1/init1.mp4"}
    assert b"RESOLUTION=854x480" in programme.playlists.render_master()


def test_a_hole_in_the_picture_is_an_interruption(programme: Programme):
    programme.run(3)
    programme.now_s += 20
    programme._due_audio_s += 20
    programme.camera.timestamp += 20 * 90_000
    programme.microphone.timestamp += 20 * 48_000
    programme.run(3)
    for track in (VIDEO, AUDIO):
        assert sum(segment.is_discontinuous for segment in programme.read(track).segments) == 1
        check_contiguous(programme.window, track)
    moments = [segment.moment for segment in programme.read().segments]
    assert moments[-1] is not None
    assert (moments[-1] - EPOCH).total_seconds() > 22


def test_a_picture_that_stands_still_makes_no_segment_longer_than_promised(programme: Programme):
    programme.run(1.5)
    for _ in range(3):
        programme.now_s += 3.2
        programme._due_audio_s += 3.2
        programme.camera.timestamp += round(3.2 * 90_000)
        programme.microphone.timestamp += round(3.2 * 48_000)
        programme.run(1)
    for track in (VIDEO, AUDIO):
        check_contiguous(programme.window, track)
        assert all(s.duration_s < TARGET_DURATION_S + 0.5 for s in programme.read(track).segments)


def test_the_next_publisher_goes_on_with_a_discontinuity(programme: Programme):
    programme.run(5)
    programme.packager.break_off()
    last = programme.window.get_last(VIDEO)
    assert last is not None
    assert last.is_whole
    programme.gen = 2
    programme.begin(first=last.number + 1, offset_ms=12_000, is_resumed=True)
    programme.run(5)
    segments = programme.read().segments
    resumed = segments[last.number + 1]
    assert resumed.is_discontinuous
    assert resumed.init == "2/init0.mp4"
    assert resumed.moment is not None
    assert (resumed.moment - EPOCH).total_seconds() == 12
    assert [entry.number for entry in programme.window.list_entries(AUDIO)] == [
        entry.number for entry in programme.window.list_entries(VIDEO)
    ]


def test_the_tail_says_what_comes_next_and_how_far_the_other_track_is(programme: Programme):
    programme.run(4.7)
    listing = programme.read()
    last = programme.window.get_last(VIDEO)
    assert last is not None
    hint = listing.attributes("PRELOAD-HINT")
    assert hint == {"TYPE": "PART", "URI": f"1/{last.number}.{len(last.parts)}.m4s"}
    number, parts = programme.window.get_edge(AUDIO)
    assert listing.attributes("RENDITION-REPORT") == {
        "URI": "../audio/index.m3u8",
        "LAST-MSN": str(number),
        "LAST-PART": str(parts - 1),
    }
    control = listing.attributes("SERVER-CONTROL")
    assert control["CAN-BLOCK-RELOAD"] == "YES"
    assert float(control["PART-HOLD-BACK"]) >= 2 * PART_TARGET_S
    programme.window.end()
    ended = programme.read()
    assert "PRELOAD-HINT" not in ended.tags
    assert "ENDLIST" in ended.tags


def test_a_delta_leaves_out_the_old_segments_and_is_rendered_once(programme: Programme):
    programme.run(60)
    whole, delta = programme.read(), programme.read(is_delta=True)
    skipped = int(delta.attributes("SKIP")["SKIPPED-SEGMENTS"])
    assert skipped + len(delta.segments) == len(whole.segments)
    assert [segment.address for segment in delta.segments] == [
        segment.address for segment in whole.segments[skipped:]
    ]
    assert sum(segment.duration_s for segment in delta.segments) >= SKIP_UNTIL_S - 2.5
    assert whole.segments[0].address == "1/0.m4s"  # one can seek back to the start
    assert not whole.segments[0].parts
    rendered = programme.playlists.rendered
    programme.read()
    programme.read(is_delta=True)
    assert programme.playlists.rendered == rendered


def test_blocking_requests_know_what_they_wait_for(programme: Programme):
    programme.run(4.7)
    window = programme.window
    number, parts = window.get_edge(VIDEO)
    assert window.has_part(VIDEO, number, parts - 1)
    assert not window.has_part(VIDEO, number, parts)
    assert not window.has_part(VIDEO, number, None)
    assert window.has_part(VIDEO, number - 1, None)
    earlier = window.find_entry(VIDEO, number - 1)
    assert earlier is not None
    assert window.has_part(VIDEO, number - 1, len(earlier.parts))
    assert not window.has_part(VIDEO, number + 1, None)
    window.end()
    assert window.has_part(VIDEO, number + 1, None)


def test_bytes_go_once_they_are_stored_and_become_a_gap_when_they_cannot_be(
    programme: Programme,
):
    programme.run(30)
    window = programme.window
    assert all(entry.parts for entry in window.list_entries(VIDEO))
    for number in programme.whole:
        window.note_stored(number)
    held = [entry.number for entry in window.list_entries(VIDEO) if entry.parts]
    assert len(held) <= KEPT_SEGMENTS + 1
    programme.run(2.2 * (UNSAVED_SEGMENTS_MAX + 4))
    gaps = [segment for segment in programme.read().segments if segment.is_gap]
    assert gaps
    assert (
        sum(bool(entry.parts) for entry in window.list_entries(VIDEO)) <= UNSAVED_SEGMENTS_MAX + 1
    )


def test_a_segment_that_was_given_up_while_it_was_being_stored_is_no_gap(programme: Programme):
    programme.run(2.2 * (UNSAVED_SEGMENTS_MAX + 4))
    gaps = [segment.address for segment in programme.read().segments if segment.is_gap]
    assert gaps
    programme.window.note_stored(0)
    for track in (VIDEO, AUDIO):
        segments = programme.read(track).segments
        assert [segment.is_gap for segment in segments[:2]] == [False, True]


def test_the_master_names_both_tracks(programme: Programme):
    programme.run(0.2)
    assert not programme.window.is_playable
    programme.run(3)
    assert programme.window.is_playable
    master = programme.playlists.render_master().decode()
    check_multivariant(read_multivariant(master))
    assert 'URI="audio/index.m3u8"' in master
    assert "source/index.m3u8" in master
    assert 'CODECS="avc1.42c00d,opus"' in master


class Far(Programme):
    """Every fiftieth picture's first packet is lost, and comes again 0.7 s later."""

    repeats: list[tuple[float, Packet]]

    def show(self, packets: list[Packet]) -> None:
        if self._pictures % 50 == 7:
            self.repeats.append((self.now_s + 0.7, packets[0]))
            packets = packets[1:]
        while self.repeats and self.repeats[0][0] <= self.now_s:
            packets = [*packets, self.repeats.pop(0)[1]]
        super().show(packets)


@pytest.mark.parametrize("answers", [True, False])
def test_what_a_publisher_far_away_repeats_leaves_no_trace(*, answers: bool):
    far = Far(wait_s=1.0, answers_keyframes=answers)
    far.repeats = []
    far.run(40)
    assert (far.source.packets_lost, far.source.pictures.dropped) == (0, 0)
    sound = far.packager._sound
    assert (sound.silenced, sound.late) == (0, 0)
    for track in (VIDEO, AUDIO):
        check_contiguous(far.window, track)
        listing = read_playlist(far.playlists.render(track, is_delta=False).body.decode())
        assert not any(segment.is_discontinuous for segment in listing.segments)
        assert all(segment.duration_s < 4.5 for segment in listing.segments)


class Weather(Programme):
    """Loses every twentieth packet, most of which come again 100 ms late; delays and doubles."""

    picks: random.Random
    sky: list[tuple[float, int, str, Packet]]
    """Packets on their way, by when they arrive."""

    def show(self, packets: list[Packet]) -> None:
        self._pass_on("video", packets)

    def hear(self, packets: list[Packet]) -> None:
        self._pass_on("audio", packets)

    def _pass_on(self, kind: str, packets: list[Packet]) -> None:
        for packet in packets:
            due_s = self.now_s + self.picks.uniform(0, 0.05)
            if self.picks.random() < 0.05:
                if self.picks.random() < 0.2:
                    continue
                due_s += 0.1
            self.sky += [(due_s, packet.index, kind, packet)]
            if self.picks.random() < 0.02:
                self.sky += [(due_s + 0.03, packet.index, kind, packet)]
        self.sky.sort(key=lambda item: item[:2])
        while self.sky and self.sky[0][0] <= self.now_s:
            _due_s, _index, kind, packet = self.sky.pop(0)
            self.source.add_packets(kind, [packet], self.now_s)


@pytest.mark.parametrize("seed", range(4))
def test_loss_jitter_and_doubles_leave_one_programme_without_holes(seed: int):
    weather = Weather()
    weather.picks, weather.sky = random.Random(seed), []
    weather.run(40, size=3000)
    assert weather.source.packets_lost > 0
    assert weather.source.pictures.dropped > 0
    for track in (VIDEO, AUDIO):
        check_contiguous(weather.window, track)
        last = weather.window.list_entries(track)[-1]
        assert last.start_s + last.duration_s == pytest.approx(40, abs=1.5)
        listing = read_playlist(weather.playlists.render(track, is_delta=False).body.decode())
        assert not any(segment.is_discontinuous for segment in listing.segments)
        assert all(segment.duration_s < 4.5 for segment in listing.segments)
