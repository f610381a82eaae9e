"""How much of a video's work is done, as one number."""

from __future__ import annotations

from fractions import Fraction

import pytest

from media.vod.info import AudioInfo, MediaInfo, VideoInfo
from media.vod.plan import PlanOrder, TranscodePlan, plan_video
from serve_apps.videos.progress import (
    PaceMeter,
    decide_progress,
    list_next_tasks,
    list_opening_tasks,
    weigh_tasks,
    weigh_video,
)

pytestmark = pytest.mark.unit


def make_plan(*, has_sound: bool = True, side: int = 720, length_s: float = 60.0) -> TranscodePlan:
    picture = VideoInfo(
        stream_index=0,
        codec="h264",
        pix_fmt="yuv420p",
        width=side * 16 // 9,
        height=side,
        coded_width=side * 16 // 9,
        coded_height=side,
        rotation_deg=0,
        mirrored=False,
        sar=Fraction(1),
        fps=Fraction(25),
        bit_rate_bps=None,
        color_matrix="bt709",
        is_hdr=False,
    )
    sound = AudioInfo(1, "aac", 48_000, 2) if has_sound else None
    info = MediaInfo("mov", length_s, length_s, 0, 1000, picture, sound)
    return plan_video(info, PlanOrder("v", "s"))


def test_the_shares_of_all_pieces_add_up_to_one():
    shares = weigh_tasks(make_plan())
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares.values()) > 0


def test_large_pictures_weigh_more_than_small_ones_and_than_sound():
    shares = weigh_tasks(make_plan())
    assert shares["rest-00001"] > shares["first-00001"] > shares["audio"] / 2


def test_progress_goes_from_nothing_to_everything():
    plan = make_plan()
    shares = weigh_tasks(plan)
    fractions: dict[str, float] = {}
    seen = [decide_progress(shares, fractions)]
    for task in plan.tasks:
        for fraction in (0.5, 1.0):
            fractions[task.task_id] = fraction
            seen.append(decide_progress(shares, fractions))
    assert seen[0] == 0.0
    assert seen[-1] == pytest.approx(1.0)
    assert seen == sorted(seen)


def test_a_video_plays_once_its_first_sound_and_smallest_pictures_are_there():
    assert list_opening_tasks(make_plan(length_s=200)) == {"audio-opening", "first-00000"}
    assert list_opening_tasks(make_plan(length_s=20)) == {"audio", "first-00000"}
    assert list_opening_tasks(make_plan(has_sound=False)) == {"first-00000"}


def test_what_is_watched_next_comes_before_finer_pictures():
    following = list_next_tasks(make_plan())
    assert {"audio", "first-00001", "first-00002"} <= following
    assert not any(name.startswith(("rest", "thumbnails")) for name in following)


def test_the_pace_names_the_largest_rung_in_work_and_how_long_the_rest_takes():
    meter = PaceMeter(weigh_video(make_plan()), 0.2, 100.0)
    early = meter.measure(0.3, {"first-00001"}, 101.0)
    assert (early.quality, early.speed, early.left_s) == ("240p", None, None)
    later = meter.measure(0.6, {"first-00001", "rest-00000"}, 110.0)
    assert (later.quality, later.speed, later.left_s) == ("720p", 2.4, 10.0)
    assert meter.measure(0.2, set(), 110.0).quality is None
