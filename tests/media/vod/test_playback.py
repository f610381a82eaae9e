"""What is published plays: other players read the playlists and every frame behind them."""

import json
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from media.vod.records import record_key
from media.vod.task_jobs import get_job
from media.vod.transcode import transcode_audio, transcode_chunk
from storage.objects import ObjectStore
from tests.media.vod.clips import VIDEO_ID, Made, run_ffmpeg, transcode, write_playlists

pytestmark = pytest.mark.media

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "samples"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A video that nobody changes."""
    folder = tmp_path_factory.mktemp("original")
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=9", "-f", "lavfi", "-i", "sine=d=9"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", folder / "a.mp4"),
    )
    return transcode(folder / "a.mp4", ObjectStore.open(f"file://{folder}"), segments_max=2)


@pytest.fixture
def made(original: Made, objects: ObjectStore) -> Made:
    """The same video in a store of the test's own."""
    for entry in [*original.store.list_sync("videos"), *original.store.list_sync("sources")]:
        objects.put_sync(entry.key, original.store.get_sync(entry.key))
    return Made(original.plan, original.records, objects)


def ask_ffprobe(address: Path, *arguments: str) -> dict[str, object]:
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(address)]
    answer = subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert answer.stderr == b""
    return json.loads(answer.stdout)


def folder_of(store: ObjectStore) -> Path:
    folder = store.local_path(f"videos/{VIDEO_ID}")
    assert folder is not None
    return folder


def test_a_player_finds_all_variants_and_plays_them_to_the_end(made: Made, objects: ObjectStore):
    publication = write_playlists(made.plan, made.records, objects)
    assert publication.rungs == ("240p", "360p")
    assert publication.is_playable
    master = folder_of(objects) / "master.m3u8"
    found = ask_ffprobe(master, "-show_programs", "-show_streams")
    assert len(found["programs"]) == 2
    kinds = sorted((s["codec_name"], s.get("width")) for s in found["streams"])
    assert ("h264", 426) in kinds
    assert ("h264", 640) in kinds
    assert ("aac", None) in kinds
    play = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-i", str(master), "-map", "0", "-f", "null", "-"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert play.stderr == b""


def test_ffprobe_counts_every_frame_of_a_track(made: Made, objects: ObjectStore):
    write_playlists(made.plan, made.records, objects)
    counted = ask_ffprobe(
        folder_of(objects) / "240p.m3u8", "-count_frames", "-show_streams", "-show_format"
    )
    (stream,) = counted["streams"]
    assert stream["nb_read_frames"] == "270"
    assert Fraction(stream["r_frame_rate"]) == 30
    assert stream["sample_aspect_ratio"] == "1:1"
    assert stream["color_space"] == "bt709"
    assert float(counted["format"]["duration"]) == pytest.approx(9.0, abs=0.01)


def test_the_smallest_rung_plays_before_the_others_exist(made: Made, objects: ObjectStore):
    early = {
        task_id: record
        for task_id, record in made.records.items()
        if task_id.startswith(("first", "audio"))
    }
    publication = write_playlists(made.plan, early, objects)
    assert publication.rungs == ("240p",)
    assert publication.is_playable
    assert len(ask_ffprobe(folder_of(objects) / "master.m3u8", "-show_programs")["programs"]) == 1


def test_nothing_is_published_before_the_sound_is_there(made: Made, objects: ObjectStore):
    silent = {k: r for k, r in made.records.items() if k != "audio"}
    assert not write_playlists(made.plan, silent, objects).is_playable
    assert not objects.exists_sync(f"videos/{VIDEO_ID}/master.m3u8")


def test_a_retried_task_makes_the_same_bytes(made: Made, objects: ObjectStore):
    before = {name: made.bytes_of(name) for name in made.tracks}
    for name in before:
        objects.delete_prefix_sync(f"videos/{VIDEO_ID}/{name}")
    for task in made.plan.tasks:
        if task.kind in {"audio", "chunk"}:
            objects.delete_sync(record_key(VIDEO_ID, task.task_id))
            work = transcode_audio if task.kind == "audio" else transcode_chunk
            assert work(get_job(made.plan, task.task_id), objects) == made.records[task.task_id]
    assert {name: made.bytes_of(name) for name in made.tracks} == before


if SAMPLES.is_dir():

    @pytest.mark.parametrize(
        "name",
        ["a.mp4", "decord_video_90.mov", "intel_asl_again.mkv", "torchcodec_h264_10bits.mp4",
         "torchcodec_av1_video.mkv", "b.avi", "moviepy_transparent.webm"],
    )  # fmt: skip
    def test_a_file_from_the_wild_plays(name: str, objects: ObjectStore):
        made = transcode(SAMPLES / name, objects)
        write_playlists(made.plan, made.records, objects)
        rung = made.plan.groups[0].rungs[0].name
        counted = ask_ffprobe(folder_of(objects) / f"{rung}.m3u8", "-count_frames", "-show_streams")
        assert counted["streams"][0]["nb_read_frames"] == str(made.plan.grid.frames)
