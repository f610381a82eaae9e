"""Chunks fit together: every frame in its place, once, with its sound, whatever the source."""

import io
import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from media.vod.plan import get_job
from media.vod.records import Progress, record_key, segment_name, track_key
from media.vod.source import MediaUnreadable
from media.vod.transcode import transcode_audio, transcode_chunk
from storage.objects import ObjectStore
from tests.media.vod.clips import (
    VIDEO_ID,
    Made,
    Shot,
    draw_number,
    read_number,
    run_ffmpeg,
    run_tasks,
    transcode,
    write_flash_and_tone,
    write_numbered,
)

pytestmark = pytest.mark.media


def steady(fps: Fraction | int, seconds: float) -> list[Fraction]:
    return [Fraction(n) / fps for n in range(int(seconds * fps))]


def check_rung(made: Made, name: str, shown: list[int]) -> None:
    """Every packet and frame stands on the grid, and slot i shows source frame shown[i]."""
    grid = made.plan.grid
    with av.open(io.BytesIO(made.bytes_of(name))) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
    assert [p.dts * p.time_base for p in packets] == [
        Fraction((n - 2) * grid.frame_ticks, grid.timescale) for n in range(grid.frames)
    ]
    keys = [n for n, p in enumerate(packets) if p.is_keyframe]
    assert keys == list(range(0, grid.frames, grid.segment_frames))
    frames = made.frames_of(name)
    assert [f.pts * f.time_base for f in frames] == [n / grid.fps for n in range(grid.frames)]
    assert not any(f.is_corrupt for f in frames)
    assert [read_number(f) for f in frames] == shown


def test_every_frame_of_a_steady_source_appears_once_across_chunks(
    tmp_path: Path, objects: ObjectStore
):
    clip = write_numbered(tmp_path / "a.mp4", steady(30, 13))
    made = transcode(clip, objects, segments_max=1)
    assert len(made.plan.chunks) == 4
    check_rung(made, "108p", list(range(390)))


def test_chunks_and_a_single_run_give_the_same_times_and_pictures(tmp_path: Path):
    clip = write_numbered(tmp_path / "a.mp4", steady(25, 9))
    whole = transcode(clip, ObjectStore.open(f"file://{tmp_path}/one"), segments_max=8)
    parts = transcode(clip, ObjectStore.open(f"file://{tmp_path}/many"), segments_max=1)
    assert len(whole.plan.chunks) == 1
    assert len(parts.plan.chunks) == 3
    whole_track, parts_track = whole.tracks["108p"], parts.tracks["108p"]
    assert [(s.number, s.start_ticks, s.duration_ticks) for s in whole_track.segments] == [
        (s.number, s.start_ticks, s.duration_ticks) for s in parts_track.segments
    ]
    assert {p.init_name for p in parts_track.parts} == {"init.mp4"}
    first, second = whole.frames_of("108p"), parts.frames_of("108p")
    assert [f.pts for f in first] == [f.pts for f in second]
    assert [read_number(f) for f in first] == [read_number(f) for f in second]


def test_ntsc_rate_keeps_whole_frames_per_segment(tmp_path: Path, objects: ObjectStore):
    fps = Fraction(30_000, 1001)
    shot = Shot(time_base=Fraction(1, 30_000))
    made = transcode(write_numbered(tmp_path / "a.mp4", steady(fps, 9), shot), objects, 1)
    assert (made.plan.grid.fps, made.plan.grid.segment_frames) == (fps, 120)
    check_rung(made, "108p", list(range(269)))


def test_b_frames_in_open_groups_survive_being_cut(tmp_path: Path, objects: ObjectStore):
    shot = Shot(
        options=(
            ("preset", "veryfast"),
            ("x264-params", "open-gop=1:keyint=47:bframes=5:b-adapt=0:scenecut=0"),
        )
    )
    made = transcode(write_numbered(tmp_path / "a.mov", steady(30, 10), shot), objects, 1)
    check_rung(made, "108p", list(range(300)))


def test_one_keyframe_at_the_very_start_is_enough(tmp_path: Path, objects: ObjectStore):
    shot = Shot(options=(("preset", "ultrafast"), ("x264-params", "keyint=9999:scenecut=0")))
    made = transcode(write_numbered(tmp_path / "a.mp4", steady(30, 10), shot), objects, 1)
    check_rung(made, "108p", list(range(300)))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4"), ("a.ts", "libx264")],
)
def test_containers_with_coarse_or_shifted_clocks_keep_every_frame(
    name: str, codec: str, tmp_path: Path, objects: ObjectStore
):
    speed = {"libvpx-vp9": (("cpu-used", "8"), ("deadline", "realtime"))}
    # AVI counts frames, so its clock is the frame rate.
    base = Fraction(1, 25) if name == "a.avi" else Fraction(1, 90_000)
    shot = Shot(codec=codec, rate=25, time_base=base, options=speed.get(codec, ()))
    made = transcode(write_numbered(tmp_path / name, steady(25, 9), shot), objects, 1)
    check_rung(made, "108p", list(range(225)))


