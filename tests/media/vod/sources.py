"""Descriptions of sources for tests of pure rules."""

from dataclasses import replace
from fractions import Fraction

from media.vod.info import AudioInfo, MediaInfo, VideoInfo

PICTURE = VideoInfo(
    stream_index=0,
    codec="h264",
    pix_fmt="yuv420p",
    width=1280,
    height=720,
    coded_width=1280,
    coded_height=720,
    rotation_deg=0,
    mirrored=False,
    sar=Fraction(1),
    fps=Fraction(30),
    bit_rate_bps=2_000_000,
    color_matrix="bt709",
    is_hdr=False,
)


def describe_source(
    length_s: float, fps: Fraction | int = 30, *, sound_s: float | None = None
) -> MediaInfo:
    """A 720p source of that length and rate, perhaps with sound of another length."""
    return MediaInfo(
        container="mov",
        duration_s=max(length_s, sound_s or 0),
        picture_s=length_s,
        origin_us=0,
        size_bytes=1000,
        video=replace(PICTURE, fps=Fraction(fps)),
        audio=AudioInfo(1, "aac", 48_000, 2) if sound_s is not None else None,
    )
