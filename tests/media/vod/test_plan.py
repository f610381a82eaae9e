"""The plan covers every frame once, in whole segments, in an order that plays soon."""

import json
import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.vod.grid import decide_frame_rate, decide_grid
from media.vod.info import CopyInfo, decode_json, encode_json
from media.vod.plan import (
    EVEN,
    PlanOrder,
    TranscodePlan,
    decide_chunks,
    list_tracks,
    plan_video,
)
from media.vod.recipe import Recipe
from media.vod.task_jobs import AudioJob, ChunkJob, CopyJob, PictureJob, get_job
from tests.media.vod.sources import PICTURE, describe_source

pytestmark = pytest.mark.unit


def plan(length_s: float, fps: Fraction | int = 30, sound_s: float | None = None) -> TranscodePlan:
    info = describe_source(length_s, fps, sound_s=sound_s)
    return plan_video(info, PlanOrder("v", "sources/v"))


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("30", "30"),
        ("30000/1001", "30000/1001"),
        ("2997/100", "30000/1001"),
        ("24000/1001", "24000/1001"),
        ("23.98", "24000/1001"),
        ("60", "60"),
        ("60.01", "60"),
        ("59.94", "60000/1001"),
        ("120", "60"),
        ("119.88", "60000/1001"),
        ("240", "60"),
        ("100", "50"),
        ("90", "45"),
        ("12.5", "25/2"),
        ("179/6", "179/6"),
        ("1", "5"),
        ("1/10", "5"),
    ],
)
def test_the_rate_is_the_sources_own_up_to_sixty(source: str, kept: str):
    assert decide_frame_rate(Fraction(source)) == Fraction(kept)


def test_of_a_long_source_that_is_passed_on_the_beginning_comes_first():
    info = replace(describe_source(200, sound_s=200), copyable=CopyInfo(sound=True))
    made = plan_video(info, PlanOrder("v", "sources/v"))
    assert [task.task_id for task in made.tasks][:3] == ["copy-opening", "copy-more", "copy"]
    jobs = [get_job(made, name) for name in ("copy-opening", "copy-more", "copy")]
    assert [job.segments_max for job in jobs if isinstance(job, CopyJob)] == [3, 32, None]
    silent = replace(info, copyable=CopyInfo(sound=False))
    names = [task.task_id for task in plan_video(silent, PlanOrder("v", "sources/v")).tasks]
    assert names[:4] == ["copy-opening", "audio-opening", "copy-more", "copy"]


@pytest.mark.parametrize(
    ("length_s", "size_mb", "steps"),
    [(1100, 1000, 2), (1300, 1000, 3), (1100, 1200, 3), (100, 1200, 1)],
)
def test_what_is_passed_on_faster_than_its_opening_plays_needs_no_step_between(
    length_s: int, size_mb: int, steps: int
):
    info = replace(
        describe_source(length_s, sound_s=length_s),
        size_bytes=size_mb * 1_000_000,
        copyable=CopyInfo(sound=True),
    )
    order = PlanOrder("v", "s", is_near=True)
    copies = [it.task_id for it in plan_video(info, order).tasks if it.kind == "copy"]
    assert copies == [*["copy-opening", "copy-more", "copy"][: steps - 1], "copy"]


def test_sound_that_is_passed_on_is_made_as_loud_as_others_behind_what_plays_soon():
    info = replace(describe_source(200, sound_s=200), copyable=CopyInfo(sound=True))
    made = plan_video(info, PlanOrder("v", "s"))
    names = [task.task_id for task in made.tasks]
    place = names.index("audio-even")
    assert {"copy", "thumbnails", f"first-{len(made.chunks) - 1:05d}"} <= set(names[:place])
    assert [it.group for it in made.tasks[place:]] == ["even", *["rest"] * len(made.chunks), ""]
    job = get_job(made, "audio-even")
    assert isinstance(job, AudioJob)
    assert (job.track, job.codec, job.segments) == ("audio-even", "aac", 50)
    assert job.evens_loudness
    assert job.only_uneven
    assert not made.tasks[place].is_main_sound
    assert [task.task_id for task in made.tasks if not task.is_needed] == ["audio-even"]
    assert "audio-even" in list_tracks(made)
    small = replace(PICTURE, width=320, height=180, coded_width=320, coded_height=180)
    alone = plan_video(replace(info, video=small), PlanOrder("v", "s"))
    assert alone.tasks[-1].task_id == "audio-even"


