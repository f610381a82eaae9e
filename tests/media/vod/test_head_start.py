"""A file that still arrives: what is made of its beginning is what the whole file gives."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from media.vod.arriving import Arriving, Reach
from media.vod.head_start import HeadStart, Headway, iter_head_start, list_head_start
from media.vod.info import MediaInfo
from media.vod.plan import PlanOrder, TranscodePlan, plan_video
from media.vod.probe import ProbeJob, probe_file, probe_source
from media.vod.records import Progress, unfinished_prefix, video_prefix
from media.vod.source import UnreadableAhead
from media.vod.task_jobs import ChunkJob, get_job
from media.vod.transcode import transcode_chunk
from storage.objects import ObjectStore
from tests.media.vod.clips import SOURCE_KEY, VIDEO_ID, run_ffmpeg, transcode

pytestmark = pytest.mark.media

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=480x320:r=5:d=18")
SOUND = ("-f", "lavfi", "-i", "sine=f=300:d=18")
# B-frames and keyframes at odd places: what is cut off may belong before what is there.
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "17", "-pix_fmt", "yuv420p")
FLAGS: dict[str, tuple[str, ...]] = {"mp4": ("-movflags", "+faststart"), "mkv": ()}
SEGMENTS_MAX = 2


@pytest.fixture(scope="module", params=["mp4", "mkv"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen seconds in five segments, three chunks."""
    path = tmp_path_factory.mktemp("film") / f"a.{request.param}"
    run_ffmpeg(*PICTURE, *SOUND, *H264, "-c:a", "aac", *FLAGS[request.param], path)
    return path


def drain(steps: Generator[Progress, None, Headway]) -> Headway:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            headway: Headway = end.value
            return headway


def look(path: Path, known_bytes: int) -> MediaInfo:
    return probe_file(path, Reach(known_bytes, path.stat().st_size))


def plan(info: MediaInfo) -> TranscodePlan:
    return plan_video(info, PlanOrder(VIDEO_ID, SOURCE_KEY), segments_max=SEGMENTS_MAX)


def get_chunk(plan: TranscodePlan, task_id: str) -> ChunkJob:
    job = get_job(plan, task_id)
    assert isinstance(job, ChunkJob)
    return job


def make_ahead(path: Path, store: ObjectStore, known_bytes: int) -> dict[str, bool]:
    """Make what is there; return which chunks are whole."""
    guess = plan(look(path, known_bytes))
    arriving = Arriving(known_bytes, path.stat().st_size)
    return {
        task.task_id: drain(
            iter_head_start(HeadStart(get_chunk(guess, task.task_id), arriving), store)
        ).is_whole
        for task in list_head_start(guess, is_measured=False)
    }


def finish(path: Path, store: ObjectStore) -> list[Progress]:
    """Make all chunks of the whole file; return which parts were encoded for it."""
    seen: list[Progress] = []
    whole = plan(probe_file(path))
    for task in list_head_start(whole, is_measured=False):
        transcode_chunk(get_chunk(whole, task.task_id), store, seen.append)
    return seen


def list_bytes(store: ObjectStore) -> dict[str, bytes]:
    entries = store.list_sync(video_prefix(VIDEO_ID))
    return {entry.key: store.get_sync(entry.key) for entry in entries}


@pytest.fixture(scope="module")
def expected(film: Path) -> dict[str, bytes]:
    """What is stored of the chunks when nothing was made ahead."""
    store = ObjectStore.open("memory:///")
    transcode(film, store, SEGMENTS_MAX, kinds=["chunk"])
    return list_bytes(store)


