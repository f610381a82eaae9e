"""How fine a video's pictures are made, decided from what samples of them took."""

import json
from dataclasses import replace

import pytest

from media.vod.codecs import PICTURE_CODECS
from media.vod.info import CopyInfo, decode_json, encode_json
from media.vod.ladder import Rung
from media.vod.plan import PlanOrder, TranscodePlan, list_pieces, plan_video
from media.vod.recipe import Recipe
from media.vod.records import RungLook, TaskRecord
from media.vod.task_jobs import QualityJob, get_job
from media.vod.titles import apply_looks, awaits_looks, decide_coarseness
from tests.media.vod.sources import describe_source

pytestmark = pytest.mark.unit

SIZES = ((1280, 720), (854, 480), (640, 360), (426, 240))


def look(
    size: tuple[int, int], fine_bytes: int, fine_db: float, *, worst_db: float = 0
) -> RungLook:
    """A size that takes two fifths of the bytes, and has 6 dB less, eight steps coarser."""
    return RungLook(
        *size, fine_bytes, fine_db, fine_bytes * 2 // 5, fine_db - 6, worst_db or fine_db
    )


def look_at(*found: tuple[int, float]) -> list[RungLook]:
    return [look(size, *each) for size, each in zip(SIZES, found, strict=True)]


USUAL = look_at((287_000, 38.5), (175_000, 35.5), (124_000, 33.9), (77_000, 30.5))


def test_what_needs_its_bytes_is_made_as_ever():
    assert decide_coarseness(USUAL) == {SIZES[0]: 0, SIZES[1]: 0, SIZES[2]: 0}


def test_what_looks_better_than_anybody_sees_is_made_coarser_but_not_below_that():
    plenty = look_at((287_000, 42.1), (175_000, 38.0), (124_000, 35.0), (77_000, 31.0))
    assert decide_coarseness(plenty)[SIZES[0]] == 4
    abundant = look_at((287_000, 55.0), (175_000, 50.0), (124_000, 46.0), (77_000, 43.0))
    assert decide_coarseness(abundant) == {SIZES[0]: 6, SIZES[1]: 5, SIZES[2]: None}


def test_the_worst_sample_decides_whether_there_is_plenty():
    first, *others = USUAL
    first = replace(first, fine_db=44.0, coarse_db=38.0, worst_db=38.0)
    assert decide_coarseness([first, *others])[SIZES[0]] == 0


def test_a_size_that_a_larger_one_beats_for_the_same_bytes_is_made_coarser():
    beaten = look_at((287_000, 38.5), (175_000, 35.5), (150_000, 32.0), (77_000, 30.5))
    assert decide_coarseness(beaten)[SIZES[2]] == 3


def test_a_size_that_takes_nearly_as_much_as_the_next_is_left_out_but_never_two_in_a_row():
    alike = look_at((100_000, 38.5), (95_000, 38.4), (90_000, 38.3), (20_000, 30.0))
    assert decide_coarseness(alike) == {SIZES[0]: 0, SIZES[1]: None, SIZES[2]: 0}


def test_no_size_is_made_so_coarse_that_it_takes_less_than_the_smallest():
    close = look_at((287_000, 45.0), (175_000, 42.0), (80_000, 41.0), (77_000, 30.5))
    assert decide_coarseness(close)[SIZES[2]] == 0


def test_without_looks_or_with_one_size_nothing_changes():
    assert decide_coarseness([]) == {}
    assert decide_coarseness(USUAL[:1]) == {}
    made = plan()
    assert apply_looks(made, ()) == made


def plan(**order: object) -> TranscodePlan:
    recipe = Recipe(**order)
    return plan_video(describe_source(60.0, 30), PlanOrder("v", "s", recipe))


ALIKE = look_at((100_000, 44.0), (95_000, 43.9), (60_000, 38.3), (20_000, 30.0))


def test_the_plan_keeps_its_smallest_rung_and_says_how_fine_each_other_is_made():
    made = apply_looks(plan(), ALIKE)
    assert {rung.name: rung.coarser for group in made.groups for rung in group.rungs} == {
        "240p": 0,
        "720p": 6,
        "360p": 3,
    }
    assert list_pieces(made) == list_pieces(plan())
    assert decode_json(encode_json(made), TranscodePlan) == made


def test_other_codecs_follow_and_a_group_keeps_at_least_one_rung():
    made = apply_looks(plan(codecs=("av1",)), ALIKE)
    rungs = {rung.name: rung.coarser for group in made.groups for rung in group.rungs}
    assert rungs["720p-av1"] == 6
    assert "480p-av1" not in rungs
    assert all(group.rungs for group in made.groups)


def test_a_source_that_is_passed_on_stays_what_it_is():
    info = replace(describe_source(60.0, 30), copyable=CopyInfo(sound=True))
    made = plan_video(info, PlanOrder("v", "s"))
    job = get_job(made, "quality")
    assert isinstance(job, QualityJob)
    assert job.sizes == SIZES
    assert apply_looks(made, ALIKE).copied == made.copied
    coarse = decide_coarseness(ALIKE, keep_largest_fine=True)
    assert coarse[SIZES[0]] == 0


def test_every_picture_but_the_smallest_waits_for_the_quality_task():
    made = plan()
    waiting = {task.group for task in made.tasks if awaits_looks(made, task)}
    assert waiting == {"rest"}
    order = [task.task_id for task in made.tasks]
    assert order.index("quality") < order.index("rest-00000")
    short = plan_video(describe_source(20.0, 30), PlanOrder("v", "s"))
    assert "quality" not in [task.task_id for task in short.tasks]


def test_sizes_above_full_hd_are_made_as_the_largest_that_is_measured():
    info = describe_source(60.0, 30)
    assert info.video is not None
    info = replace(info, video=replace(info.video, width=3840, height=2160))
    made = plan_video(info, PlanOrder("v", "s"))
    job = get_job(made, "quality")
    assert isinstance(job, QualityJob)
    assert job.sizes[0] == (1920, 1080)
    looks = [look(size, 500_000 >> n, 46.0 - 2 * n) for n, size in enumerate(job.sizes)]
    rungs = {it.name: it for group in apply_looks(made, looks).groups for it in group.rungs}
    assert rungs["2160p"].coarser == rungs["1440p"].coarser == rungs["1080p"].coarser == 6


def test_a_rung_from_before_is_as_fine_as_ever():
    stored = json.loads(encode_json(Rung("720p", 1280, 720, 3_000_000)))
    del stored["coarser"]
    assert decode_json(json.dumps(stored).encode(), Rung).coarser == 0
    record = json.loads(encode_json(TaskRecord("quality")))
    del record["looks"]
    assert decode_json(json.dumps(record).encode(), TaskRecord).looks == ()


@pytest.mark.parametrize(
    ("codec", "usual", "coarser"),
    [("h264", "23", "27"), ("hevc", "25", "29"), ("av1", "34", "39"), ("vp9", "34", "39")],
)
def test_coarser_is_a_larger_crf_in_every_codec(codec: str, usual: str, coarser: str):
    grid = plan().grid
    rung = Rung("720p", 1280, 720, 3_000_000, codec)
    decide = PICTURE_CODECS[codec].decide_options
    assert decide(rung, grid, 0.9)["crf"] == usual
    assert decide(replace(rung, coarser=4), grid, 0.9)["crf"] == coarser
