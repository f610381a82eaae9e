"""Slice headers are measured as FFmpeg reads them, bit for bit."""

import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from media.h264_bits import ParameterSetMalformed, unescape
from media.h264_slices import NAL_SLICES, SliceHeaders

pytestmark = pytest.mark.media

FIELD = re.compile(r"\] (\d+)\s+(\w[\w\[\]]*)\s+([01]+) = -?\d+")
CLIPS = {
    "as videos are made": ("-preset", "veryfast", "-bf", "3"),
    "every kind of weight and many references": (
        *("-preset", "slower", "-bf", "8", "-refs", "6", "-weightp", "2"),
        *("-x264-params", "weightb=1:b-pyramid=normal:open-gop=0"),
    ),
    "without arithmetic coding": ("-profile:v", "baseline", "-x264-params", "slices=4"),
    "interlaced": ("-preset", "veryfast", "-flags", "+ildct+ilme", "-x264-params", "tff=1"),
    "4:2:2": ("-preset", "veryfast", "-pix_fmt", "yuv422p"),
}


def make_fading(path: Path, options: tuple[str, ...]) -> Path:
    """Encode a picture that fades, which weighted prediction is for."""
    picture = "testsrc2=s=320x180:r=25:d=3,fade=in:0:40,format=yuv420p"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-c:v", "libx264"]
    subprocess.run([*command, "-g", "30", *options, str(path)], check=True, timeout=60)
    return path


def list_slices(path: Path) -> Iterator[bytes]:
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            data, at = bytes(packet), 0
            while at < len(data):
                size = int.from_bytes(data[at : at + 4], "big")
                if data[at + 4] & 31 in NAL_SLICES:
                    yield data[at + 4 : at + 4 + size]
                at += 4 + size


def trace_headers(path: Path) -> list[int]:
    """Return of each slice how many bits FFmpeg found in its header."""
    command = ["ffmpeg", "-v", "trace", "-i", str(path), "-map", "0:v", "-c", "copy"]
    traced = subprocess.run(
        [*command, "-bsf:v", "trace_headers", "-f", "null", "-"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found: list[int] = []
    is_slice = False
    for line in traced.stderr.splitlines():
        if line.endswith("] Slice Header"):
            found.append(0)
            is_slice = True
            continue
        field = FIELD.search(line)
        if "trace_headers" not in line or field is None:
            is_slice = is_slice and "trace_headers" not in line
        elif is_slice and field[2] != "cabac_alignment_one_bit":
            found[-1] = int(field[1]) + len(field[3])
    return found


@pytest.mark.parametrize("options", CLIPS.values(), ids=CLIPS)
def test_a_slice_header_ends_where_ffmpeg_says(options: tuple[str, ...], tmp_path: Path):
    path = make_fading(tmp_path / "a.mp4", options)
    with av.open(str(path)) as container:
        headers = SliceHeaders(container.streams.video[0].codec_context.extradata or b"")
    slices = list(list_slices(path))
    expected = trace_headers(path)
    assert len(slices) == len(expected) >= 75
    measured = [headers.measure(nal) for nal in slices]
    plain = [len(unescape(nal[:stop])) for nal, stop in zip(slices, measured, strict=True)]
    assert plain == [math.ceil(bits / 8) for bits in expected]


def test_a_byte_against_emulation_counts_as_part_of_the_header(tmp_path: Path):
    path = make_fading(tmp_path / "a.mp4", CLIPS["as videos are made"])
    with av.open(str(path)) as container:
        headers = SliceHeaders(container.streams.video[0].codec_context.extradata or b"")
    nal = next(list_slices(path))
    bits = trace_headers(path)[0]
    # A header that is read the same with two zero bytes behind its end.
    stop = math.ceil(bits / 8)
    assert headers.measure(nal[:stop] + b"\0\0\3\1") == stop


def test_what_is_no_slice_of_the_parameter_sets_is_refused():
    with pytest.raises(ParameterSetMalformed):
        SliceHeaders(b"\x01\x64")
    with pytest.raises(ParameterSetMalformed):
        SliceHeaders(bytes.fromhex("0164001fffe1000a6764001facd9405005bb01000468ebe3cb")).measure(
            b"\x65"
        )
