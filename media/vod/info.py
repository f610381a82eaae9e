"""What a probe learnt about an uploaded file, as plain data.

`probe.py` makes it; the ladder, the plan and the database row are decided from it. Pure: it opens
nothing. Times are in the source's own clock unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


@dataclass(frozen=True)
class VideoInfo:
    """The picture; `width` and `height` are as displayed, after rotation and with square pixels."""

    stream_index: int
    codec: str
    pix_fmt: str
    width: int
    height: int
    coded_width: int
    coded_height: int
    rotation_deg: int
    """Clockwise turn a player applies: 0, 90, 180 or 270."""
    mirrored: bool
    """Flipped left to right before it is turned."""
    sar: Fraction
    fps: Fraction
    bit_rate_bps: int | None
    color_matrix: str
    """The matrix of its YUV, in the scale filter's words; guessed when the file is silent."""
    is_hdr: bool
    is_interlaced: bool = False
    is_full_range: bool = False
    transfer: str = ""
    """Of high dynamic range: "pq" or "hlg"."""


@dataclass(frozen=True)
class AudioInfo:
    """The sound."""

    stream_index: int
    codec: str
    sample_rate_hz: int
    channels: int


@dataclass(frozen=True)
class CopyInfo:
    """The picture can be passed on as it is; `sound`: so can the sound."""

    sound: bool
    longest_s: Fraction = Fraction(0)
    """Of the picture's segments: what a playlist promises while the later ones are not there."""


@dataclass(frozen=True)
class MediaInfo:
    """A file that can be read: one picture, perhaps with sound, or sound alone."""

    container: str
    duration_s: float
    """From the first to the last moment of picture or sound."""
    picture_s: float
    """From that first moment to the end of the last frame."""
    origin_us: int
    """The source's clock, in microseconds, at that first moment: zero of what we make."""
    size_bytes: int
    video: VideoInfo | None
    """None: there is sound alone."""
    audio: AudioInfo | None
    warnings: tuple[str, ...] = ()
    """What of it is changed or left out, in sentences for its owner."""
    copyable: CopyInfo | None = None
    cover_index: int | None = None
    """The stream of a sound's cover picture."""


def encode_json(value: object) -> bytes:
    """JSON of any dataclass of this package; fractions become "num/den"."""
    return msgspec.json.encode(value, enc_hook=_encode_fraction)


def decode_json(data: bytes, kind: type[T]) -> T:
    """The dataclass that `encode_json` wrote; raises msgspec.ValidationError."""
    return msgspec.json.decode(data, type=kind, dec_hook=_decode_fraction)


def _encode_fraction(value: Any) -> str:
    assert isinstance(value, Fraction), f"{type(value).__name__} has no place in a media record"
    return f"{value.numerator}/{value.denominator}"


def _decode_fraction(kind: type[Any], value: Any) -> Fraction:
    assert kind is Fraction, f"{kind.__name__} has no place in a media record"
    return Fraction(value)
