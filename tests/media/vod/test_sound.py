"""The sound of a video: in step with the picture, as long, in stereo, whatever the source."""

import io
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from media.vod.records import Progress, record_key
from media.vod.task_jobs import get_job
from media.vod.transcode import transcode_audio
from storage.objects import ObjectStore
from tests.media.vod.clips import (
    VIDEO_ID,
    Made,
    run_ffmpeg,
    transcode,
    write_flash_and_tone,
)

pytestmark = pytest.mark.media


def find_first_tone_s(made: Made) -> float:
    with av.open(io.BytesIO(made.bytes_of("audio"))) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()).max(axis=0) > 0.1)
            if loud.size:
                return float(frame.pts * frame.time_base) + loud[0] / frame.sample_rate
    raise AssertionError("no tone")


def find_first_white_s(made: Made, name: str) -> float:
    frame = next(f for f in made.frames_of(name) if f.to_ndarray(format="gray").mean() > 127)
    return float(frame.pts * frame.time_base)


def test_the_opening_of_the_sound_has_the_bytes_of_the_whole(tmp_path: Path, objects: ObjectStore):
    clip = write_flash_and_tone(tmp_path / "a.mp4", at_s=2.0, length_s=11.0, sound_late_s=0.0)
    made = transcode(clip, objects)
    whole = made.bytes_of("audio", range(2))
    objects.delete_prefix_sync(f"videos/{VIDEO_ID}/audio")
    job = replace(get_job(made.plan, "audio"), task_id="audio-opening", segments_max=2)
    (track,) = transcode_audio(job, objects).tracks
    assert [segment.number for segment in track.segments] == [0, 1]
    assert made.bytes_of("audio", range(2)) == whole
    assert not objects.exists_sync(f"videos/{VIDEO_ID}/audio/00002.m4s")


@pytest.mark.parametrize(
    ("name", "sound_late_s"), [("a.mp4", 0.0), ("a.mp4", 0.7), ("a.mkv", 0.3), ("a.mov", 1.5)]
)
def test_flash_and_tone_stay_together(
    name: str, sound_late_s: float, tmp_path: Path, objects: ObjectStore
):
    clip = write_flash_and_tone(tmp_path / name, at_s=2.0, length_s=5.0, sound_late_s=sound_late_s)
    made = transcode(clip, objects)
    white_s, tone_s = find_first_white_s(made, "90p"), find_first_tone_s(made)
    assert white_s == pytest.approx(2.0, abs=0.041)
    assert tone_s == pytest.approx(white_s, abs=0.040)


def test_the_sound_is_as_long_as_the_picture_and_cut_near_its_borders(
    tmp_path: Path, objects: ObjectStore
):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=160x90:r=30:d=9"),
        *("-f", "lavfi", "-i", "sine=d=3:r=22050"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", tmp_path / "a.mp4"),
    )
    made = transcode(tmp_path / "a.mp4", objects)
    segments = made.tracks["audio"].segments
    assert [s.number for s in segments] == [0, 1, 2]
    end_s = sum(s.duration_ticks for s in segments) / 48_000 - 1024 / 48_000
    assert end_s == pytest.approx(9.0, abs=2 * 1024 / 48_000)
    for segment in segments[1:]:
        shown_s = (segment.start_ticks - 1024) / 48_000
        assert 0 <= shown_s - 4 * segment.number < 1024 / 48_000


def test_sound_that_outlasts_the_picture_holds_the_last_frame(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=160x90:r=30:d=2", "-f", "lavfi", "-i", "sine=d=5"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", tmp_path / "a.mp4"),
    )
    made = transcode(tmp_path / "a.mp4", objects)
    assert made.plan.grid.frames == pytest.approx(150, abs=2)
    assert len(made.frames_of("90p")) == made.plan.grid.frames


def test_a_hole_in_the_sound_becomes_silence_not_drift(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=160x90:r=30:d=6", "-f", "lavfi", "-i", "sine=d=6"),
        *("-af", "aselect='lt(t,1)+gt(t,4)'", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-c:a", "libopus", "-strict", "-2", tmp_path / "a.mkv"),
    )
    made = transcode(tmp_path / "a.mkv", objects)
    with av.open(io.BytesIO(made.bytes_of("audio"))) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    loud = [float(np.abs(sound[int(s * 48_000) :][:4800]).max()) > 0.02 for s in (0.5, 2.5, 5)]
    assert loud == [True, False, True]


def test_surround_sound_becomes_stereo(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=160x90:r=30:d=2"),
        *("-f", "lavfi", "-i", "sine=d=2", "-ac", "6", "-ar", "32000"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", tmp_path / "a.mp4"),
    )
    made = transcode(tmp_path / "a.mp4", objects)
    assert made.plan.info.audio is not None
    assert made.plan.info.audio.channels == 6
    with av.open(io.BytesIO(made.bytes_of("audio"))) as container:
        assert container.streams.audio[0].codec_context.layout.name == "stereo"


def test_a_source_that_changes_its_size_and_sound_midway_is_followed(
    tmp_path: Path, objects: ObjectStore
):
    for name, size, rate_hz, channels in (("a", "320x180", 48_000, 2), ("b", "160x90", 44_100, 1)):
        run_ffmpeg(
            *("-f", "lavfi", "-i", f"testsrc2=s={size}:r=30:d=3"),
            *("-f", "lavfi", "-i", f"sine=d=3:r={rate_hz}", "-ac", str(channels)),
            *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", tmp_path / f"{name}.ts"),
        )
    run_ffmpeg(*("-i", f"concat:{tmp_path}/a.ts|{tmp_path}/b.ts", "-c", "copy", tmp_path / "c.ts"))
    made = transcode(tmp_path / "c.ts", objects, segments_max=1)
    frames = made.frames_of("180p")
    assert {(f.width, f.height) for f in frames} == {(320, 180)}
    assert len(frames) == made.plan.grid.frames == pytest.approx(180, abs=4)
    with av.open(io.BytesIO(made.bytes_of("audio"))) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    for moment_s in (1, 2, 4, 5):
        assert np.abs(sound[moment_s * 48_000 :][:4800]).max() > 0.02


def test_progress_of_the_sound_ends_at_its_total(tmp_path: Path, objects: ObjectStore):
    clip = write_flash_and_tone(tmp_path / "a.mp4", at_s=1, length_s=9, sound_late_s=0)
    made = transcode(clip, objects)
    objects.delete_sync(record_key(VIDEO_ID, "audio"))
    seen: list[Progress] = []
    transcode_audio(get_job(made.plan, "audio"), objects, seen.append)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert (seen[-1].done, seen[-1].total) == (3, 3)
