"""WebVTT files: the storyboard's track of pictures (W3C WebVTT; Media Fragments for the tiles).

Pure text. `publish.py` calls it. Names are relative to the manifest.
"""

from __future__ import annotations

from fractions import Fraction

from media.vod.records import STORYBOARD, StoryboardRecord, storyboard_name


def build_storyboard_track(storyboard: StoryboardRecord, duration_s: Fraction) -> str:
    """One cue per picture, naming its sheet and its place there."""
    lines = ["WEBVTT", ""]
    per_sheet = storyboard.columns * storyboard.rows
    end_ms = round(duration_s * 1000)
    for tile in range(storyboard.tiles):
        sheet, place = divmod(tile, per_sheet)
        row, column = divmod(place, storyboard.columns)
        start_ms = tile * storyboard.interval_ms
        stop_ms = max(start_ms + 1, min(end_ms, start_ms + storyboard.interval_ms))
        left, top = column * storyboard.width, row * storyboard.height
        lines += [
            f"{format_moment(start_ms)} --> {format_moment(stop_ms)}",
            f"{STORYBOARD}/{storyboard_name(sheet)}"
            f"#xywh={left},{top},{storyboard.width},{storyboard.height}",
            "",
        ]
    return "\n".join(lines)


def format_moment(moment_ms: int) -> str:
    """A WebVTT timestamp with hours."""
    seconds, rest_ms = divmod(moment_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{rest_ms:03d}"