def test_wherever_the_file_is_cut_the_video_has_the_bytes_of_an_undisturbed_run(
    film: Path, objects: ObjectStore, expected: dict[str, bytes]
):
    size_bytes = film.stat().st_size
    objects.put_file_sync(SOURCE_KEY, film)
    counts = []
    for known_bytes in range(size_bytes // 4, size_bytes, size_bytes // 11):
        whole = make_ahead(film, objects, known_bytes)
        counts.append(sum(whole.values()))
        assert not any(whole[name] for name in whole if name.endswith("2")), "its end is not there"
    made_at_the_end = finish(film, objects)
    assert counts == sorted(counts)
    assert counts[-1] == 4, "two chunks of both sizes"
    assert {progress.task_id for progress in made_at_the_end} <= {"first-00002", "rest-00002"}
    assert list_bytes(objects) == expected


def test_nothing_behind_the_known_bytes_is_read(
    film: Path, objects: ObjectStore, expected: dict[str, bytes], tmp_path: Path
):
    size_bytes = film.stat().st_size
    half = size_bytes // 2
    other = tmp_path / film.name
    other.write_bytes(film.read_bytes()[:half] + bytes(range(256)) * ((size_bytes - half) // 256))
    with other.open("ab") as file:
        file.truncate(size_bytes)
    objects.put_file_sync(SOURCE_KEY, other)
    assert any(make_ahead(other, objects, half).values())
    objects.put_file_sync(SOURCE_KEY, film)
    finish(film, objects)
    assert list_bytes(objects) == expected


def test_what_was_made_for_another_picture_is_not_used(
    film: Path, objects: ObjectStore, expected: dict[str, bytes], tmp_path: Path
):
    other = tmp_path / film.name
    flags = FLAGS[film.suffix[1:]]
    run_ffmpeg(*PICTURE, *SOUND, "-vf", "hflip,scale=426:320", *H264, "-c:a", "aac", *flags, other)
    objects.put_file_sync(SOURCE_KEY, other)
    assert any(make_ahead(other, objects, other.stat().st_size * 3 // 4).values())
    objects.put_file_sync(SOURCE_KEY, film)
    assert finish(film, objects) != []
    assert list_bytes(objects) == expected


def find_index(path: Path) -> tuple[int, bytes]:
    """Where an MP4 has its index, and the box itself."""
    data, at = path.read_bytes(), 0
    while True:
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"moov":
            return at, data[at : at + size]
        at += size


@pytest.fixture
def index_last(film: Path, tmp_path: Path) -> Path:
    """The film with its index at its end, as cameras write it."""
    path = tmp_path / "last.mp4"
    run_ffmpeg("-i", film, "-c", "copy", path)
    return path


def test_an_index_sent_ahead_is_as_good_as_one_that_comes_first(
    index_last: Path, objects: ObjectStore
):
    size_bytes = index_last.stat().st_size
    at, index = find_index(index_last)
    assert at > size_bytes // 2
    objects.put_sync("index", index)
    hint = hashlib.sha256(index).hexdigest()
    order = PlanOrder(VIDEO_ID, SOURCE_KEY, hint=hint)
    objects.put_file_sync(SOURCE_KEY, index_last)
    whole = plan_video(probe_file(index_last), order, segments_max=SEGMENTS_MAX)
    for known_bytes in range(size_bytes // 3, at, size_bytes // 7):
        arriving = Arriving(known_bytes, size_bytes, "index", at)
        told = probe_source(ProbeJob(VIDEO_ID, SOURCE_KEY, arriving=arriving), objects)
        guess = plan_video(told, order, segments_max=SEGMENTS_MAX)
        for task in list_head_start(guess, is_measured=False):
            drain(iter_head_start(HeadStart(get_chunk(guess, task.task_id), arriving), objects))
    seen: list[Progress] = []
    for task in list_head_start(whole, is_measured=False):
        transcode_chunk(get_chunk(whole, task.task_id), objects, seen.append)
    assert {progress.task_id for progress in seen} <= {"first-00002", "rest-00002"}
    stored = list_bytes(objects)
    objects.delete_prefix_sync(video_prefix(VIDEO_ID))
    transcode(index_last, objects, SEGMENTS_MAX, kinds=["chunk"])
    assert list_bytes(objects) == stored


def test_steps_made_by_an_index_that_was_not_the_files_own_are_not_used(
    index_last: Path, objects: ObjectStore
):
    size_bytes = index_last.stat().st_size
    at, index = find_index(index_last)
    objects.put_sync("index", index)
    objects.put_file_sync(SOURCE_KEY, index_last)
    arriving = Arriving(size_bytes * 2 // 3, size_bytes, "index", at)
    told = probe_source(ProbeJob(VIDEO_ID, SOURCE_KEY, arriving=arriving), objects)
    guess = plan_video(told, PlanOrder(VIDEO_ID, SOURCE_KEY, hint="false"), segments_max=2)
    job = HeadStart(get_chunk(guess, "first-00000"), arriving)
    assert drain(iter_head_start(job, objects)).is_whole
    seen: list[Progress] = []
    transcode_chunk(get_chunk(plan(probe_file(index_last)), "first-00000"), objects, seen.append)
    assert [progress.done for progress in seen] == [1, 2]


def test_a_chunk_whose_file_has_gone_is_left_to_others(film: Path, objects: ObjectStore):
    known_bytes = film.stat().st_size // 2
    guess = plan(look(film, known_bytes))
    job = HeadStart(get_chunk(guess, "first-00000"), Arriving(known_bytes, film.stat().st_size))
    assert drain(iter_head_start(job, objects)) == Headway(is_whole=False, made=0)
    assert objects.list_sync(unfinished_prefix(VIDEO_ID)) == []


def test_the_child_says_of_a_beginning_what_the_whole_file_is(film: Path, objects: ObjectStore):
    whole = probe_file(film)
    objects.put_file_sync(SOURCE_KEY, film)
    arriving = Arriving(film.stat().st_size // 3, film.stat().st_size)
    told = probe_source(ProbeJob(VIDEO_ID, SOURCE_KEY, arriving=arriving), objects)
    assert (told.video, told.size_bytes) == (whole.video, whole.size_bytes)
    assert told.picture_s == pytest.approx(whole.picture_s, abs=0.21)


@pytest.mark.parametrize(
    ("name", "flags", "reason"),
    [
        ("a.mp4", ("-c", "copy"), "index (moov) has not come"),
        ("a.mp4", ("-c", "copy", "-movflags", "+frag_keyframe+empty_moov"), "how long it is"),
        ("a.ts", ("-c", "copy"), "how long it is"),
        ("a.avi", ("-c:v", "mpeg4", "-an"), "how long it is"),
        ("a.mka", ("-vn", "-c:a", "copy"), "Sound alone"),
    ],
)
def test_a_beginning_that_does_not_say_what_comes_is_refused_with_the_reason(
    film: Path, tmp_path: Path, name: str, flags: tuple[Any, ...], reason: str
):
    path = tmp_path / name
    run_ffmpeg("-i", film, *flags, path)
    with pytest.raises(UnreadableAhead) as refusal:
        look(path, path.stat().st_size // 2)
    assert reason in refusal.value.text


def test_a_source_that_will_be_passed_on_begins_with_its_smaller_sizes(tmp_path: Path):
    path = tmp_path / "a.mp4"
    colours = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
    codec = ("-c:v", "libx264", "-b:v", "500k", "-g", "10", "-pix_fmt", "yuv420p", *colours)
    run_ffmpeg(*PICTURE, *SOUND, *codec, "-c:a", "aac", "-movflags", "+faststart", path)
    whole, guess = plan(probe_file(path)), plan(look(path, path.stat().st_size // 2))
    assert whole.copied is not None
    assert guess.copied == whole.copied
    assert [task.task_id for task in list_head_start(guess, is_measured=False)] == [
        "first-00000",
        "first-00001",
        "first-00002",
    ]
