"""Slates: coded pictures that take the place of a publisher who is away, one loop per shape.

The edge owns one book. What a shape looks like is encoded once, in a process of its own, and kept;
the loop of whoever asks is never held up.
"""

from __future__ import annotations

import asyncio
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from kit.logs import get_log
from kit.metrics import LIVE_SLATES_ENCODED
from media.h264_bits import ParameterSetMalformed
from media.live.formats import read_format
from media.live.fragments import SEGMENT_S
from media.live.samples import VIDEO_TIMESCALE, VideoCodec, VideoFormat
from media.vod.ladder import fit_inside
from media.vod.limited_child import ChildLimits, ChildTooSlow, run_child

MODULE = "media.live.slate_child"
LENGTH = struct.Struct(">I")
"""In front of every piece that the process writes."""
SIDE_MAX = 4096
RATES_FPS = (25, 30)
"""Fifty and sixty pictures a second are multiples of these: a still needs no more."""
KEPT_MAX = 64
"""Shapes that are remembered: about 20 KiB each at 1280 by 720."""
ENCODING_MAX = 1
"""Processes at a time: whoever asks for another shape waits."""
RETRY_S = 30.0
"""A shape that could not be encoded is tried again after so long."""
LIMITS = ChildLimits(time_s=60.0, cpu_s=20)
"""A busy machine lets it wait for its turn much longer than it works."""

log = get_log("slates")


@dataclass(frozen=True)
class SlateShape:
    """What a slate has in common with the picture it stands in for."""

    width: int
    height: int
    rate_fps: int
    codec: VideoCodec = "h264"

    @property
    def frame_ticks(self) -> int:
        """How long one picture stands, in 1/90,000 s."""
        return VIDEO_TIMESCALE // self.rate_fps


@dataclass(frozen=True)
class Slate:
    """One loop of coded pictures, the first a keyframe; every picture stands equally long."""

    shape: SlateShape
    format: VideoFormat
    pictures: tuple[bytes, ...]


def decide_shape(picture: VideoFormat, frame_ticks: int) -> SlateShape:
    """Return the shape for a publisher's picture; beyond `SIDE_MAX` it is made smaller."""
    width, height = fit_inside(picture.width, picture.height, SIDE_MAX)
    shown_fps = VIDEO_TIMESCALE / max(1, frame_ticks)
    rate_fps = min(RATES_FPS, key=lambda rate: min(abs(shown_fps - n * rate) for n in (1, 2)))
    return SlateShape(width, height, rate_fps, picture.codec)


class SlateBook:
    """Every slate that was wanted on this edge, those dropped first that nobody wanted longest."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._made: OrderedDict[SlateShape, Slate] = OrderedDict()
        self._making: dict[SlateShape, asyncio.Task[Slate | None]] = {}
        self._failed_s: dict[SlateShape, float] = {}
        self._turns = asyncio.Semaphore(ENCODING_MAX)

    async def get(self, shape: SlateShape) -> Slate | None:
        """Return a slate, encoded now when nobody wanted it before; None: that failed."""
        slate = self._made.get(shape)
        if slate is not None:
            self._made.move_to_end(shape)
            return slate
        if self._now_s() - self._failed_s.get(shape, -RETRY_S) < RETRY_S:
            return None
        task = self._making.get(shape)
        if task is None:
            task = asyncio.create_task(self._make(shape), name="slate")
            self._making[shape] = task
            task.add_done_callback(lambda _task: self._making.pop(shape, None))
        # Shielded: a live that goes on must not take the others' slate with it.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what is being encoded, no longer than its limit allows."""
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    async def _make(self, shape: SlateShape) -> Slate | None:
        async with self._turns:
            try:
                slate = await asyncio.to_thread(_encode, shape)
            except (ChildTooSlow, OSError, ParameterSetMalformed, struct.error) as error:
                log.exception("slate.failed", kind=type(error).__name__)
                slate = None
        LIVE_SLATES_ENCODED.labels("failed" if slate is None else "made").inc()
        if slate is None:
            self._failed_s[shape] = self._now_s()
            return None
        self._failed_s.pop(shape, None)
        self._made[shape] = slate
        while len(self._made) > KEPT_MAX:
            self._made.popitem(last=False)
        return slate


def _encode(shape: SlateShape) -> Slate:
    """Have a child encode one loop; blocks. Raises ChildTooSlow, OSError, struct.error."""
    pictures = round(SEGMENT_S * shape.rate_fps)
    arguments = [shape.codec, str(shape.width), str(shape.height), str(pictures)]
    status, data = run_child(MODULE, arguments, LIMITS)
    if status:
        raise OSError(f"the encoder's process ended with {status}")
    config, *coded = _split(data)
    if len(coded) != pictures:
        raise OSError(f"{len(coded)} pictures of {pictures}")
    form = replace(read_format(shape.codec, config)[0], is_slate=True)
    return Slate(shape, form, tuple(coded))


def _split(data: bytes) -> list[bytes]:
    pieces, at = [], 0
    while at < len(data):
        (size,) = LENGTH.unpack_from(data, at)
        at += LENGTH.size
        pieces.append(data[at : at + size])
        at += size
    if len(pieces) < 2:
        raise OSError("the encoder's process wrote nothing")
    return pieces
