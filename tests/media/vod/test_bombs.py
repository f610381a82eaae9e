"""Small files that unpack to much end soon: played without the bomb, or refused with a reason."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from media.vod.limited_child import ChildLimits
from media.vod.probe import probe_in_child
from media.vod.source import MediaUnreadable
from storage.objects import ObjectStore
from tests.media.vod.clips import run_ffmpeg, transcode
from tests.media.vod.hostile import (
    Block,
    compress_index,
    deflate_zeros,
    read_blocks,
    write_packed_matroska,
    write_png,
)

pytestmark = pytest.mark.media

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=3")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0")
CPU_S_MAX = 10.0
UNPACKED_BYTES_MAX = 10_000_000
"""FFmpeg unpacks no more of a Matroska block (matroska_decode_buffer)."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "plain.mp4"
    run_ffmpeg(*PICTURE, *H264, path)
    return path


@contextmanager
def taking_less_than(cpu_s: float) -> Iterator[None]:
    """Hold children to so many seconds of a processor: a busy machine lets them wait for it."""
    before_s = measure_children_s()
    yield
    assert measure_children_s() - before_s < cpu_s


def measure_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def refusal(path: Path, limits: ChildLimits | None = None) -> str:
    with taking_less_than(CPU_S_MAX), pytest.raises(MediaUnreadable) as caught:
        probe_in_child(path, limits)
    return caught.value.text


def test_a_packed_index_is_read(clip: Path, tmp_path: Path):
    (tmp_path / "a.mov").write_bytes(compress_index(clip.read_bytes(), 8 << 20))
    assert probe_in_child(tmp_path / "a.mov").duration_s == pytest.approx(3.0, abs=0.01)


def test_an_index_that_unpacks_to_hundreds_of_megabytes_is_refused(clip: Path, tmp_path: Path):
    (tmp_path / "a.mov").write_bytes(compress_index(clip.read_bytes(), 640 << 20))
    assert (tmp_path / "a.mov").stat().st_size < 2 << 20
    assert "index unpacks to more" in refusal(tmp_path / "a.mov")


def test_an_index_that_unpacks_to_more_than_the_memory_is_refused(clip: Path, tmp_path: Path):
    (tmp_path / "a.mov").write_bytes(compress_index(clip.read_bytes(), 640 << 20))
    assert "more memory" in refusal(tmp_path / "a.mov", ChildLimits(memory_bytes=512 << 20))


def test_packed_blocks_are_read(clip: Path, tmp_path: Path):
    path = write_packed_matroska(tmp_path / "a.mkv", *read_blocks(clip))
    assert probe_in_child(path).duration_s == pytest.approx(3.0, abs=0.04)


def test_blocks_that_unpack_to_too_much_are_no_picture(clip: Path, tmp_path: Path):
    avcc, size, _ = read_blocks(clip)
    zeros = deflate_zeros(1 << 28)
    bombs = [Block(40 * n, zeros, is_key=True) for n in range(8)]
    path = write_packed_matroska(tmp_path / "a.mkv", avcc, size, bombs)
    text = refusal(path, ChildLimits(memory_bytes=512 << 20))
    assert text == "The picture (h264) cannot be decoded."


def test_a_probe_ends_with_the_processor_time_it_may_take(clip: Path, tmp_path: Path):
    avcc, size, blocks = read_blocks(clip)
    zeros = deflate_zeros(UNPACKED_BYTES_MAX - 1000)
    bombs = [Block(3000 + n, zeros, is_key=True) for n in range(1000)]
    path = write_packed_matroska(tmp_path / "a.mkv", avcc, size, [*blocks, *bombs])
    assert "more memory or time" in refusal(path, ChildLimits(cpu_s=1))


def test_a_cover_of_hundreds_of_megabytes_is_left_out(tmp_path: Path):
    write_png(tmp_path / "cover.png", 15_000, 15_000)
    run_ffmpeg(
        *("-f", "lavfi", "-i", "sine=d=3", "-i", tmp_path / "cover.png", "-map", "0", "-map", "1"),
        *("-c:v", "copy", "-id3v2_version", "3", "-disposition:v", "attached_pic"),
        tmp_path / "a.mp3",
    )
    with taking_less_than(CPU_S_MAX):
        info = probe_in_child(tmp_path / "a.mp3", ChildLimits(memory_bytes=512 << 20))
    assert (info.video, info.cover_index) == (None, None)
    assert info.duration_s == pytest.approx(3.0, abs=0.1)


def write_growing(path: Path, width: int, height: int) -> Path:
    """Write six small seconds, and then three frames of another size."""
    small, large = path.with_suffix(".1.ts"), path.with_suffix(".2.ts")
    red = f"color=red:s={width}x{height}:r=10:d=0.3"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x90:r=10:d=6", *H264, small)
    run_ffmpeg(
        *("-f", "lavfi", "-i", red, "-threads", "1", *H264),
        *("-x264-params", "rc-lookahead=0:sync-lookahead=0:ref=1"),
        *("-output_ts_offset", "6", large),
    )
    path.write_bytes(small.read_bytes() + large.read_bytes())
    return path


def test_a_picture_that_grows_midway_is_followed(tmp_path: Path, objects: ObjectStore):
    made = transcode(write_growing(tmp_path / "a.ts", 1280, 720), objects)
    frames = made.frames_of("90p")
    assert len(frames) == made.plan.grid.frames
    assert sum(record.decode_errors for record in made.records.values()) == 0
    red = frames[-1].to_ndarray(format="rgb24").mean(axis=(0, 1))
    assert red[0] > 200 > 60 > red[2]


def test_a_picture_that_grows_beyond_measure_stays_as_it_was(tmp_path: Path, objects: ObjectStore):
    made = transcode(write_growing(tmp_path / "a.ts", 8192, 8192), objects, kinds=("chunk",))
    frames = made.frames_of("90p")
    assert len(frames) == made.plan.grid.frames
    assert sum(record.decode_errors for record in made.records.values()) > 0
    assert {(frame.width, frame.height) for frame in frames} == {(160, 90)}
    colours = frames[-1].to_ndarray(format="rgb24").std()
    assert colours > 20  # the test picture, not the red that came too large


TOO_MUCH = """
from pathlib import Path
import numpy as np
from media.pool_worker import run_task
from media.vod.source import MediaUnreadable

def hoard(size_bytes, store):
    return int(np.ones(size_bytes, np.uint8)[-1])

def end(size_bytes):
    try:
        return list(run_task(hoard, size_bytes, "memory:///"))[0].value
    except MediaUnreadable as error:
        return error.text

print(end(64 << 30), end(1 << 20), end(64 << 30), sep="|")
"""


def test_a_task_that_needs_more_than_it_may_is_refused_and_its_worker_lives_on():
    command = [sys.executable, "-c", TOO_MUCH]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    reason = "The file needs more memory than a video may take."
    assert done.stdout.strip() == f"{reason}|1|{reason}"