def test_the_first_version_passes_sound_on_and_a_later_one_makes_it_even_at_once():
    info = replace(describe_source(200, sound_s=200), copyable=CopyInfo(sound=True))
    even, plain = Recipe(evens_loudness=True), Recipe(evens_loudness=False)
    made = {
        (version, recipe.evens_loudness): plan_video(info, PlanOrder("v", "s", recipe, version))
        for version in (1, 2)
        for recipe in (even, plain)
    }
    assert {way for way, plan in made.items() if not plan.copies_sound} == {(2, True)}
    both = {way for way, plan in made.items() if any(it.group == EVEN for it in plan.tasks)}
    assert both == {(1, True)}
    later = made[2, True]
    assert later.copied is not None, "the picture is passed on all the same"
    (job,) = [get_job(later, it.task_id) for it in later.tasks if it.task_id == later.audio_track]
    assert isinstance(job, AudioJob)
    assert job.evens_loudness
    assert not job.only_uneven


def test_ntsc_segments_hold_whole_frames_on_a_whole_clock():
    grid = decide_grid(describe_source(60, Fraction(30_000, 1001)))
    assert (grid.timescale, grid.frame_ticks, grid.segment_frames) == (90_000, 3003, 120)
    assert grid.segment_s == Fraction(4004, 1000)


def test_film_rates_get_a_clock_of_their_own():
    grid = decide_grid(describe_source(60, Fraction(24_000, 1001)))
    assert (grid.timescale, grid.frame_ticks) == (24_000, 1001)


@given(
    st.fractions(Fraction(1, 10), 300, max_denominator=1001),
    st.floats(0.01, 40_000, allow_nan=False),
)
def test_any_rate_gives_a_grid_without_rounding(fps: Fraction, length_s: float):
    grid = decide_grid(describe_source(length_s, fps))
    assert 5 <= grid.fps <= Fraction(6006, 100)
    assert Fraction(grid.frame_ticks, grid.timescale) == 1 / grid.fps
    assert grid.timescale < 2**32
    assert 3.5 <= grid.segment_s <= 4.5
    assert abs(grid.duration_s - Fraction(length_s)) <= max(1 / grid.fps, Fraction(1, 1000))


@given(st.fractions(5, 60, max_denominator=1001), st.integers(0, 10**6), st.integers(0, 10**13))
def test_a_slot_shows_its_own_moment(fps: Fraction, slot: int, origin_us: int):
    grid = replace(decide_grid(describe_source(10, fps)), origin_us=origin_us)
    assert grid.slot_of(grid.source_s_of(slot)) == slot
    nearly_half = Fraction(49, 100) / grid.fps
    assert grid.slot_of(grid.source_s_of(slot) + nearly_half) == slot
    assert grid.slot_of(grid.source_s_of(slot) - nearly_half) == slot


@given(st.integers(1, 5000), st.integers(1, 12))
def test_chunks_cover_every_segment_once_and_are_even_after_the_opening(
    segments: int, segments_max: int
):
    chunks = decide_chunks(segments, segments_max)
    covered = [n for c in chunks for n in range(c.first_segment, c.first_segment + c.segments)]
    assert covered == list(range(segments))
    assert [c.index for c in chunks] == list(range(len(chunks)))
    sizes = [c.segments for c in chunks]
    assert max(sizes) <= segments_max
    rest = sizes[3:] or sizes[2:] or sizes[1:] or sizes
    assert max(rest) - min(rest) <= 1


def test_long_videos_open_with_short_chunks_and_go_on_with_five_to_eight_segments():
    for segments in range(30, 3000):
        sizes = [c.segments for c in decide_chunks(segments, 8)]
        assert sizes[:3] == [1, 2, 4]
        assert set(sizes[3:]) <= {5, 6, 7, 8}
    assert [c.segments for c in decide_chunks(8, 8)] == [8]
    assert [c.segments for c in decide_chunks(9, 8)] == [1, 8]


