"""Encoders of pictures: the frames of one step of one rung in, its coded pictures out.

`transcode.py` drives them. All use one thread and give the same bytes for the same input, so a
repeated task repeats its output. They write nothing and know no keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, cast

from av.video.frame import PictureType

from media.cmaf import BT709, Sample, VideoTrack, build_init_segment
from media.vod.codecs import get_codec, give_back_priority, open_encoder
from media.vod.grid import FrameGrid
from media.vod.ladder import Rung

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame

SETTLING_FRAMES = 3
"""An encoder may begin its last threads with its first frames."""


@dataclass(frozen=True)
class MadeStep:
    """A closed group of pictures of one rung, in decoding order, and how it is to be decoded."""

    codec: str
    """In CODECS attributes."""
    init_segment: bytes
    samples: tuple[Sample, ...]


class StepEncoder:
    """One rung over one step: from a keyframe to the next, which another encoder begins with.

    Nothing it knows comes from earlier pictures, but for how full they leave the decoder's buffer.
    """

    def __init__(self, rung: Rung, grid: FrameGrid, slots: range, buffer_share: float) -> None:
        self._rung = rung
        self._grid = grid
        self._slots = slots
        self._packets: list[Packet[Stream]] = []
        self._codec = get_codec(rung)
        self._context = open_encoder(self._codec, rung, grid, buffer_share)

    def encode(self, frame: VideoFrame, slot: int) -> None:
        """Add the frame of one slot, in order."""
        frame.pts = slot * self._grid.frame_ticks
        frame.time_base = Fraction(1, self._grid.timescale)
        is_first = slot == self._slots.start
        frame.pict_type = PictureType.I if is_first else PictureType.NONE
        self._packets += self._context.encode(frame)
        if slot - self._slots.start < SETTLING_FRAMES:
            give_back_priority()

    def finish(self) -> MadeStep:
        """Flush; within a closed group the i-th decode time is the i-th slot's."""
        self._packets += self._context.encode(None)
        ticks, first = self._grid.frame_ticks, self._slots.start
        shown = sorted(packet.pts or 0 for packet in self._packets)
        assert shown == [slot * ticks for slot in self._slots], (
            f"the step at frame {first} does not hold exactly its own frames"
        )
        opening = self._packets[0]
        assert opening.pts == first * ticks, f"the step at frame {first} starts with another"
        assert opening.is_keyframe, f"the step at frame {first} does not start with a keyframe"
        delay_ticks = self._codec.reorder_frames * ticks
        samples = tuple(
            Sample(
                data=self._codec.clean(bytes(packet)),
                duration_ticks=ticks,
                cts_offset_ticks=(packet.pts or 0) - decoded + delay_ticks,
                is_key=packet.is_keyframe,
            )
            for packet, decoded in zip(self._packets, shown, strict=True)
        )
        assert min(sample.cts_offset_ticks for sample in samples) >= 0, "B-frames reach too far"
        return MadeStep(*self._describe(bytes(opening)), samples)

    def _describe(self, first: bytes) -> tuple[str, bytes]:
        """The CODECS name and the init segment; some encoders settle them with the first frame."""
        config = self._codec.describe(self._context, first)
        track = VideoTrack(
            timescale=self._grid.timescale,
            width=self._rung.width,
            height=self._rung.height,
            config=config.payload,
            delay_ticks=self._codec.reorder_frames * self._grid.frame_ticks,
            colour=BT709,
            codec=cast("Literal['h264', 'hevc', 'vp9', 'av1']", self._rung.codec),
        )
        return config.name, build_init_segment(track)
