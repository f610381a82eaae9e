"""Tasks that lose their worker: what was kept is not made again, and the bytes are the same."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from media.vod.checkpoints import Checkpoints
from media.vod.chunk_steps import MadePart, decide_parts, mark_work
from media.vod.decoder_buffer import drain_buffer
from media.vod.grid import FrameGrid
from media.vod.info import AudioInfo
from media.vod.ladder import Rung
from media.vod.records import (
    Progress,
    record_key,
    storyboard_key,
    storyboard_name,
    unfinished_key,
    unfinished_prefix,
    video_prefix,
)
from media.vod.storyboard import make_storyboard
from media.vod.task_jobs import AudioJob, ChunkJob, get_job
from media.vod.transcode import transcode_audio, transcode_chunk
from storage.objects import ObjectStore
from tests.media.vod.clips import SOURCE_KEY, VIDEO_ID, Made, run_ffmpeg, transcode

pytestmark = pytest.mark.media
CHUNK = "first-00000"


class WorkerDied(Exception):
    """Stands for kill -9: nothing of the task runs after it."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven seconds of noise, more than the rung's rate has room for: five steps and a half."""
    path = tmp_path_factory.mktemp("film") / "a.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=320x240:r=10:d=11"),
        *("-vf", "noise=alls=60:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-g", "70"),
        path,
    )
    return path


@pytest.fixture
def made(film: Path, objects: ObjectStore) -> Made:
    return transcode(film, objects, kinds=["chunk"])


def list_bytes(store: ObjectStore) -> dict[str, bytes]:
    entries = store.list_sync(video_prefix(VIDEO_ID))
    return {entry.key: store.get_sync(entry.key) for entry in entries}


def die_after(done: int) -> Callable[[Progress], None]:
    def die(progress: Progress) -> None:
        if progress.done == done:
            raise WorkerDied

    return die


def lose_chunk(made: Made, steps: int) -> None:
    """Take back all that the chunk stored; make it again as far as so many steps."""
    made.store.delete_sync(record_key(VIDEO_ID, CHUNK))
    made.store.delete_prefix_sync(f"{video_prefix(VIDEO_ID)}/240p")
    with pytest.raises(WorkerDied):
        transcode_chunk(get_job(made.plan, CHUNK), made.store, die_after(steps))


@pytest.mark.parametrize("steps", [2, 5])
def test_an_attempt_goes_on_behind_the_last_kept_step_to_the_bytes_of_an_undisturbed_run(
    steps: int, made: Made, objects: ObjectStore
):
    before = list_bytes(objects)
    lose_chunk(made, steps)
    seen: list[Progress] = []
    transcode_chunk(get_job(made.plan, CHUNK), objects, seen.append)
    assert [progress.done for progress in seen] == list(range(steps, 7))[: 7 - steps]
    assert list_bytes(objects) == before


def test_a_chunk_whose_steps_are_all_kept_decodes_nothing(made: Made, objects: ObjectStore):
    before = list_bytes(objects)
    lose_chunk(made, 6)
    objects.delete_sync(SOURCE_KEY)
    transcode_chunk(get_job(made.plan, CHUNK), objects)
    assert list_bytes(objects) == before


def test_what_another_build_of_the_encoders_kept_is_made_again(made: Made, objects: ObjectStore):
    before = list_bytes(objects)
    lose_chunk(made, 3)
    key = unfinished_key(VIDEO_ID, CHUNK, 1)
    objects.put_sync(key, b"another." + objects.get_sync(key)[8:])
    seen: list[Progress] = []
    transcode_chunk(get_job(made.plan, CHUNK), objects, seen.append)
    assert seen[0].done == 1
    assert list_bytes(objects) == before


def test_what_a_version_kept_that_cut_steps_otherwise_is_made_again(
    made: Made, objects: ObjectStore
):
    before = list_bytes(objects)
    lose_chunk(made, 3)
    job = get_job(made.plan, CHUNK)
    assert isinstance(job, ChunkJob)
    kept = Checkpoints(objects, VIDEO_ID, CHUNK, mark_work(job))
    part = kept.find(1, MadePart)
    assert part is not None
    kept.keep(1, replace(part, rungs=part.rungs * 2))
    seen: list[Progress] = []
    transcode_chunk(job, objects, seen.append)
    assert seen[0].done == 1
    assert list_bytes(objects) == before


@pytest.mark.parametrize("kept", [lambda data: data[:-9], lambda data: data[:-9] + bytes(9)])
def test_what_a_power_cut_left_of_a_step_is_made_again(
    kept: Callable[[bytes], bytes], made: Made, objects: ObjectStore
):
    before = list_bytes(objects)
    lose_chunk(made, 3)
    key = unfinished_key(VIDEO_ID, CHUNK, 1)
    objects.put_sync(key, kept(objects.get_sync(key)))
    seen: list[Progress] = []
    transcode_chunk(get_job(made.plan, CHUNK), objects, seen.append)
    assert seen[0].done == 1
    assert list_bytes(objects) == before