def test_dropped_frames_are_filled_with_the_one_before(tmp_path: Path, objects: ObjectStore):
    kept = [n for n in range(270) if n % 7 != 3 and not 100 < n < 130]
    clip = write_numbered(tmp_path / "a.mp4", [Fraction(n, 30) for n in kept])
    made = transcode(clip, objects, segments_max=1)
    assert made.plan.grid.fps == 30
    assert kept[-1] == 268
    latest = [max(i for i, n in enumerate(kept) if n <= slot) for slot in range(269)]
    check_rung(made, "108p", latest)


def test_120_frames_a_second_become_60(tmp_path: Path, objects: ObjectStore):
    clip = write_numbered(tmp_path / "a.mp4", steady(120, 5), Shot(rate=120))
    made = transcode(clip, objects, segments_max=1)
    assert made.plan.grid.fps == 60
    frames = [read_number(f) for f in made.frames_of("108p")]
    assert len(frames) == 300
    assert {later - earlier for earlier, later in pairwise(frames)} == {2}


def test_a_slide_show_gets_five_frames_a_second(tmp_path: Path, objects: ObjectStore):
    clip = write_numbered(tmp_path / "a.mp4", steady(1, 6), Shot(rate=1))
    made = transcode(clip, objects, segments_max=1)
    assert made.plan.grid.fps == 5
    check_rung(made, "108p", [n // 5 for n in range(30)])


def test_a_single_frame_is_a_video(tmp_path: Path, objects: ObjectStore):
    made = transcode(write_numbered(tmp_path / "a.mp4", [Fraction(0)]), objects)
    check_rung(made, "108p", [0])


def test_a_clock_that_starts_late_starts_at_zero(tmp_path: Path, objects: ObjectStore):
    moments = [moment + 7 for moment in steady(30, 9)]
    made = transcode(write_numbered(tmp_path / "a.mkv", moments), objects, segments_max=1)
    check_rung(made, "108p", list(range(270)))


def test_each_segment_decodes_alone_from_its_first_frame(tmp_path: Path, objects: ObjectStore):
    made = transcode(write_numbered(tmp_path / "a.mp4", steady(30, 10)), objects)
    grid = made.plan.grid
    for segment in made.tracks["108p"].segments:
        alone = made.bytes_of("108p", [segment.number])
        with av.open(io.BytesIO(alone)) as container:
            frames = list(container.decode(video=0))
        first = segment.number * grid.segment_frames
        assert read_number(frames[0]) == first
        assert len(frames) == segment.duration_ticks // grid.frame_ticks
        assert frames[0].pts * frames[0].time_base == Fraction(first) / grid.fps
        assert segment.size_bytes == len(
            objects.get_sync(track_key(VIDEO_ID, "108p", segment_name(segment.number)))
        )


def test_all_rungs_of_a_group_show_the_same_frames(tmp_path: Path, objects: ObjectStore):
    clip = write_numbered(tmp_path / "a.mp4", steady(10, 5), Shot(width=854, height=480, rate=10))
    made = transcode(clip, objects)
    sizes = {name: (t.parts[0].width, t.parts[0].height) for name, t in made.tracks.items()}
    assert sizes == {"240p": (428, 240), "360p": (640, 360), "480p": (854, 480)}
    for name, (width, height) in sizes.items():
        check_rung(made, name, list(range(50)))
        assert (made.frames_of(name)[0].width, made.frames_of(name)[0].height) == (width, height)


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


def corner_colours(frame: VideoFrame) -> list[str]:
    """Names of the colours near the four corners, row by row."""
    picture = frame.to_ndarray(format="rgb24").astype(int)
    height, width, _ = picture.shape
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    points = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [names[tuple(int(v > 127) for v in picture[point])] for point in points]


def write_corners(path: Path, rotation_deg: int, *, hflip: bool) -> Path:
    """Red and green above, blue and white below, with a display matrix."""
    picture = np.zeros((120, 200, 3), dtype=np.uint8)
    picture[:60, :100], picture[:60, 100:] = (255, 0, 0), (0, 255, 0)
    picture[60:, :100], picture[60:, 100:] = (0, 0, 255), (255, 255, 255)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 200, 120, "yuv420p"
        stream.set_display_rotation(rotation_deg, hflip=hflip)
        for _ in range(10):
            container.mux(stream.encode(VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("rotation_deg", "hflip", "colours"),
    [
        (0, False, ["red", "green", "blue", "white"]),
        (-90, False, ["blue", "red", "white", "green"]),
        (180, False, ["white", "blue", "green", "red"]),
        (90, False, ["green", "white", "red", "blue"]),
        (0, True, ["green", "red", "white", "blue"]),
    ],
)
def test_the_picture_is_upright(
    rotation_deg: int, hflip: bool, colours: list[str], tmp_path: Path, objects: ObjectStore
):
    clip = write_corners(tmp_path / "a.mp4", rotation_deg, hflip=hflip)
    made = transcode(clip, objects)
    frame = made.frames_of("120p")[0]
    assert (frame.width, frame.height) == ((120, 200) if rotation_deg % 180 else (200, 120))
    assert corner_colours(frame) == colours


def test_non_square_pixels_become_square(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=180x144:r=25:d=1,setsar=64/45"),
        *("-c:v", "libx264", "-preset", "ultrafast", tmp_path / "a.mp4"),
    )
    made = transcode(tmp_path / "a.mp4", objects)
    with av.open(io.BytesIO(made.bytes_of("144p"))) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (256, 144)
        assert stream.sample_aspect_ratio == 1


def test_odd_sizes_become_even_and_never_larger(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=161x91:r=25:d=1", "-pix_fmt", "yuv444p"),
        *("-c:v", "libx264", "-preset", "ultrafast", tmp_path / "a.mp4"),
    )
    made = transcode(tmp_path / "a.mp4", objects)
    (rung,) = made.plan.groups[0].rungs
    assert (rung.name, rung.width, rung.height) == ("90p", 160, 90)


@pytest.mark.parametrize(
    ("size", "arguments"),
    [
        ("320x180", ["-pix_fmt", "yuv420p"]),
        ("320x180", ["-pix_fmt", "yuvj420p", "-color_range", "pc"]),
        ("320x180", ["-pix_fmt", "yuv420p10le"]),
        ("1280x720", ["-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709"]),
    ],
)
def test_colours_keep_their_look_in_every_rung(
    size: str, arguments: list[str], tmp_path: Path, objects: ObjectStore
):
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"color=c=0xC04020:s={size}:r=10:d=0.5"),
        *(*arguments, "-c:v", "libx264", "-preset", "ultrafast", tmp_path / "a.mp4"),
    )
    made = transcode(tmp_path / "a.mp4", objects)
    for name in made.tracks:
        frame = made.frames_of(name)[0]
        assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)
        seen = frame.to_ndarray(format="rgb24", src_colorspace="ITU709").mean(axis=(0, 1))
        assert seen == pytest.approx((0xC0, 0x40, 0x20), abs=6)