def test_a_long_video_opens_with_the_sound_and_picture_of_its_first_seconds():
    made = plan(200, sound_s=200)
    assert [task.task_id for task in made.tasks[:11]] == [
        "audio-opening",
        "first-00000",
        "first-00001",
        "audio-more",
        "first-00002",
        "first-00003",
        "first-00004",
        "first-00005",
        "audio",
        "quality",
        "thumbnails",
    ]
    groups = [task.group for task in made.tasks if task.kind == "chunk"]
    assert groups == sorted(groups)
    first, rest = made.groups
    assert [rung.name for rung in first.rungs] == ["240p"]
    assert [rung.name for rung in rest.rungs] == ["720p", "480p", "360p"]
    sounds = ("audio-opening", "audio-more", "audio")
    assert [get_job(made, name).segments for name in sounds] == [3, 32, 50]


def test_a_short_video_makes_its_sound_once():
    names = [task.task_id for task in plan(50, sound_s=50).tasks]
    assert names[:4] == ["audio", "first-00000", "quality", "thumbnails"]
    names = [task.task_id for task in plan(20, sound_s=20).tasks]
    assert names == ["audio", "first-00000", "thumbnails", "storyboard", "rest-00000", "preview"]
    assert "audio" not in [task.task_id for task in plan(200).tasks]


def test_a_silent_source_has_no_audio_task():
    assert not plan(10).has_audio
    assert "audio" not in [task.task_id for task in plan(10).tasks]


def test_every_task_has_its_job_and_the_chunks_cover_every_frame():
    made = plan(150.5, 25, sound_s=150.5)
    jobs = [get_job(made, task.task_id) for task in made.tasks]
    assert sum(isinstance(job, PictureJob) for job in jobs) == 3
    assert sum(isinstance(job, AudioJob) for job in jobs) == 3
    for group in made.groups:
        chunks = [j for j in jobs if isinstance(j, ChunkJob) and j.rungs == group.rungs]
        assert [slot for job in chunks for slot in job.slots] == list(range(made.grid.frames))
    with pytest.raises(KeyError):
        get_job(made, "nothing")


def test_sound_that_goes_on_is_followed_but_padding_is_not():
    assert plan(10, sound_s=10.04).grid.frames == 300
    assert plan(10, sound_s=12).grid.frames == 360
    assert plan(10, sound_s=4).grid.frames == 300


def test_a_plan_and_its_jobs_survive_json():
    made = plan(33.3, Fraction(30_000, 1001), sound_s=33.3)
    assert decode_json(encode_json(made), TranscodePlan) == made
    job = get_job(made, "first-00000")
    assert decode_json(encode_json(job), ChunkJob) == job
    assert len(encode_json(job)) < 2000


def test_two_hours_make_a_plan_that_fits_a_row():
    made = plan(7200, 60, sound_s=7200)
    assert len(made.chunks) == 3 + math.ceil((1800 - 7) / 8)
    assert len(encode_json(made)) < 200_000


def test_another_version_shares_no_name_with_the_first_but_its_pictures():
    info = describe_source(60.0, 30)
    first = plan_video(info, PlanOrder("v", "s"))
    second = plan_video(info, PlanOrder("v", "s", Recipe(480, codecs=("av1", "hevc")), version=2))
    assert set(list_tracks(first)).isdisjoint(list_tracks(second))
    shared = {task.task_id for task in first.tasks} & {task.task_id for task in second.tasks}
    assert shared == {"thumbnails", "storyboard", "preview"}
    assert {rung.quality for group in second.groups for rung in group.rungs} == {
        "240p",
        "360p",
        "480p",
    }
    assert [group.name for group in second.groups] == ["first", "rest", "av1", "hevc"]


def test_a_plan_from_before_versions_is_the_first_version_of_the_old_recipe():
    stored = json.loads(encode_json(plan(20)))
    del stored["version"], stored["recipe"]
    read = decode_json(json.dumps(stored).encode(), TranscodePlan)
    assert (read.version, read.recipe) == (1, Recipe())
