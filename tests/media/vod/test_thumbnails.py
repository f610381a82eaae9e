"""Thumbnails show the video at its best: not black, not blurred, upright."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from media.vod.plan import PlanOrder, plan_video
from media.vod.probe import probe_file
from media.vod.task_jobs import PictureJob, get_job
from media.vod.thumbnails import judge_picture, make_thumbnails
from storage.objects import ObjectStore
from tests.media.vod.clips import run_ffmpeg

pytestmark = pytest.mark.media

H264 = ("-c:v", "libx264", "-preset", "ultrafast")


def make(path: Path, store: ObjectStore) -> tuple[np.ndarray, list[np.ndarray]]:
    """Run the task; the chosen picture and the candidates."""
    store.put_file_sync("sources/v", path)
    plan = plan_video(probe_file(path), PlanOrder("v", "sources/v"))
    job = get_job(plan, "thumbnails")
    assert isinstance(job, PictureJob)
    record = make_thumbnails(job, store)
    pictures = [
        cv2.imdecode(np.frombuffer(store.get_sync(key), np.uint8), cv2.IMREAD_COLOR)
        for key in record.images
    ]
    assert record.images[0] == "videos/v/thumbnail.jpg"
    return pictures[0], pictures[1:]


def test_black_and_blurred_beginnings_are_passed_over(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=320x180:r=10:d=4"),
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=10:d=4"),
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=10:d=4"),
        *("-filter_complex", "[1]gblur=20[b];[0][b][2]concat=n=3", *H264, "-g", "10"),
        tmp_path / "a.mp4",
    )
    chosen, candidates = make(tmp_path / "a.mp4", objects)
    assert chosen.shape == (180, 320, 3)
    assert chosen.mean() > 40
    assert cv2.Laplacian(chosen, cv2.CV_64F).var() > 200
    assert len(candidates) == 4


def test_a_video_with_one_keyframe_still_gets_a_choice(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=160x90:r=30:d=2"),
        *("-f", "lavfi", "-i", "testsrc2=s=160x90:r=30:d=3"),
        *("-filter_complex", "concat=n=2", *H264, "-g", "9999", "-sc_threshold", "0"),
        tmp_path / "a.mp4",
    )
    chosen, candidates = make(tmp_path / "a.mp4", objects)
    assert chosen.mean() > 40
    assert len(candidates) > 1


def test_an_all_black_video_has_a_black_thumbnail(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg("-f", "lavfi", "-i", "color=black:s=160x90:r=5:d=1", *H264, tmp_path / "a.mp4")
    chosen, _ = make(tmp_path / "a.mp4", objects)
    assert chosen.mean() < 5


def test_colours_and_size_are_right(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=c=0xC04020:s=1920x1080:r=5:d=1"),
        *("-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", *H264),
        tmp_path / "a.mp4",
    )
    chosen, _ = make(tmp_path / "a.mp4", objects)
    assert chosen.shape == (720, 1280, 3)
    assert chosen.mean(axis=(0, 1)) == pytest.approx((0x20, 0x40, 0xC0), abs=6)


def test_a_repeated_task_keeps_what_was_made(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x90:r=5:d=1", *H264, tmp_path / "a.mp4")
    make(tmp_path / "a.mp4", objects)
    objects.put_sync("videos/v/thumbnail.jpg", b"the owner's own")
    plan = plan_video(probe_file(tmp_path / "a.mp4"), PlanOrder("v", "sources/v"))
    job = get_job(plan, "thumbnails")
    assert isinstance(job, PictureJob)
    make_thumbnails(job, objects)
    assert objects.get_sync("videos/v/thumbnail.jpg") == b"the owner's own"


def test_judgement_prefers_the_better_picture():
    rng = np.random.default_rng(1)
    crisp = rng.integers(0, 255, (180, 320, 3), dtype=np.uint8)
    soft = cv2.GaussianBlur(crisp, (0, 0), 5)
    grey = np.full((180, 320, 3), 128, dtype=np.uint8)
    black, white = np.zeros_like(grey), np.full_like(grey, 255)
    scores = [judge_picture(p) for p in (crisp, soft, grey, black)]
    assert scores == sorted(scores, reverse=True)
    assert judge_picture(white) <= judge_picture(grey)
    assert judge_picture(crisp // 16) < judge_picture(crisp)
