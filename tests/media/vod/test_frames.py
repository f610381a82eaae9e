"""Chunks fit together: every frame in its place, once, whatever the source."""

import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from media.vod.records import segment_name, track_key
from storage.objects import ObjectStore
from tests.media.vod.clips import (
    VIDEO_ID,
    Shot,
    draw_number,
    read_number,
    transcode,
    write_numbered,
)
from tests.media.vod.frame_grid import check_rung, steady

pytestmark = pytest.mark.media


def test_every_frame_of_a_steady_source_appears_once_across_chunks(
    tmp_path: Path, objects: ObjectStore
):
    clip = write_numbered(tmp_path / "a.mp4", steady(30, 13))
    made = transcode(clip, objects, segments_max=1)
    assert len(made.plan.chunks) == 4
    check_rung(made, "108p", list(range(390)))


def test_chunks_and_a_single_run_give_the_same_times_and_pictures(tmp_path: Path):
    clip = write_numbered(tmp_path / "a.mp4", steady(25, 9))
    whole = transcode(clip, ObjectStore.open(f"file://{tmp_path}/one"), segments_max=8)
    parts = transcode(clip, ObjectStore.open(f"file://{tmp_path}/many"), segments_max=1)
    assert len(whole.plan.chunks) == 1
    assert len(parts.plan.chunks) == 3
    whole_track, parts_track = whole.tracks["108p"], parts.tracks["108p"]
    assert [(s.number, s.start_ticks, s.duration_ticks) for s in whole_track.segments] == [
        (s.number, s.start_ticks, s.duration_ticks) for s in parts_track.segments
    ]
    assert {p.init_name for p in parts_track.parts} == {"init.mp4"}
    first, second = whole.frames_of("108p"), parts.frames_of("108p")
    assert [f.pts for f in first] == [f.pts for f in second]
    assert [read_number(f) for f in first] == [read_number(f) for f in second]


def test_ntsc_rate_keeps_whole_frames_per_segment(tmp_path: Path, objects: ObjectStore):
    fps = Fraction(30_000, 1001)
    shot = Shot(time_base=Fraction(1, 30_000))
    made = transcode(write_numbered(tmp_path / "a.mp4", steady(fps, 9), shot), objects, 1)
    assert (made.plan.grid.fps, made.plan.grid.segment_frames) == (fps, 120)
    check_rung(made, "108p", list(range(269)))


def test_b_frames_in_open_groups_survive_being_cut(tmp_path: Path, objects: ObjectStore):
    shot = Shot(
        options=(
            ("preset", "veryfast"),
            ("x264-params", "open-gop=1:keyint=47:bframes=5:b-adapt=0:scenecut=0"),
        )
    )
    made = transcode(write_numbered(tmp_path / "a.mov", steady(30, 10), shot), objects, 1)
    check_rung(made, "108p", list(range(300)))


def test_one_keyframe_at_the_very_start_is_enough(tmp_path: Path, objects: ObjectStore):
    shot = Shot(options=(("preset", "ultrafast"), ("x264-params", "keyint=9999:scenecut=0")))
    made = transcode(write_numbered(tmp_path / "a.mp4", steady(30, 10), shot), objects, 1)
    check_rung(made, "108p", list(range(300)))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4"), ("a.ts", "libx264")],
)
def test_containers_with_coarse_or_shifted_clocks_keep_every_frame(
    name: str, codec: str, tmp_path: Path, objects: ObjectStore
):
    speed = {"libvpx-vp9": (("cpu-used", "8"), ("deadline", "realtime"))}
    # AVI counts frames, so its clock is the frame rate.
    base = Fraction(1, 25) if name == "a.avi" else Fraction(1, 90_000)
    shot = Shot(codec=codec, rate=25, time_base=base, options=speed.get(codec, ()))
    made = transcode(write_numbered(tmp_path / name, steady(25, 9), shot), objects, 1)
    check_rung(made, "108p", list(range(225)))


