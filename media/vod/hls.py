"""HLS playlists from task records (RFC 8216; multi-track CMAF with separate sound).

Pure text. `publish.py` stores what comes out. Names are relative, so a playlist works below any
path, a playback grant's included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from media.vod.records import (
    AUDIO_TRACK,
    SegmentRecord,
    TrackRecord,
    playlist_name,
    segment_name,
)

VERSION = 7
AUDIO_GROUP = "sound"


@dataclass(frozen=True)
class Track:
    """One whole track: the records of all its tasks, in order, without a gap."""

    parts: tuple[TrackRecord, ...]

    @property
    def name(self) -> str:
        """The rung's name, or "audio"."""
        return self.parts[0].track

    @property
    def segments(self) -> tuple[SegmentRecord, ...]:
        """All segments in order."""
        return tuple(segment for part in self.parts for segment in part.segments)

    @property
    def peak_bps(self) -> int:
        """Bits per second of its heaviest segment."""
        timescale = self.parts[0].timescale
        return max(
            math.ceil(segment.size_bytes * 8 * timescale / segment.duration_ticks)
            for segment in self.segments
        )

    @property
    def average_bps(self) -> int:
        """Bits per second over all of it."""
        size_bytes = sum(segment.size_bytes for segment in self.segments)
        ticks = sum(segment.duration_ticks for segment in self.segments)
        return math.ceil(size_bytes * 8 * self.parts[0].timescale / ticks)


def join_track(records: Sequence[TrackRecord]) -> Track:
    """Order the parts of one track and insist that no segment is missing or doubled."""
    parts = tuple(sorted(records, key=lambda part: part.segments[0].number))
    track = Track(parts)
    assert {part.track for part in parts} == {track.name}, "parts of different tracks"
    assert [segment.number for segment in track.segments] == list(range(len(track.segments))), (
        f"track {track.name} has a hole in its segment numbers"
    )
    for earlier, later in pairwise(track.segments):
        assert earlier.start_ticks + earlier.duration_ticks == later.start_ticks, (
            f"track {track.name}: segment {later.number} does not start where the last one ended"
        )
    return track


def build_media_playlist(track: Track) -> str:
    """The playlist of one track, complete."""
    timescale = track.parts[0].timescale
    # RFC 8216 §4.3.3.1: no segment, rounded to whole seconds, is longer than the target.
    target_s = max(_round_s(segment.duration_ticks, timescale) for segment in track.segments)
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{max(1, target_s)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    init_name = ""
    for part in track.parts:
        if part.init_name != init_name:
            # Another build of the encoder made this part: its parameters differ.
            lines += ["#EXT-X-DISCONTINUITY"] if init_name else []
            lines.append(f'#EXT-X-MAP:URI="{track.name}/{part.init_name}"')
            init_name = part.init_name
        for segment in part.segments:
            lines += [
                f"#EXTINF:{segment.duration_ticks / timescale:.6f},",
                f"{track.name}/{segment_name(segment.number)}",
            ]
    lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def build_master_playlist(rungs: Sequence[Track], audio: Track | None, fps: Fraction) -> str:
    """The list of variants, smallest first, each with the sound added to its bandwidth."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if audio:
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{AUDIO_GROUP}",NAME="main",DEFAULT=YES,'
            f'AUTOSELECT=YES,CHANNELS="{audio.parts[0].channels}",'
            f'URI="{playlist_name(AUDIO_TRACK)}"'
        )
    for rung in sorted(rungs, key=lambda track: track.parts[0].width * track.parts[0].height):
        first = rung.parts[0]
        codecs = ",".join([first.codec, *([audio.parts[0].codec] if audio else [])])
        attributes = [
            f"BANDWIDTH={rung.peak_bps + (audio.peak_bps if audio else 0)}",
            f"AVERAGE-BANDWIDTH={rung.average_bps + (audio.average_bps if audio else 0)}",
            f'CODECS="{codecs}"',
            f"RESOLUTION={first.width}x{first.height}",
            f"FRAME-RATE={float(fps):.3f}",
            *([f'AUDIO="{AUDIO_GROUP}"'] if audio else []),
            "CLOSED-CAPTIONS=NONE",
        ]
        lines += [
            f"#EXT-X-STREAM-INF:{','.join(attributes)}",
            playlist_name(rung.name),
        ]
    return "\n".join(lines) + "\n"


def _round_s(ticks: int, timescale: int) -> int:
    """Whole seconds, halves up."""
    return (2 * ticks + timescale) // (2 * timescale)
