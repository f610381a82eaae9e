"""A source that fits is passed on as it is: the same frames at the same moments, or not at all."""

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from media.vod.info import CopyInfo
from media.vod.ledger import find_record
from media.vod.loudness import TARGET_LUFS, measure_loudness
from media.vod.plan import PlanOrder, PlanTask, TranscodePlan, plan_video
from media.vod.probe import probe_file
from media.vod.publish import Publication, publish
from media.vod.records import TaskRecord
from media.vod.task_jobs import AudioJob, get_job
from storage.objects import ObjectStore, ObjectStoreFailed
from tests.media.playlist_reading import read_multivariant
from tests.media.playlist_rules import check_publication
from tests.media.vod.clips import (
    SOURCE_KEY,
    VIDEO_ID,
    Made,
    run_ffmpeg,
    run_task,
    transcode,
    write_playlists,
)
from tests.media.vod.test_playback import ask_ffprobe, folder_of

pytestmark = pytest.mark.media

BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p", *BT709)
AAC = ("-c:a", "aac", "-ac", "2", "-b:a", "96k")


def film(path: Path, *video: str, size: str = "320x180") -> Path:
    """Render a picture and a tone, encoded as the arguments say."""
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:r=10:d=11"),
        *("-f", "lavfi", "-i", "sine=d=11:r=44100"),
        *(video or (*H264, "-g", "20")),
        *AAC,
        path,
    )
    return path