def test_dropped_frames_are_filled_with_the_one_before(tmp_path: Path, objects: ObjectStore):
    kept = [n for n in range(270) if n % 7 != 3 and not 100 < n < 130]
    clip = write_numbered(tmp_path / "a.mp4", [Fraction(n, 30) for n in kept])
    made = transcode(clip, objects, segments_max=1)
    assert made.plan.grid.fps == 30
    assert kept[-1] == 268
    latest = [max(i for i, n in enumerate(kept) if n <= slot) for slot in range(269)]
    check_rung(made, "108p", latest)


def test_120_frames_a_second_become_60(tmp_path: Path, objects: ObjectStore):
    clip = write_numbered(tmp_path / "a.mp4", steady(120, 5), Shot(rate=120))
    made = transcode(clip, objects, segments_max=1)
    assert made.plan.grid.fps == 60
    frames = [read_number(f) for f in made.frames_of("108p")]
    assert len(frames) == 300
    assert {later - earlier for earlier, later in pairwise(frames)} == {2}


def test_a_slide_show_gets_five_frames_a_second(tmp_path: Path, objects: ObjectStore):
    clip = write_numbered(tmp_path / "a.mp4", steady(1, 6), Shot(rate=1))
    made = transcode(clip, objects, segments_max=1)
    assert made.plan.grid.fps == 5
    check_rung(made, "108p", [n // 5 for n in range(30)])


def test_a_single_frame_is_a_video(tmp_path: Path, objects: ObjectStore):
    made = transcode(write_numbered(tmp_path / "a.mp4", [Fraction(0)]), objects)
    check_rung(made, "108p", [0])


def test_a_clock_that_starts_late_starts_at_zero(tmp_path: Path, objects: ObjectStore):
    moments = [moment + 7 for moment in steady(30, 9)]
    made = transcode(write_numbered(tmp_path / "a.mkv", moments), objects, segments_max=1)
    check_rung(made, "108p", list(range(270)))


def test_each_segment_decodes_alone_from_its_first_frame(tmp_path: Path, objects: ObjectStore):
    made = transcode(write_numbered(tmp_path / "a.mp4", steady(30, 10)), objects)
    grid = made.plan.grid
    for segment in made.tracks["108p"].segments:
        alone = made.bytes_of("108p", [segment.number])
        with av.open(io.BytesIO(alone)) as container:
            frames = list(container.decode(video=0))
        first = segment.number * grid.segment_frames
        assert read_number(frames[0]) == first
        assert len(frames) == segment.duration_ticks // grid.frame_ticks
        assert frames[0].pts * frames[0].time_base == Fraction(first) / grid.fps
        assert segment.size_bytes == len(
            objects.get_sync(track_key(VIDEO_ID, "108p", segment_name(segment.number)))
        )


def test_all_rungs_of_a_group_show_the_same_frames(tmp_path: Path, objects: ObjectStore):
    clip = write_numbered(tmp_path / "a.mp4", steady(10, 5), Shot(width=854, height=480, rate=10))
    made = transcode(clip, objects)
    sizes = {name: (t.parts[0].width, t.parts[0].height) for name, t in made.tracks.items()}
    assert sizes == {"240p": (428, 240), "360p": (640, 360), "480p": (854, 480)}
    for name, (width, height) in sizes.items():
        check_rung(made, name, list(range(50)))
        assert (made.frames_of(name)[0].width, made.frames_of(name)[0].height) == (width, height)


def test_damage_in_the_middle_costs_pictures_not_time(tmp_path: Path, objects: ObjectStore):
    clip = write_numbered(
        tmp_path / "a.mp4",
        steady(30, 12),
        Shot(options=(("preset", "ultrafast"), ("x264-params", "keyint=30"))),
    )
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(range(250)) * 12
    clip.write_bytes(data)
    made = transcode(clip, objects, segments_max=1)
    frames = made.frames_of("108p")
    assert [f.pts * f.time_base for f in frames] == [Fraction(n, 30) for n in range(360)]
    assert [read_number(f) for f in frames[:60]] == list(range(60))
    assert [read_number(f) for f in frames[-60:]] == list(range(300, 360))


def test_the_stripes_can_be_read():
    for number in (0, 1, 2047, 4095):
        assert read_number(draw_number(number, 192, 108)) == number
