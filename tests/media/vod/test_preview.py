"""The preview of a video: silent seconds of its best scenes, of every kind of source."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media.vod.grid import FrameGrid
from media.vod.plan import PlanOrder, plan_video
from media.vod.preview import Scene, choose_scenes, decide_slots, make_preview
from media.vod.probe import probe_file
from media.vod.records import TaskRecord
from media.vod.task_jobs import PictureJob, get_job
from storage.objects import ObjectStore
from tests.media.vod.clips import run_ffmpeg

pytestmark = pytest.mark.media

H264 = ("-c:v", "libx264", "-preset", "ultrafast")
BYTES_MAX = 200_000


def make(path: Path, store: ObjectStore) -> TaskRecord:
    store.put_file_sync("sources/v", path)
    job = get_job(plan_video(probe_file(path), PlanOrder("v", "sources/v")), "preview")
    assert isinstance(job, PictureJob)
    return make_preview(job, store)


def read_frames(store: ObjectStore, path: Path) -> tuple[list[np.ndarray], float]:
    """Return the pictures as (H, W, 3) RGB, and the length in seconds."""
    data = store.get_sync("videos/v/preview.mp4")
    assert data.index(b"moov") < data.index(b"mdat"), "it plays before all of it is there"
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video"], "it is silent"
        duration_s = float(container.duration or 0) / av.time_base
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)], duration_s


def test_a_preview_is_three_small_seconds_of_scenes_that_show_something(
    tmp_path: Path, objects: ObjectStore
):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=480x270:r=30:d=2"),
        *("-f", "lavfi", "-i", "testsrc2=s=480x270:r=30:d=4"),
        *("-f", "lavfi", "-i", "sine=d=6"),
        *("-filter_complex", "[0][1]concat[v]", "-map", "[v]", "-map", "2", *H264, "-g", "30"),
        tmp_path / "a.mp4",
    )
    record = make(tmp_path / "a.mp4", objects)
    frames, duration_s = read_frames(objects, tmp_path / "preview.mp4")
    assert 1_000 < record.preview_bytes <= BYTES_MAX
    assert duration_s == pytest.approx(3.0, abs=0.1)
    assert (len(frames), frames[0].shape) == (45, (180, 320, 3))
    assert min(frame.mean() for frame in frames) > 40, "no black scene is taken"
    first = objects.get_sync("videos/v/preview.mp4")
    objects.delete_sync("videos/v/records/preview.json")
    assert make(tmp_path / "a.mp4", objects) == record
    assert objects.get_sync("videos/v/preview.mp4") == first, "the same source gives the same bytes"


def test_short_sources_and_such_with_one_keyframe_have_one_too(
    tmp_path: Path, objects: ObjectStore
):
    for length_s, expected_s in ((1, 1.0), (8, 3.0)):
        run_ffmpeg(
            *("-f", "lavfi", "-i", f"testsrc2=s=90x160:r=10:d={length_s}", *H264),
            *("-g", "9999", "-sc_threshold", "0", tmp_path / "a.mp4"),
        )
        make(tmp_path / "a.mp4", objects)
        frames, duration_s = read_frames(objects, tmp_path / "preview.mp4")
        assert duration_s == pytest.approx(expected_s, abs=0.11)
        assert frames[0].shape == (160, 90, 3)
        objects.delete_sync("videos/v/records/preview.json")


def test_a_source_that_breaks_off_costs_the_preview_and_nothing_else(
    tmp_path: Path, objects: ObjectStore
):
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x90:r=10:d=2", *H264, tmp_path / "a.mp4")
    plan = plan_video(probe_file(tmp_path / "a.mp4"), PlanOrder("v", "sources/v"))
    job = get_job(plan, "preview")
    assert isinstance(job, PictureJob)
    objects.put_sync("sources/v", b"not a video at all")
    assert make_preview(job, objects) == TaskRecord("preview")


def test_scenes_do_not_overlap_and_play_in_their_order():
    moments = [
        Scene(Fraction(at), score) for at, score in ((9, 0.9), (1, 0.8), (9.5, 0.85), (5, 0.2))
    ]
    chosen = choose_scenes(moments, 1.0)
    assert [float(scene.moment_s) for scene in chosen] == [1, 5, 9]
    grid = FrameGrid(Fraction(30), 90_000, 3_000, 120, 300, 0)
    assert decide_slots(grid, chosen) == [range(30, 60, 2), range(150, 180, 2), range(270, 300, 2)]
    assert decide_slots(grid, chosen[-1:]) == [range(210, 300, 2)]
    assert decide_slots(grid, []) == [range(90)[::2]]
