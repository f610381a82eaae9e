"""What a version of a video is made with: its largest size, its codecs, how loud its sound is,
whether it is encrypted.

Pure. The plan is decided from it; the site's settings give the default, and whoever has a video
made again names another. It travels as JSON in rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.vod.ladder import SHORT_SIDE_MAX

EXTRA_CODECS = ("av1", "vp9", "hevc")
"""What rungs may have beside H.264, which every version has."""
OPUS_CODECS = ("av1", "vp9")
"""Whoever plays these plays Opus; HEVC goes with AAC, as on the devices that play it."""


@dataclass(frozen=True)
class Recipe:
    """How a version is made."""

    short_side_max: int = SHORT_SIDE_MAX
    """No rung is larger than that, by its shorter side."""
    evens_loudness: bool = True
    """Whether sound is turned up or down to be as loud as others."""
    codecs: tuple[str, ...] = ()
    """Of `EXTRA_CODECS`: each makes the ladder once more."""
    is_protected: bool = False
    """Whether its segments are encrypted. Then it is H.264 and AAC alone, all encoded here."""


def name_in_version(version: int, name: str) -> str:
    """How a track or task is called in a version: the first one's names are plain."""
    return name if version == 1 else f"v{version}-{name}"