def moments(data: bytes) -> list[Fraction]:
    """When each frame is shown."""
    with av.open(io.BytesIO(data)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copied")


@pytest.fixture(scope="module")
def source(folder: Path) -> Path:
    return film(folder / "a.mp4", size="640x360")


@pytest.fixture(scope="module")
def made(source: Path, folder: Path) -> Made:
    return transcode(source, ObjectStore.open(f"file://{folder}/objects"))


def test_a_fitting_source_is_its_own_top_rung_frame_by_frame(made: Made, source: Path):
    assert made.plan.info.copyable == CopyInfo(sound=True, longest_s=Fraction(4))
    assert [task.task_id for task in made.plan.tasks][:1] == ["copy"]
    assert "audio" not in {task.task_id for task in made.plan.tasks}
    copied = made.tracks["360p"]
    lengths_s = [segment.duration_ticks / copied.parts[0].timescale for segment in copied.segments]
    assert lengths_s == [4, 4, 3]
    # hls.js shifts what follows a change to a rung with another clock, by what edit lists hide.
    assert copied.parts[0].timescale == made.tracks["240p"].parts[0].timescale
    shown = moments(made.bytes_of("360p"))
    assert shown == moments(source.read_bytes())
    assert shown[0] == 0
    assert b"colrnclx\0\1\0\1\0\1\0" in made.bytes_of("360p", ())
    with av.open(str(source)) as original:
        packets = [bytes(packet) for packet in original.demux(video=0) if packet.size]
    with av.open(io.BytesIO(made.bytes_of("360p"))) as copy:
        assert [bytes(packet) for packet in copy.demux(video=0) if packet.size] == packets


def test_the_copied_sound_begins_and_ends_with_the_picture(made: Made):
    with av.open(io.BytesIO(made.bytes_of("audio"))) as copy:
        samples = sum(frame.samples for frame in copy.decode(audio=0))
    assert samples / 44_100 == pytest.approx(11, abs=0.05)
    assert made.tracks["audio"].parts[0].codec == "mp4a.40.2"


def test_the_copied_sound_plays_until_one_as_loud_as_others_is_there(
    made: Made, source: Path, tmp_path: Path
):
    before = {name: it for name, it in made.records.items() if name != "audio-even"}
    begun, whole = publish(made.plan, before), publish(made.plan, made.records)
    assert list_sounds(begun) == ["audio.m3u8"]
    assert begun.former == {}
    assert list_sounds(whole) == ["audio-even.m3u8"]
    assert whole.former == {"audio.m3u8": begun.files["audio.m3u8"]}
    assert whole.tracks["audio"] == begun.tracks["audio"], "who began with it plays on"
    assert b'id="audio-even"' in whole.files["manifest.mpd"]
    assert b'id="audio"' not in whole.files["manifest.mpd"]
    assert whole.sound == whole.tracks["audio-even"], "the one file has it, too"
    gain_db = made.records["audio-even"].gain_db
    assert gain_db > 3
    assert measure(source, made.plan) == pytest.approx(TARGET_LUFS - gain_db, abs=0.1)
    (tmp_path / "even.mp4").write_bytes(made.bytes_of("audio-even"))
    assert measure(tmp_path / "even.mp4", made.plan) == pytest.approx(TARGET_LUFS, abs=0.5)


def test_copied_sound_that_is_as_loud_as_others_stays_the_only_one(
    made: Made, source: Path, tmp_path: Path, objects: ObjectStore
):
    louder = f"volume={made.records['audio-even'].gain_db}dB"
    run_ffmpeg("-i", source, "-c:v", "copy", "-af", louder, *AAC, tmp_path / "b.mp4")
    even = transcode(tmp_path / "b.mp4", objects, kinds=("copy", "audio"))
    assert even.records["audio-even"] == TaskRecord("audio-even")
    assert set(even.tracks) == {"audio", "360p"}
    assert list_sounds(publish(even.plan, even.records)) == ["audio.m3u8"]
    assert objects.list_sync("videos/video/audio-even") == []


def list_sounds(publication: Publication) -> list[str]:
    """The addresses of sounds that its list of variants names."""
    check_publication(publication)
    master = read_multivariant(publication.files["master.m3u8"].decode())
    return [it["URI"] for it in master.media if it["TYPE"] == "AUDIO"]


def measure(path: Path, plan: TranscodePlan) -> float | None:
    """How loud a file's only sound is."""
    job = get_job(plan, "audio-even")
    assert isinstance(job, AudioJob)
    with av.open(str(path)) as container:
        index = container.streams.audio[0].index
    heard = replace(job, audio=replace(job.audio, stream_index=index))
    return measure_loudness(path, heard).integrated_lufs


def test_a_copy_plays_from_its_first_segments_on_and_grows(source: Path, objects: ObjectStore):
    objects.put_file_sync(SOURCE_KEY, source)
    short = plan_video(probe_file(source), PlanOrder(VIDEO_ID, SOURCE_KEY))
    opening, whole = PlanTask("copy-opening", "copy", chunk=1), PlanTask("copy", "copy")
    plan = replace(short, tasks=(opening, whole))
    assert plan.info.copyable is not None
    # As if a later segment was longer: what a playlist promises may not change while it grows.
    later = replace(plan.info, copyable=replace(plan.info.copyable, longest_s=Fraction(6)))
    plan = replace(plan, info=later)
    records = {"copy-opening": run_task(plan, objects, opening)}
    begun = publish(plan, records).files["360p.m3u8"].decode()
    heard = publish(plan, records).tracks["audio"]
    first_bytes = Made(plan, records, objects).bytes_of("360p")
    assert "EXT-X-PLAYLIST-TYPE:EVENT" in begun
    assert begun.count("#EXTINF") == 1
    assert heard.duration_s >= 4
    records["copy"] = run_task(plan, objects, whole)
    ended = publish(plan, records)
    lines = ended.files["360p.m3u8"].decode().splitlines()
    assert "#EXT-X-TARGETDURATION:6" in begun.splitlines()
    assert "#EXT-X-TARGETDURATION:6" in lines
    assert lines[-1] == "#EXT-X-ENDLIST"
    assert [line for line in begun.splitlines() if line[0] != "#"] == ["360p/00000.m4s"]
    assert Made(plan, records, objects).bytes_of("360p", {0}) == first_bytes
    assert ended.tracks["audio"].is_whole


def test_a_copy_that_cannot_be_stored_says_so_and_the_next_try_makes_it_whole(
    made: Made, source: Path, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
):
    objects.put_file_sync(SOURCE_KEY, source)
    copy = made.plan.tasks[0]
    put = objects.put_sync

    def refuse(key: str, data: bytes, *, if_absent: bool = False) -> bool:
        if key.endswith("00001.m4s"):
            raise ObjectStoreFailed
        return put(key, data, if_absent=if_absent)

    with monkeypatch.context() as full:
        full.setattr(objects, "put_sync", refuse)
        with pytest.raises(ObjectStoreFailed):
            run_task(made.plan, objects, copy)
    assert find_record(VIDEO_ID, copy.task_id, objects) is None
    assert run_task(made.plan, objects, copy) == made.records[copy.task_id]


def test_a_copy_plays_beside_encoded_rungs(made: Made):
    write_playlists(made.plan, made.records, made.store)
    found = ask_ffprobe(folder_of(made.store) / "master.m3u8", "-show_programs", "-show_streams")
    assert len(found["programs"]) == 2
    counted = ask_ffprobe(folder_of(made.store) / "360p.m3u8", "-count_frames", "-show_streams")
    assert counted["streams"][0]["nb_read_frames"] == "110"


@pytest.mark.parametrize(
    "video",
    [
        (*H264, "-g", "20", "-x264-params", "open-gop=1:scenecut=0", "-bf", "3"),
        (*H264, "-g", "100", "-x264-params", "scenecut=0"),
        ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p", *BT709),
        ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
         "-colorspace", "smpte170m"),
        ("-c:v", "libx264", "-b:v", "9M", "-minrate", "9M", "-bufsize", "1M", "-x264-params",
         "nal-hrd=cbr", "-pix_fmt", "yuv420p", *BT709),
        ("-c:v", "mpeg4",),
    ],
    ids=["open-gop", "rare-keyframes", "444", "sd-colours", "heavy", "mpeg4"],
)  # fmt: skip
def test_what_does_not_fit_is_encoded(video: tuple[str, ...], tmp_path: Path):
    assert probe_file(film(tmp_path / "a.mp4", *video)).copyable is None


def test_sound_that_cannot_be_copied_is_encoded_beside_the_copied_picture(
    tmp_path: Path, objects: ObjectStore
):
    path = film(tmp_path / "a.mp4")
    run_ffmpeg("-i", path, "-c:v", "copy", "-c:a", "aac", "-ac", "6", tmp_path / "b.mp4")
    made = transcode(tmp_path / "b.mp4", objects)
    assert made.plan.info.copyable == CopyInfo(sound=False, longest_s=Fraction(4))
    assert made.tracks["180p"].is_whole
    assert made.tracks["audio"].parts[0].channels == 2
