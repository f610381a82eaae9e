"""The quality probe: the same numbers for the same source, whatever its shape."""

from pathlib import Path

import av
import pytest

from media.vod.arriving import Reach
from media.vod.plan import PlanOrder, plan_video
from media.vod.probe import probe_file
from media.vod.quality import measure_ahead, measure_quality
from media.vod.records import RungLook, TaskRecord, unfinished_prefix
from media.vod.task_jobs import QualityJob, get_job
from media.vod.titles import apply_looks
from media.vod.transcode import transcode_chunk
from storage.objects import ObjectStore
from tests.media.vod.clips import SOURCE_KEY, VIDEO_ID, Made, run_ffmpeg, run_tasks

pytestmark = pytest.mark.media


def make_clip(path: Path, picture: str, *options: str) -> Path:
    """Half a minute of a picture, a keyframe every two seconds."""
    run_ffmpeg(
        *("-f", "lavfi", "-i", picture, *options, "-t", "26"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-g", "10", path),
    )
    return path


def turn(clip: Path, path: Path) -> Path:
    """The same file with a note that it is to be shown turned by a quarter."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return path


def look_at(clip: Path, store: ObjectStore) -> tuple[RungLook, ...]:
    store.put_file_sync(SOURCE_KEY, clip)
    plan = plan_video(probe_file(clip), PlanOrder(VIDEO_ID, SOURCE_KEY))
    return measure_quality(get_job(plan, "quality"), store).looks


def test_every_size_is_measured_and_takes_less_when_it_is_coarser(tmp_path: Path):
    clip = make_clip(tmp_path / "a.mp4", "testsrc2=s=640x480:r=5", "-vf", "noise=alls=6:allf=t")
    looks = look_at(clip, ObjectStore.open("memory:///"))
    assert [(it.width, it.height) for it in looks] == [(640, 480), (480, 360), (320, 240)]
    assert all(it.coarse_bytes < it.fine_bytes for it in looks)
    assert all(it.coarse_db < it.fine_db for it in looks)
    assert all(it.worst_db <= it.fine_db for it in looks)
    assert looks[0].fine_db > looks[1].fine_db > looks[2].fine_db


def test_measuring_again_gives_the_same_numbers(tmp_path: Path):
    clip = make_clip(tmp_path / "a.mp4", "testsrc2=s=480x360:r=5", "-vf", "noise=alls=6:allf=t")
    first, second = (look_at(clip, ObjectStore.open("memory:///")) for _ in range(2))
    assert first == second
    assert len(first) == 2


def test_a_turned_source_is_measured_as_it_is_shown(tmp_path: Path):
    upright = make_clip(tmp_path / "a.mp4", "testsrc2=s=640x360:r=5")
    looks = look_at(turn(upright, tmp_path / "b.mp4"), ObjectStore.open("memory:///"))
    assert [(it.width, it.height) for it in looks] == [(360, 640), (240, 426)]


def test_a_source_with_too_few_keyframes_is_made_as_ever(tmp_path: Path):
    clip = tmp_path / "a.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=640x360:r=5:d=26"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "1000", clip),
    )
    assert look_at(clip, ObjectStore.open("memory:///")) == ()


def test_a_record_that_is_there_is_taken_as_it_is(tmp_path: Path):
    store = ObjectStore.open("memory:///")
    clip = make_clip(tmp_path / "a.mp4", "testsrc2=s=480x360:r=5")
    store.put_file_sync(SOURCE_KEY, clip)
    plan = plan_video(probe_file(clip), PlanOrder(VIDEO_ID, SOURCE_KEY))
    job = get_job(plan, "quality")
    made = measure_quality(job, store)
    store.delete_sync(SOURCE_KEY)
    assert measure_quality(job, store) == made
    assert isinstance(made, TaskRecord)


def plan_arriving(clip: Path, hint: str = "") -> QualityJob:
    job = get_job(
        plan_video(probe_file(clip), PlanOrder(VIDEO_ID, SOURCE_KEY, hint=hint)), "quality"
    )
    assert isinstance(job, QualityJob)
    return job


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip whose index comes first."""
    flags = ("-vf", "noise=alls=6:allf=t", "-movflags", "+faststart")
    return make_clip(tmp_path_factory.mktemp("q") / "a.mp4", "testsrc2=s=480x360:r=5", *flags)


def test_half_of_a_file_is_measured_once_it_has_come_and_the_task_takes_that(
    growing: Path, objects: ObjectStore
):
    objects.put_file_sync(SOURCE_KEY, growing)
    size_bytes, job = growing.stat().st_size, plan_arriving(growing)
    for known_bytes in (size_bytes // 8, size_bytes // 3):
        assert measure_ahead(job, objects, Reach(known_bytes, size_bytes)) is None
    ahead = measure_ahead(job, objects, Reach(size_bytes * 5 // 8, size_bytes))
    assert ahead is not None
    assert [(it.width, it.height) for it in ahead.looks] == [(480, 360), (320, 240)]
    again = ObjectStore.open("memory:///")
    again.put_file_sync(SOURCE_KEY, growing)
    whole = measure_quality(job, again)
    assert whole.looks != ahead.looks, "other moments"
    assert measure_quality(job, objects) == ahead
    assert objects.list_sync(unfinished_prefix(VIDEO_ID)) == []


def test_what_an_index_showed_that_was_not_the_files_own_is_measured_anew(
    growing: Path, objects: ObjectStore
):
    objects.put_file_sync(SOURCE_KEY, growing)
    size_bytes = growing.stat().st_size
    ahead = measure_ahead(plan_arriving(growing, "false"), objects, Reach(size_bytes, size_bytes))
    assert ahead is not None
    assert measure_quality(plan_arriving(growing), objects).looks != ahead.looks


def test_a_still_screen_takes_fewer_bytes_than_as_ever_and_plays(tmp_path: Path):
    still = "color=c=gray:s=640x480:r=5,drawgrid=w=16:h=12:t=1:c=white@0.3"
    clip = make_clip(tmp_path / "a.mp4", still)
    looks = look_at(clip, ObjectStore.open("memory:///"))
    sizes = []
    for given in ((), looks):
        store = ObjectStore.open("memory:///")
        store.put_file_sync(SOURCE_KEY, clip)
        plan = apply_looks(plan_video(probe_file(clip), PlanOrder(VIDEO_ID, SOURCE_KEY)), given)
        record = transcode_chunk(get_job(plan, "rest-00000"), store)
        sizes.append(sum(it.size_bytes for track in record.tracks for it in track.segments))
    assert sizes[1] < sizes[0]
    records = run_tasks(plan, store, kinds=["chunk"])
    assert len(Made(plan, records, store).frames_of("480p")) == 130
