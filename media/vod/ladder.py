"""Which sizes and rates a video is offered in.

Pure. The plan asks it. The top rung is the source's own size (up to the cap), so nothing is ever
upscaled and nothing is lost; below it come the usual sizes that are clearly smaller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SHORT_SIDES = (1080, 720, 480, 360, 240)
SHORT_SIDE_MAX = SHORT_SIDES[0]
STEP_MIN = 1.15
"""A rung must be this much smaller than the top one to be worth its bytes."""
SIDE_MIN = 16
RATE_AT_240P_BPS = 400_000
PIXELS_AT_240P = 426 * 240
RATE_EXPONENT = 0.84
"""Bits grow slower than pixels: 400 kbit/s at 240p becomes 5 Mbit/s at 1080p."""
RATE_MIN_BPS = 100_000
FAST_FPS = 35
FAST_FACTOR = 1.5


@dataclass(frozen=True)
class Rung:
    """One size of a video; `bitrate_bps` is the most it may take over two seconds."""

    name: str
    width: int
    height: int
    bitrate_bps: int


def decide_ladder(width: int, height: int, fps: float) -> tuple[Rung, ...]:
    """Rungs for a picture of this displayed size, smallest first; never empty."""
    short = min(width, height)
    top = min(short, SHORT_SIDE_MAX)
    shorts = [side for side in SHORT_SIDES if side * STEP_MIN <= top] + [top]
    return tuple(_build_rung(width, height, side, fps) for side in sorted(shorts))


def fit_inside(width: int, height: int, long_side_max: int) -> tuple[int, int]:
    """The same shape with no side longer than that; even, never larger than it was."""
    scale = min(1.0, long_side_max / max(width, height))
    return _even(width * scale, width), _even(height * scale, height)


def _build_rung(width: int, height: int, short_side: int, fps: float) -> Rung:
    """Scale so that the shorter side is `short_side`; both sides even, as 4:2:0 needs."""
    short = min(width, height)
    scaled_width = _even(width * short_side / short, width)
    scaled_height = _even(height * short_side / short, height)
    return Rung(
        name=f"{min(scaled_width, scaled_height)}p",
        width=scaled_width,
        height=scaled_height,
        bitrate_bps=_decide_bitrate_bps(scaled_width * scaled_height, fps),
    )


def _even(side: float, source_side: int) -> int:
    """The nearest even number that is not above the source's side."""
    return max(2, min(round(side / 2) * 2, source_side // 2 * 2))


def _decide_bitrate_bps(pixels: int, fps: float) -> int:
    rate_bps = RATE_AT_240P_BPS * math.pow(pixels / PIXELS_AT_240P, RATE_EXPONENT)
    if fps > FAST_FPS:
        rate_bps *= FAST_FACTOR
    return max(RATE_MIN_BPS, round(rate_bps / 10_000) * 10_000)
