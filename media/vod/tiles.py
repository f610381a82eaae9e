"""The storyboard's sheets as an HLS playlist of pictures (Image Media Playlist, version 0.4).

Pure text. Players that know it (Shaka, Roku) show them while somebody drags along the bar; others
leave out tags they do not know (RFC 8216 §6.3.1). `hls.py` names it in the list of variants.
"""

from __future__ import annotations

import math
from fractions import Fraction

from media.vod.records import STORYBOARD, StoryboardRecord, playlist_name, storyboard_name

VERSION = 7


def describe_tiles(storyboard: StoryboardRecord) -> str:
    """The line of the list of variants; the size is that of one small picture."""
    return (
        f'#EXT-X-IMAGE-STREAM-INF:BANDWIDTH={storyboard.expected_bps},CODECS="jpeg"'
        f",RESOLUTION={storyboard.width}x{storyboard.height}"
        f',URI="{playlist_name(STORYBOARD)}"'
    )


def build_tiles_playlist(storyboard: StoryboardRecord, duration_s: Fraction) -> str:
    """One segment per sheet, which says how its pictures lie; the last one may have fewer rows."""
    step_s = Fraction(storyboard.interval_ms, 1000)
    per_sheet = storyboard.columns * storyboard.rows
    lengths_s = [
        min(duration_s - first * step_s, per_sheet * step_s)
        for first in range(0, storyboard.tiles, per_sheet)
    ]
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{max(1, math.ceil(max(lengths_s)))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-IMAGES-ONLY",
    ]
    for number, length_s in enumerate(lengths_s):
        tiles = min(per_sheet, storyboard.tiles - number * per_sheet)
        rows = math.ceil(tiles / storyboard.columns)
        lines += [
            f"#EXTINF:{float(length_s):.6f},",
            f"#EXT-X-TILES:RESOLUTION={storyboard.width}x{storyboard.height}"
            f",LAYOUT={storyboard.columns}x{rows},DURATION={float(step_s):.6f}",
            f"{STORYBOARD}/{storyboard_name(number)}",
        ]
    return "\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n"