def test_steps_of_a_task_that_was_lost_behind_its_record_are_removed(
    made: Made, objects: ObjectStore
):
    objects.put_sync(unfinished_key(VIDEO_ID, CHUNK, 0), b"left behind")
    transcode_chunk(get_job(made.plan, CHUNK), objects)
    assert objects.list_sync(unfinished_prefix(VIDEO_ID, CHUNK)) == []


def test_encoders_that_begin_anew_leave_no_note_of_themselves_each_time(made: Made):
    assert b"x264 - core" not in made.bytes_of("240p")


def test_steps_are_halves_of_segments_also_where_those_are_odd():
    grid = FrameGrid(Fraction(41, 4), 90_000, 8_780, 41, 60, 0)
    assert grid.list_steps(range(60)) == [range(21), range(21, 41), range(41, 60)]
    assert grid.list_steps(range(41, 60)) == [range(41, 60)]


def test_the_largest_rung_is_a_part_of_its_own_while_the_others_fit_into_memory():
    ladder = [Rung(f"{n}", 16 * n // 9, n, 1) for n in (1080, 720, 480, 360)]
    calm = FrameGrid(Fraction(30), 90_000, 3_000, 120, 60, 0)
    fast = FrameGrid(Fraction(60), 90_000, 1_500, 240, 60, 0)
    assert decide_parts(ladder, calm) == [range(1), range(1, 4)]
    assert decide_parts(ladder, fast) == [range(4)]
    assert decide_parts(ladder[3:], calm) == [range(1)]


def test_encoders_that_begin_anew_keep_to_the_rate_over_their_borders(made: Made):
    """Each would take its buffer for full: a second half over the rate in every four seconds."""
    rung = made.plan.groups[0].rungs[0]
    with av.open(io.BytesIO(made.bytes_of(rung.name))) as container:
        sizes = [packet.size for packet in container.demux() if packet.size]
    later = sizes[40:]  # behind what the full buffer gave the first seconds
    assert 8 * sum(later) / (len(later) / 10) == pytest.approx(rung.bitrate_bps, rel=0.1)


def test_a_buffer_gives_pictures_away_and_fills_at_the_rungs_rate():
    rung = Rung("x", 320, 240, 100_000)  # its buffer holds 25,000 bytes, 1,250 come per frame
    fps = Fraction(10)
    assert drain_buffer(0.5, [1_250] * 20, rung, fps) == 0.5
    assert drain_buffer(0.5, [6_250], rung, fps) == 0.3
    assert drain_buffer(0.5, [25_000, 0], rung, fps) == 0.0
    assert drain_buffer(0.99, [0] * 5, rung, fps) == 1.0


def test_sound_goes_on_behind_its_last_kept_step_to_the_bytes_of_an_undisturbed_run(
    tmp_path: Path, objects: ObjectStore
):
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=70:r=48000", "-c:a", "pcm_s16le", tmp_path / "a.wav")
    made = transcode(tmp_path / "a.wav", objects)
    before = list_bytes(objects)
    objects.delete_sync(record_key(VIDEO_ID, "audio"))
    objects.delete_prefix_sync(f"{video_prefix(VIDEO_ID)}/audio")
    job = get_job(made.plan, "audio")
    assert isinstance(job, AudioJob)
    assert isinstance(job.audio, AudioInfo)
    with pytest.raises(WorkerDied):
        transcode_audio(job, objects, die_after(17))
    kept = objects.get_sync(unfinished_key(VIDEO_ID, "audio", 0))
    transcode_audio(job, objects)
    assert len(kept) > 64 * 1_000
    assert list_bytes(objects) == before


def test_sheets_that_are_there_are_not_drawn_again(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=410", "-c:v", "mpeg4", "-g", "7"),
        tmp_path / "a.mp4",
    )
    made = transcode(tmp_path / "a.mp4", objects, kinds=["storyboard"])
    before = list_bytes(objects)
    objects.delete_sync(record_key(VIDEO_ID, "storyboard"))
    objects.delete_sync(storyboard_key(VIDEO_ID, storyboard_name(1)))
    objects.put_sync(storyboard_key(VIDEO_ID, storyboard_name(0)), b"as it was")
    make_storyboard(get_job(made.plan, "storyboard"), objects)
    after = list_bytes(objects)
    assert after.pop(storyboard_key(VIDEO_ID, storyboard_name(0))) == b"as it was"
    assert after.items() <= before.items()
    assert len(after) == len(before) - 1
