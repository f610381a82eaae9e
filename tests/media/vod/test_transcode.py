"""Transcoding tasks: repeatable, resumable, the same bytes each time; no video is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from media.vod.records import Progress, record_key, segment_name, track_key
from media.vod.source import MediaUnreadable
from media.vod.task_jobs import get_job
from media.vod.transcode import transcode_chunk
from storage.objects import ObjectStore
from tests.media.vod.clips import (
    VIDEO_ID,
    run_ffmpeg,
    run_tasks,
    transcode,
    write_numbered,
)
from tests.media.vod.frame_grid import check_rung, steady

pytestmark = pytest.mark.media


def test_a_repeated_task_changes_nothing_and_a_torn_one_is_completed(
    tmp_path: Path, objects: ObjectStore
):
    clip = write_numbered(tmp_path / "a.mp4", steady(30, 9))
    made = transcode(clip, objects)
    before = made.bytes_of("108p")
    job = get_job(made.plan, "first-00000")
    seen: list[Progress] = []
    assert transcode_chunk(job, objects, seen.append) == made.records["first-00000"]
    assert seen == []
    objects.delete_sync(record_key(VIDEO_ID, "first-00000"))
    objects.delete_sync(track_key(VIDEO_ID, "108p", segment_name(1)))
    assert transcode_chunk(job, objects, seen.append) == made.records["first-00000"]
    assert [(p.done, p.total) for p in seen] == [(n, 5) for n in range(1, 6)]
    assert made.bytes_of("108p") == before


REPEAT = """
import sys
from pathlib import Path
from storage.objects import ObjectStore
from tests.media.vod.clips import transcode
made = transcode(Path(sys.argv[1]), ObjectStore.open("memory:///"))
sys.stdout.buffer.write(made.bytes_of("240p"))
"""


def test_the_bytes_do_not_depend_on_what_memory_held_before(tmp_path: Path):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=2"),
        *("-c:v", "libx264", "-preset", "ultrafast", tmp_path / "a.mp4"),
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", REPEAT, str(tmp_path / "a.mp4")],
            env={"PYTHONPATH": os.pathsep.join(sys.path), "MALLOC_PERTURB_": filling},
            check=True,
            capture_output=True,
            timeout=60,
        ).stdout
        for filling in ("0", "1", "85")
    }
    assert len(made) == 1


def test_another_build_of_the_encoder_gets_its_own_init_segment(
    tmp_path: Path, objects: ObjectStore
):
    clip = write_numbered(tmp_path / "a.mp4", steady(30, 2))
    objects.put_sync(track_key(VIDEO_ID, "108p", "init.mp4"), b"of another build")
    made = transcode(clip, objects)
    (part,) = made.tracks["108p"].parts
    assert part.init_name.startswith("init-")
    check_rung(made, "108p", list(range(60)))


def test_a_remote_store_is_read_through_a_temporary_copy(tmp_path: Path):
    store = ObjectStore.open("memory:///")
    made = transcode(write_numbered(tmp_path / "a.mp4", steady(30, 2)), store)
    check_rung(made, "108p", list(range(60)))


def test_a_source_without_a_decodable_picture_is_refused(tmp_path: Path, objects: ObjectStore):
    made = transcode(write_numbered(tmp_path / "a.mp4", steady(30, 2)), objects)
    objects.delete_prefix_sync(f"videos/{VIDEO_ID}")
    objects.put_sync(made.plan.source_key, b"not a video at all, whatever its name says")
    with pytest.raises(MediaUnreadable):
        run_tasks(made.plan, objects)
