"""What a transcoded rung is held against: its grid, and the number drawn in each frame."""

import io
from fractions import Fraction

import av

from tests.media.vod.clips import (
    Made,
    read_number,
)


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
    assert keys == [step.start for step in grid.list_steps(range(grid.frames))]
    frames = made.frames_of(name)
    assert [f.pts * f.time_base for f in frames] == [n / grid.fps for n in range(grid.frames)]
    assert not any(f.is_corrupt for f in frames)
    assert [read_number(f) for f in frames] == shown
