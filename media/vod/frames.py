"""Frames of a source: decoded from any point, placed on the plan's grid, turned and scaled.

The chunk task, the probe and the thumbnails use it. Which source frame fills an output slot
depends on the grid and the source alone, never on where decoding began: that makes chunks fit.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import av.error
import av.filter
from av.stream import Discard

from media.vod.arriving import SourceNotThere
from media.vod.grid import FrameGrid
from media.vod.info import VideoInfo
from media.vod.source import MediaUnreadable, limit_decoder, moment_of
from media.vod.tones import render_cube

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.filter.context import FilterContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

SEEK_BACK_S = (0, 2, 10, 30)
"""How much earlier to try when the demuxer landed behind the wanted frame."""
SCALER = "bicubic"
TABLE = "{table}"
TURNS = {0: (), 90: ("clock",), 180: ("clock", "clock"), 270: ("cclock",)}


@dataclass
class DecodeTally:
    """Counts what decoding met."""

    frames: int = 0
    errors: int = 0
    is_whole: bool = True
    """False: the file still arrives, so what looks like its end is none."""


def get_video_stream(container: InputContainer, stream_index: int) -> VideoStream:
    """The probed picture stream, decoding in one thread; all others are skipped by the demuxer."""
    stream = cast("VideoStream", container.streams[stream_index])
    limit_decoder(stream)
    for other in container.streams:
        if other.index != stream_index:
            other.discard = Discard.all
    return stream


def iter_frames(
    container: InputContainer, stream: VideoStream, tally: DecodeTally
) -> Iterator[VideoFrame]:
    """Decode on from where the container stands; damaged packets are counted and left out.

    Raises SourceNotThere where a file that still arrives has come to.
    """
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            if not tally.is_whole:
                raise SourceNotThere from error
            # The container itself is broken from here on.
            tally.errors += 1
            return
        if not tally.is_whole and (packet.is_corrupt or packet.size == 0):
            raise SourceNotThere  # cut off, or the demuxer's mark of the end
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            tally.errors += 1
            continue
        tally.frames += len(frames)
        yield from frames


def iter_grid_frames(
    container: InputContainer,
    stream: VideoStream,
    grid: FrameGrid,
    slots: range,
    tally: DecodeTally,
) -> Iterator[tuple[int, VideoFrame]]:
    """For each slot the latest source frame at or before it; the first frame fills earlier ones.

    Raises MediaUnreadable when nothing at all can be decoded.
    """
    slot = slots.start
    held: VideoFrame | None = None
    held_moment: Fraction | None = None
    for frame in _iter_from(container, stream, grid, slots.start, tally):
        moment = moment_of(frame, stream)
        if moment is None or (held_moment is not None and moment <= held_moment):
            continue
        while held is not None and slot < min(slots.stop, grid.slot_of(moment)):
            yield slot, held
            slot += 1
        if slot == slots.stop:
            return
        held, held_moment = frame, moment
    if held is None:
        raise MediaUnreadable("The picture cannot be decoded.", slot=slots.start)
    for rest in range(slot, slots.stop):
        yield rest, held


def _iter_from(
    container: InputContainer,
    stream: VideoStream,
    grid: FrameGrid,
    slot: int,
    tally: DecodeTally,
) -> Iterator[VideoFrame]:
    """Decode from a keyframe at or before the slot, wherever the demuxer's index leads."""
    for back_s in SEEK_BACK_S if slot else ():
        if not seek_keyframe(container, stream, grid.source_s_of(slot) - back_s):
            continue
        frames = iter_frames(container, stream, tally)
        first = next((frame for frame in frames if frame.key_frame), None)
        moment = moment_of(first, stream) if first is not None else None
        if first is not None and moment is not None and grid.slot_of(moment) <= slot:
            yield first
            yield from frames
            return
    if slot:
        seek_keyframe(container, stream, Fraction(grid.origin_us, 1_000_000) - 1)
    yield from iter_frames(container, stream, tally)


def seek_keyframe(container: InputContainer, stream: VideoStream, moment_s: Fraction) -> bool:
    """Stand at the last keyframe the index knows before a moment; False when it cannot."""
    assert stream.time_base is not None, "a probed stream has a time base"
    try:
        container.seek(int(moment_s / stream.time_base), stream=stream, backward=True)
    except av.error.FFmpegError:
        return False
    stream.codec_context.flush_buffers()
    return True


