"""The picture of a video: upright, square pixels, even sizes, its own colours."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from storage.objects import ObjectStore
from tests.media.vod.clips import (
    run_ffmpeg,
    transcode,
)

pytestmark = pytest.mark.media


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
        ("320x180", ["-pix_fmt", "yuv444p"]),
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
        assert frame.format.name == "yuv420p"
        assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)
        seen = frame.to_ndarray(format="rgb24", src_colorspace="ITU709").mean(axis=(0, 1))
        assert seen == pytest.approx((0xC0, 0x40, 0x20), abs=6)


def test_interlaced_fields_leave_no_combs(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=320x240:r=50:d=1"),
        *("-vf", "geq=lum='if(lt(abs(X-250*T-30),20),235,16)':cb=128:cr=128,tinterlace=4"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-flags", "+ildct+ilme"),
        *("-x264-params", "tff=1", "-pix_fmt", "yuv420p", tmp_path / "a.mp4"),
    )
    made = transcode(tmp_path / "a.mp4", objects)
    assert made.plan.info.video.is_interlaced
    frames = made.frames_of("240p")
    assert len(frames) == 25
    for frame in frames:
        grey = frame.to_ndarray(format="gray").astype(int)
        assert grey.max() > 200
        assert np.abs(np.diff(grey, axis=0)).max() < 60


@pytest.mark.parametrize(("transfer", "white"), [("smpte2084", 572), ("arib-std-b67", 721)])
def test_high_dynamic_range_becomes_standard_with_white_kept_bright(
    transfer: str, white: int, tmp_path: Path, objects: ObjectStore
):
    """Both codes are reference white, 203 cd/m² (ITU-R BT.2408), in ten-bit studio range."""
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=320x180:r=10:d=0.5,format=yuv420p10le"),
        *("-vf", f"geq=lum='if(lt(X,160),64,{white})':cb=512:cr=512"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-color_trc", transfer),
        *("-color_primaries", "bt2020", "-colorspace", "bt2020nc", tmp_path / "a.mp4"),
    )
    made = transcode(tmp_path / "a.mp4", objects)
    assert made.plan.info.video.is_hdr
    assert made.plan.info.warnings == ("High dynamic range was converted to standard range.",)
    frame = made.frames_of("180p")[-1]
    assert (frame.format.name, int(frame.colorspace)) == ("yuv420p", 1)
    grey = frame.to_ndarray()[:180]
    assert grey[:, :140].mean() == pytest.approx(16, abs=3)
    assert 195 < grey[:, 180:].mean() < 225
