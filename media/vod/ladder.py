"""Which sizes and rates a video is offered in.

Pure. The plan asks it. The top rung is the source's own size (up to the cap), so nothing is ever
upscaled and nothing is lost; below it come the usual sizes that are clearly smaller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

SHORT_SIDES = (2160, 1440, 1080, 720, 480, 360, 240)
SHORT_SIDE_MAX = SHORT_SIDES[0]
SHORT_SIDE_COPIED_MAX = 1080
RATE_COPIED_MAX = 2.0
"""A source's own picture is offered up to this multiple of what its size usually takes."""
STEP_MIN = 1.15
"""A rung must be this much smaller than the top one to be worth its bytes."""
SIDE_MIN = 16
RATE_AT_240P_BPS = 400_000
PIXELS_AT_240P = 426 * 240
RATE_EXPONENT = 0.84
"""Bits grow slower than pixels: 400 kbit/s at 240p becomes 5 Mbit/s at 1080p."""
RATE_MIN_BPS = 100_000
HEADROOM = 1.25
"""A rung may take this much more than its share of the source's own rate."""
GAINS = {"h264": 1.0, "mpeg4": 0.8, "mpeg2video": 0.6, "hevc": 1.7, "vp9": 1.6, "av1": 2.0}
"""How many bits H.264 needs for one of theirs, roughly; others tell nothing."""
RATE_SHARES = {"av1": 0.7, "vp9": 0.8, "hevc": 0.75}
"""The most a rung of another codec may take of what H.264's may: it must save bytes."""
VP9_SHORT_SIDE_MAX = 1080
"""Above that a chunk of VP9 would take longer than a task may."""
NVENC = "nvenc"
"""A GPU's encoder: its name in rungs, and the resource that nodes with one offer."""
FAST_FPS = 35
FAST_FACTOR = 1.5


@dataclass(frozen=True)
class Rung:
    """One size of a video; `bitrate_bps` is the most it may take over two seconds."""

    name: str
    """Of its track."""
    width: int
    height: int
    bitrate_bps: int
    codec: str = "h264"
    coarser: int = 0
    """Than usual, in steps of CRF: what this video's own pictures allow."""
    encoder: str = ""
    """Empty: the codec's own; `NVENC`: a GPU's. One rung is made by one encoder alone."""

    @property
    def quality(self) -> str:
        """What people call it."""
        return name_quality(self.width, self.height)


def name_quality(width: int, height: int) -> str:
    """What people call a size: its shorter side, such as 720p."""
    return f"{min(width, height)}p"


def decide_ladder(
    width: int,
    height: int,
    fps: float,
    source_bps: float | None = None,
    *,
    short_side_max: int = SHORT_SIDE_MAX,
) -> tuple[Rung, ...]:
    """Rungs for a picture of this displayed size, smallest first; never empty.

    `source_bps` is what the source itself takes, in H.264's terms; no rung takes much more than
    its share of it by size.
    """
    short = min(width, height)
    top = min(short, short_side_max)
    shorts = [side for side in SHORT_SIDES if side * STEP_MIN <= top] + [top]
    rungs = [_build_rung(width, height, side, fps) for side in sorted(shorts)]
    if source_bps is None:
        return tuple(rungs)
    return tuple(_cap(rung, source_bps, width * height) for rung in rungs)


def repeat_ladder(ladder: tuple[Rung, ...], codec: str) -> tuple[Rung, ...]:
    """The same sizes in another codec, for fewer bits."""
    share = RATE_SHARES[codec]
    side_max = VP9_SHORT_SIDE_MAX if codec == "vp9" else SHORT_SIDE_MAX
    return tuple(
        replace(
            rung,
            name=f"{rung.name}-{codec}",
            bitrate_bps=round(rung.bitrate_bps * share),
            codec=codec,
        )
        for rung in ladder
        if min(rung.width, rung.height) <= side_max
    )


def decide_source_bps(codec: str, bit_rate_bps: int | None) -> float | None:
    """What the source would take in H.264; None when its codec or rate tells nothing."""
    if bit_rate_bps is None or codec not in GAINS:
        return None
    return bit_rate_bps * GAINS[codec]


def _cap(rung: Rung, source_bps: float, source_pixels: int) -> Rung:
    share = math.pow(min(1.0, rung.width * rung.height / source_pixels), RATE_EXPONENT)
    cap_bps = max(RATE_MIN_BPS, round(source_bps * HEADROOM * share / 10_000) * 10_000)
    return replace(rung, bitrate_bps=min(rung.bitrate_bps, cap_bps))


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
        name=name_quality(scaled_width, scaled_height),
        width=scaled_width,
        height=scaled_height,
        bitrate_bps=decide_bitrate_bps(scaled_width * scaled_height, fps),
    )


def _even(side: float, source_side: int) -> int:
    """The nearest even number that is not above the source's side."""
    return max(2, min(round(side / 2) * 2, source_side // 2 * 2))


def decide_bitrate_bps(pixels: int, fps: float) -> int:
    """What a picture of so many pixels may take."""
    rate_bps = RATE_AT_240P_BPS * math.pow(pixels / PIXELS_AT_240P, RATE_EXPONENT)
    if fps > FAST_FPS:
        rate_bps *= FAST_FACTOR
    return max(RATE_MIN_BPS, round(rate_bps / 10_000) * 10_000)