class FrameScaler:
    """Makes one picture per wanted size: upright, square pixels, BT.709 4:2:0 studio range.

    `sizes` are displayed sizes, largest first; each is scaled from the one before it.
    """

    def __init__(self, video: VideoInfo, sizes: Sequence[tuple[int, int]]) -> None:
        self._video = video
        self._sizes = tuple(sizes)
        self._shape: tuple[object, ...] = ()
        self._push: FilterContext
        self._sinks: list[FilterContext] = []

    def scale(self, frame: VideoFrame) -> list[VideoFrame]:
        """One frame per size; a source that changes its format midway is followed."""
        shape = (
            frame.width,
            frame.height,
            frame.format.name,
            int(frame.colorspace),
            int(frame.color_range),
        )
        if shape != self._shape:
            self._build(shape)
        # Slots, not source times, stamp the output; the graph must not see times run back.
        frame.pts = None
        self._push.push(frame)
        return [cast("VideoFrame", sink.pull()) for sink in self._sinks]

    def _build(self, shape: tuple[object, ...]) -> None:
        width, height, pix_fmt, colorspace, color_range = shape
        graph = av.filter.Graph()
        graph.threads = 1
        node = graph.add(
            "buffer",
            f"video_size={width}x{height}:pix_fmt={pix_fmt}:time_base=1/90000:pixel_aspect=1/1"
            f":colorspace={colorspace}:range={color_range}",
        )
        self._push = node
        self._sinks = []
        largest_width, largest_height = self._sizes[0]
        if self._video.rotation_deg in (90, 270):
            largest_width, largest_height = largest_height, largest_width
        size = f"{largest_width}:{largest_height}:flags={SCALER}"
        matrix = f"in_color_matrix={self._video.color_matrix}"
        steps = [
            # One field alone, its lines spread again by scaling: no combs, and no frame held back.
            *([("field", "top")] if self._video.is_interlaced else []),
            *self._list_colour_steps(f"{size}:{matrix}"),
            *([("hflip", "")] if self._video.mirrored else []),
            *(("transpose", turn) for turn in TURNS[self._video.rotation_deg]),
            ("setsar", "1"),
        ]
        with self._lend_table() as table:
            for name, arguments in steps:
                node = _chain(graph, node, name, arguments.replace(TABLE, table))
            for index in range(len(self._sizes)):
                node = self._add_output(graph, node, index)
            graph.configure()
        self._shape = shape
        self._graph = graph

    def _list_colour_steps(self, scale: str) -> list[tuple[str, str]]:
        """Scaling to the largest size in BT.709 studio range; HDR goes through its table."""
        studio = "out_color_matrix=bt709:out_range=tv"
        if not self._video.is_hdr:
            return [("scale", f"{scale}:{studio}"), ("format", "yuv420p")]
        return [
            ("scale", scale),
            ("format", "gbrp16"),
            ("lut3d", f"file={TABLE}"),
            ("scale", studio),
            ("format", "yuv420p"),
        ]

    @contextlib.contextmanager
    def _lend_table(self) -> Iterator[str]:
        """The path of the table from high to standard range, which is read when it is opened."""
        if not self._video.is_hdr:
            yield ""
            return
        with tempfile.NamedTemporaryFile("w", prefix="tones-", suffix=".cube") as file:
            file.write(render_cube(self._video.transfer))
            file.flush()
            yield file.name

    def _add_output(self, graph: av.filter.Graph, node: FilterContext, index: int) -> FilterContext:
        """Sink for one size; returns the node from which the next smaller one is scaled."""
        if index:
            width, height = self._sizes[index]
            scaled = graph.add("scale", f"{width}:{height}:flags={SCALER}")
            node.link_to(scaled, 1)
            node = scaled
        sink = graph.add("buffersink")
        self._sinks.append(sink)
        if index == len(self._sizes) - 1:
            node.link_to(sink)
            return node
        split = graph.add("split", "2")
        node.link_to(split)
        split.link_to(sink, 0)
        return split


def describe_scaled(video: VideoInfo) -> VideoInfo:
    """What the pictures are that a FrameScaler made, for one that scales them on."""
    return replace(
        video,
        rotation_deg=0,
        mirrored=False,
        color_matrix="bt709",
        is_hdr=False,
        is_interlaced=False,
    )


def _chain(graph: av.filter.Graph, node: FilterContext, name: str, arguments: str) -> FilterContext:
    following = graph.add(name, arguments or None)
    node.link_to(following)
    return following
