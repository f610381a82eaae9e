"""How one stream to a viewer runs on through changes of its source: continuous numbers and times.

A leg is the stretch of a viewer's stream that one track feeds. Pure values; `delivery` makes the
next leg when it switches a viewer to another layer, and looks past ones up for repeats.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.sfu import vp8
from media.sfu.fanout import StreamFormat
from media.sfu.rtp import signed_time_distance
from media.sfu.track import SourceTrack, TrackPacket

PAST_LEGS_MAX = 4


@dataclass(frozen=True, slots=True)
class PastLeg:
    """What a viewer got before its last switch: our numbers in [first, end) came from `track`."""

    track: SourceTrack
    fmt: StreamFormat
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class LegEnd:
    """Where a viewer's stream stands: the track that fed it so far, and in which format."""

    track: SourceTrack
    fmt: StreamFormat

    @property
    def next_number(self) -> int:
        """The number of the stream's next packet; its low 16 bits are the sequence number."""
        return self.track.next_index + self.fmt.shift


def make_next_format(
    end: LegEnd, layer: str, first: TrackPacket, track: SourceTrack
) -> StreamFormat:
    """Return the format in which `track` continues a viewer's stream, beginning with `first`.

    Its `clock_shift` brings timestamps to the clock of the room; where that would stand still or
    run backwards, a little is added.
    """
    clock_shift = track.clock_shift
    last_time = end.track.newest_timestamp + end.fmt.clock_shift
    ahead = signed_time_distance(first.timestamp + clock_shift, last_time)
    shift = clock_shift if ahead > 0 else clock_shift + 1 - ahead
    ids = vp8.NO_SHIFT
    if track.codec == "VP8":
        last = end.track.find_newest_numbers()
        if last is not None:
            tl0 = last.tl0 + end.fmt.vp8.tl0
            last = vp8.Vp8Numbers(last.picture + end.fmt.vp8.picture, tl0)
        ids = vp8.decide_shift_after(last, vp8.read_numbers(first.payload))
    return StreamFormat(
        payload_type=end.fmt.payload_type,
        ssrc=end.fmt.ssrc,
        shift=end.next_number - first.index,
        layer=layer,
        clock_shift=shift & 0xFFFFFFFF,
        vp8=ids,
        transport_seq=end.fmt.transport_seq,
        first=first.index,
    )
