"""What is scaled when its turn comes is what would be scaled at once, whatever the source."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from media.vod.chunk_steps import PartScaler, StepPart
from media.vod.frames import FrameScaler
from media.vod.grid import decide_grid
from media.vod.info import VideoInfo
from media.vod.ladder import Rung
from media.vod.plan import Chunk
from media.vod.task_jobs import ChunkJob
from tests.media.vod.sources import PICTURE, describe_source

pytestmark = pytest.mark.unit

SIZES = [(320, 180), (212, 120), (160, 90), (106, 60)]


def draw_noise(pix_fmt: str) -> VideoFrame:
    deep = pix_fmt.endswith("10le")
    shape, top = (270, 320), 1 << (10 if deep else 8)
    noise = np.random.default_rng(1).integers(0, top, shape, np.uint16 if deep else np.uint8)
    frame = VideoFrame.from_ndarray(noise, pix_fmt)
    frame.colorspace, frame.color_range = Colorspace.ITU601, ColorRange.MPEG
    return frame


def list_planes(frames: list[VideoFrame]) -> list[tuple[int, int, bytes]]:
    return [(frame.width, frame.height, frame.to_ndarray().tobytes()) for frame in frames]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"color_matrix": "bt601"},
        {"rotation_deg": 180, "mirrored": True},
        {"is_interlaced": True},
        {"is_hdr": True, "transfer": "pq", "color_matrix": "bt2020", "pix_fmt": "yuv420p10le"},
    ],
    ids=["plain", "bt601", "turned", "interlaced", "hdr"],
)
def test_the_smaller_pictures_of_a_step_are_the_same_whenever_they_are_scaled(
    change: dict[str, Any],
) -> None:
    video: VideoInfo = replace(PICTURE, **change)
    rungs = tuple(Rung(f"{height}p", width, height, 1) for width, height in SIZES)
    job = ChunkJob("t", "v", "s", video, decide_grid(describe_source(4)), Chunk(0, 0, 1), rungs)
    scaler, frame = PartScaler(job), draw_noise(video.pix_fmt)
    at_once = list_planes(FrameScaler(video, SIZES).scale(frame))
    scaled = scaler.scale(frame)
    assert len(scaled) == 2, "one picture a slot waits"
    first, second = (
        StepPart(0, range(60), range(1), is_first=True),
        StepPart(1, range(60), range(1, 4), is_first=False),
    )
    assert list_planes([*scaler.pick(first, scaled), *scaler.scale_on(scaled[-1])]) == at_once
    assert list_planes([*scaler.pick(second, scaled)]) == at_once[1:]