def test_damage_in_the_middle_costs_pictures_not_time(tmp_path: Path, objects: ObjectStore):
    clip = write_numbered(
        tmp_path / "a.mp4",
        steady(30, 12),
        Shot(options=(("preset", "ultrafast"), ("x264-params", "keyint=30"))),
    )
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(range(250)) * 12
    clip.write_bytes(data)
    made = transcode(clip, objects, segments_max=1)
    frames = made.frames_of("108p")
    assert [f.pts * f.time_base for f in frames] == [Fraction(n, 30) for n in range(360)]
    assert [read_number(f) for f in frames[:60]] == list(range(60))
    assert [read_number(f) for f in frames[-60:]] == list(range(300, 360))


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
    assert [(p.done, p.total) for p in seen] == [(1, 3), (2, 3), (3, 3)]
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


def test_progress_of_the_sound_ends_at_its_total(tmp_path: Path, objects: ObjectStore):
    clip = write_flash_and_tone(tmp_path / "a.mp4", at_s=1, length_s=9, sound_late_s=0)
    made = transcode(clip, objects)
    objects.delete_sync(record_key(VIDEO_ID, "audio"))
    seen: list[Progress] = []
    transcode_audio(get_job(made.plan, "audio"), objects, seen.append)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert (seen[-1].done, seen[-1].total) == (3, 3)


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


def test_the_stripes_can_be_read():
    for number in (0, 1, 2047, 4095):
        assert read_number(draw_number(number, 192, 108)) == number
