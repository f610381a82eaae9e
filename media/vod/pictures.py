"""How a source's pictures are meant to be seen: size, turn, colours, rate. Rules of the probe.

Pure but for `read_display_matrix`, which only looks at a frame's side data.
"""

from __future__ import annotations

import statistics
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from media.vod.grid import USUAL_RATES

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame

SAR_LIMITS = (Fraction(1, 8), Fraction(8))
RATE_LIMITS = (Fraction(1, 10), Fraction(300))
RATE_UNKNOWN = Fraction(25)
RATE_AGREES = 0.05
RATE_SNAPS = Fraction(3, 100)
HD_LINES_MIN = 720
RANGE_FULL = 2
"""AVCOL_RANGE_JPEG."""
TRANSFER_PQ, TRANSFER_HLG = 16, 18
MATRICES = {
    1: "bt709",
    4: "fcc",
    5: "bt470",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
}
"""H.273 matrix coefficients in the scale filter's words."""
TURNS = {
    (1, 0, 0, 1): (0, False),
    (0, 1, -1, 0): (90, False),
    (-1, 0, 0, -1): (180, False),
    (0, -1, 1, 0): (270, False),
    (-1, 0, 0, 1): (0, True),
    (0, -1, -1, 0): (90, True),
    (1, 0, 0, -1): (180, True),
    (0, 1, 1, 0): (270, True),
}
"""Signs of the display matrix (a, b, c, d of ISO/IEC 14496-12 §6.2.2) to turn and mirror."""

DisplayMatrix = tuple[int, int, int, int]


def read_display_matrix(frame: VideoFrame) -> DisplayMatrix | None:
    """a, b, c and d of the frame's display matrix, 16.16 fixed point; None without one."""
    try:
        side_data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV 18 refuses the whole lot when it holds a kind it has no name for.
        return None
    if side_data is None:
        return None
    a, b, _, c, d = struct.unpack("<5i", bytes(cast("SideData", side_data))[:20])
    return a, b, c, d


def decide_orientation(matrix: DisplayMatrix | None, rotation_deg: int) -> tuple[int, bool]:
    """Clockwise turn (0, 90, 180, 270) and mirroring; odd angles go to the nearest quarter.

    `rotation_deg` is FFmpeg's counterclockwise angle, used when there is no plain matrix.
    """
    if matrix is not None:
        largest = max(abs(entry) for entry in matrix)
        signs = tuple(
            (entry > 0) - (entry < 0) if abs(entry) * 2 > largest else 0 for entry in matrix
        )
        if signs in TURNS:
            return TURNS[signs]
    return round(-rotation_deg / 90) * 90 % 360, False


def decide_display_size(
    width: int, height: int, sar: Fraction | None, rotation_deg: int
) -> tuple[int, int]:
    """Size with square pixels, turned; absurd pixel shapes are taken for square."""
    if sar is not None and SAR_LIMITS[0] <= sar <= SAR_LIMITS[1]:
        width = max(1, round(width * sar))
    return (height, width) if rotation_deg in (90, 270) else (width, height)


def decide_matrix(colorspace: int, height: int) -> str:
    """The stated YUV matrix, or the usual one for the size."""
    return MATRICES.get(colorspace, "bt709" if height >= HD_LINES_MIN else "smpte170m")


def find_hdr_transfer(transfer: int) -> str:
    """ "pq" or "hlg" for those transfer characteristics (H.273), empty for standard range."""
    return {TRANSFER_PQ: "pq", TRANSFER_HLG: "hlg"}.get(transfer, "")


def decide_frame_rate(
    guessed: Fraction | None, average: Fraction | None, intervals_s: Sequence[Fraction]
) -> Fraction:
    """The rate the frames keep when they keep one: headers if the intervals agree, else those.

    A phone or a screen recorder drops frames; its usual interval tells the rate it aims at, the
    average does not.
    """
    stated = [rate for rate in (guessed, average) if rate and _is_sane(rate)]
    if len(intervals_s) == 0:
        return stated[0] if stated else RATE_UNKNOWN
    typical = 1 / statistics.median_low(intervals_s)
    for rate in stated:
        if abs(float(rate / typical) - 1) <= RATE_AGREES:
            return rate
    if not _is_sane(typical):
        return stated[-1] if stated else RATE_UNKNOWN
    nearest = min(USUAL_RATES, key=lambda rate: abs(rate - typical))
    return nearest if abs(nearest - typical) <= nearest * RATE_SNAPS else typical


def _is_sane(rate: Fraction) -> bool:
    return RATE_LIMITS[0] <= rate <= RATE_LIMITS[1]
