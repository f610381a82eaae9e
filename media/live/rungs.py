"""Which smaller pictures a live is offered in beside its own, and how large each is. Pure.

The edge asks it when a ladder begins and whenever the publisher's picture changes. Sizes and rates
are those of videos (`media.vod.ladder`); nothing is ever made larger than it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from media.vod.ladder import STEP_MIN, decide_bitrate_bps, decide_ladder

AUTO = "auto"
AUTO_SHORT_SIDES = (480, 240)
"""Two steps: half of a phone's screen, and what a bad connection carries."""
HALVED_ABOVE_FPS = 40.0
"""Of a faster picture a rung has every second frame."""
SOURCE_FPS = 30.0
"""Of a publisher who has not been measured yet."""
LEVELS = ((0x15, 19_800, 792), (0x1E, 40_500, 1620), (0x1F, 108_000, 3600), (0x20, 216_000, 5120),
          (0x28, 245_760, 8192), (0x32, 589_824, 22_080), (0x34, 2_073_600, 36_864))  # fmt: skip
"""H.264 levels (Table A-1): number, macroblocks per second, macroblocks per frame."""


@dataclass(frozen=True)
class SourceShape:
    """What is known of the publisher's picture."""

    width: int
    height: int
    fps: float = 0.0
    bitrate_bps: int = 0
    """0: not measured yet, as with `fps`."""

    @property
    def every(self) -> int:
        """Of how many frames a rung has one."""
        return 2 if self.fps > HALVED_ABOVE_FPS else 1


@dataclass(frozen=True)
class LiveRung:
    """One rung as it is made of one shape of the source."""

    name: str
    """Its folder, such as 480p; it stays, whatever the publisher sends meanwhile."""
    width: int
    height: int
    bitrate_bps: int
    """The most it may take over two seconds."""
    every: int
    level: int
    """H.264's, so that the codec's name is known before anything is encoded."""

    @property
    def codec_name(self) -> str:
        """As in the CODECS attribute, RFC 6381: the main profile."""
        return f"avc1.4d40{self.level:02x}"


def list_short_sides(ladder: Sequence[str]) -> tuple[int, ...]:
    """Return what the setting `live.ladder` wants, largest first."""
    if AUTO in ladder:
        return AUTO_SHORT_SIDES
    return tuple(sorted({int(name.removesuffix("p")) for name in ladder}, reverse=True))


def choose_short_sides(wanted: Sequence[int], source: SourceShape) -> tuple[int, ...]:
    """Return those that are clearly smaller than the source."""
    short = min(source.width, source.height)
    return tuple(side for side in wanted if side * STEP_MIN <= short)


def build_rung(short_side: int, source: SourceShape) -> LiveRung:
    """Return a rung of the source; one that is not smaller has the source's own size."""
    fps = (source.fps or SOURCE_FPS) / source.every
    ladder = decide_ladder(
        source.width, source.height, fps, source.bitrate_bps or None, short_side_max=short_side
    )
    fitting = ladder[-1]
    return LiveRung(
        f"{short_side}p",
        fitting.width,
        fitting.height,
        # Without a measure of the source it may take what its size usually takes.
        min(fitting.bitrate_bps, decide_bitrate_bps(fitting.width * fitting.height, fps)),
        source.every,
        _decide_level(fitting.width, fitting.height, max(fps, SOURCE_FPS)),
    )


def _decide_level(width: int, height: int, fps: float) -> int:
    blocks = -(-width // 16) * -(-height // 16)
    fits = (
        level
        for level, rate_max, size_max in LEVELS
        if blocks <= size_max and blocks * fps <= rate_max
    )
    return next(fits, LEVELS[-1][0])
