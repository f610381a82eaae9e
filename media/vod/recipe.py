"""What a version of a video is made with: its largest size, and whether its sound is evened out.

Pure. The plan is decided from it; the site's settings give the default, and whoever has a video
made again names another. It travels as JSON in rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.vod.ladder import SHORT_SIDE_MAX


@dataclass(frozen=True)
class Recipe:
    """How a version is made."""

    short_side_max: int = SHORT_SIDE_MAX
    """No rung is larger than that, by its shorter side."""
    evens_loudness: bool = True
    """Whether sound is turned up or down to be as loud as others."""


def name_in_version(version: int, name: str) -> str:
    """How a track or task is called in a version: the first one's names are plain."""
    return name if version == 1 else f"v{version}-{name}"
