"""A live of real H.264 that is made smaller by the real process, in time of the test's own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import cv2
import numpy as np

from media.codec_configs import describe_av1, describe_hevc, strip_delimiters
from media.live.formats import read_format
from media.live.fragments import VIDEO
from media.live.ladder_lane import LadderLane, LaneTerms, RungTrack
from media.live.ladder_tap import TapRules
from media.live.packager import Packager, PackagerTerms
from media.live.samples import VideoCodec, VideoFormat, VideoSample
from media.live.window import Entry, LiveWindow, PublisherSink
from media.vod.codecs import give_back_priority
from tests.media.live.packets_stage import Packet, cut_nal, join_aggregate
from tests.media.live.programme import EPOCH

DEADLINE_S = 60
GLOBAL_HEADER = 1 << 22


ENCODERS = {
    "h264": (
        "libx264",
        {
            "preset": "ultrafast",
            "x264-params": "annexb=0:scenecut=0:bframes={b}:keyint={key}:b-adapt=0",
        },
    ),
    "hevc": (
        "libx265",
        {
            "preset": "ultrafast",
            "x265-params": "annexb=0:repeat-headers=0:scenecut=0:bframes={b}:keyint={key}"
            ":min-keyint={key}:b-adapt=0:log-level=error:info=0:pools=none:frame-threads=1"
            ":open-gop=0",
        },
    ),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "lp=1:scd=0"}),
}


@dataclass(frozen=True)
class Film:
    """Pictures whose brightness says which they are."""

    width: int = 640
    height: int = 360
    fps: int = 30
    b_frames: int = 0
    key_every: int = 60
    codec: VideoCodec = "h264"

    def encode(self, count: int) -> tuple[VideoFormat, list[VideoSample]]:
        """Return so many pictures in the order they are decoded, from time zero on.

        Without B-frames a shorter film is the beginning of a longer one: each is encoded once.
        """
        known = _ENCODED.get(self)
        if known is None or len(known[1]) < count or (self.b_frames and len(known[1]) > count):
            known = _ENCODED[self] = self._encode(count)
        return known[0], known[1][:count]

    def _encode(self, count: int) -> tuple[VideoFormat, list[VideoSample]]:
        encoder, options = ENCODERS[self.codec]
        codec = av.CodecContext.create(encoder, "w")
        codec.width, codec.height, codec.pix_fmt = self.width, self.height, "yuv420p"
        codec.time_base, codec.framerate = Fraction(1, self.fps), Fraction(self.fps)
        codec.flags |= GLOBAL_HEADER
        codec.gop_size = self.key_every
        codec.options = {
            key: value.format(b=self.b_frames, key=self.key_every) for key, value in options.items()
        }
        codec.open()
        give_back_priority()
        step = 90_000 // self.fps
        packets = []
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(self.draw(number), format="gray")
            frame = frame.reformat(format="yuv420p")
            frame.pts = number
            packets += codec.encode(frame)
        packets += codec.encode(None)
        placed = [(packet.dts or 0, packet.pts or 0, packet) for packet in packets]
        lead = -min(dts for dts, _pts, _packet in placed)
        form = self._describe(bytes(codec.extradata or b""), bytes(packets[0]))
        clean = strip_delimiters if self.codec == "av1" else bytes
        return form, [
            VideoSample(
                form,
                clean(bytes(packet)),
                (dts + lead) * step,
                (pts + lead) * step,
                packet.is_keyframe,
            )
            for dts, pts, packet in placed
        ]

    def _describe(self, extradata: bytes, first: bytes) -> VideoFormat:
        """Return the format from what the encoder says at once, or with its first picture."""
        record = extradata
        if self.codec == "hevc":
            record = describe_hevc(extradata).payload
        elif self.codec == "av1":
            record = describe_av1(first).payload
        return read_format(self.codec, record)[0]

    def draw(self, number: int) -> np.ndarray:
        """Return a picture: (height, width) uint8."""
        picture = np.full((self.height, self.width), 20, np.uint8)
        picture[:, : self.width // 2] = level_of(number)
        cv2.putText(picture, str(number), (self.width // 2, 80), 0, 2, 255, 3)
        return picture


_ENCODED: dict[Film, tuple[VideoFormat, list[VideoSample]]] = {}


def level_of(number: int) -> int:
    """Return how bright a picture is on its left."""
    return 30 + 20 * (number % 10)


@dataclass
class LadderStage:
    """A live's window, its packager, a lane with rungs."""

    sides: Sequence[int] = (240, 144)
    now_s: float = 100.0
    window: LiveWindow = field(default_factory=lambda: LiveWindow(EPOCH, lambda: None))
    stills: int = 0
    lateness_s: list[float] = field(default_factory=list)
    niceness: int = 0
    """Of the process: where all cores are busy, one that steps back gets hardly any time."""

    def __post_init__(self) -> None:
        self.begin(PackagerTerms(0, 0, has_sound=False, is_resumed=False))
        self.tracks: dict[int, RungTrack] = {}

    def begin(self, terms: PackagerTerms) -> None:
        """A publisher comes."""
        sink = PublisherSink(self.window, "1", lambda _number: None)
        self.packager = Packager(terms, sink, lambda: None)

    def open(self) -> LadderLane:
        """Begin the lane."""
        process = TapRules(niceness=self.niceness)
        terms = LaneTerms(lambda: self.now_s, self._note_still, self.lateness_s.append, process)
        self.lane = LadderLane(self.window, terms)
        for side in self.sides:
            self.add(side)
        return self.lane

    def add(self, side: int) -> RungTrack:
        """Have one more rung made."""
        track = self.tracks[side] = RungTrack(side, f"rung{side}", self.window, lambda: None)
        self.lane.add(track)
        return track

    async def send(self, samples: Sequence[VideoSample]) -> None:
        """Publish, as fast as the process makes rungs of it."""
        for position, sample in enumerate(samples):
            self.packager.add_video(sample)
            if position % 15 == 0:
                self.lane.follow()
                await self.settle(10)

    async def finish(self) -> None:
        """The live ends, and everything is made."""
        self.packager.break_off()
        self.window.end()
        await self.until(lambda: all(t.window.is_ended for t in self.lane.rungs.values()))

    async def settle(self, waiting_max: int = 0) -> None:
        """Wait until no more parts than that have no rungs."""
        await self.until(lambda: self.lane.waiting_count <= waiting_max)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Follow the live until something holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not is_so():
                self.lane.follow()
                await asyncio.sleep(0.01)

    def _note_still(self) -> None:
        self.stills += 1


def decode(entries: Sequence[Entry]) -> Iterator[av.VideoFrame]:
    """Decode segments of one format."""
    data = entries[0].init.data + b"".join(entry.join() for entry in entries)
    with av.open(io.BytesIO(data), "r") as container:
        yield from container.decode(video=0)


def read_pictures(window: LiveWindow) -> list[tuple[int, int]]:
    """Decode all segments, each by itself; return when each picture shows, and its brightness."""
    shown = []
    for entry in window.list_entries(VIDEO):
        if not entry.parts:
            continue
        for position, frame in enumerate(decode([entry])):
            assert position or frame.key_frame, "a segment begins with a keyframe"
            assert frame.pts is not None
            level = frame.to_ndarray(format="gray")[:, : frame.width // 4].mean()
            shown.append((frame.pts, round(float(level))))
    return shown


class FilmCamera:
    """Sends a film by RTP, over and over; its keyframes come when the film has them."""

    def __init__(self, film: tuple[VideoFormat, list[VideoSample]]) -> None:
        form, self._samples = film
        self._sets = split_config(form.config)
        self._sent = 0
        self.index = 0
        self.timestamp = 1000

    def shoot(self, *, is_key: bool = False, size: int = 0) -> list[Packet]:
        """The packets of the next picture, whatever is asked for."""
        sample = self._samples[self._sent % len(self._samples)]
        self._sent += 1
        nals = [nal for nal in split_nals(sample.data) if nal[0] & 0x1F in (1, 5)]
        payloads = [join_aggregate(*self._sets)] if sample.is_key else []
        payloads += [piece for nal in nals for piece in cut_nal(nal)]
        packets = [
            Packet(self.index + n, int(n == len(payloads) - 1), self.timestamp, payload)
            for n, payload in enumerate(payloads)
        ]
        self.index += len(payloads)
        self.timestamp += 3000
        return packets


def split_config(config: bytes) -> tuple[bytes, bytes]:
    """Return SPS and PPS of an avcC payload."""
    sps_bytes = int.from_bytes(config[6:8], "big")
    rest = config[9 + sps_bytes :]
    return config[8 : 8 + sps_bytes], rest[2:][: int.from_bytes(rest[:2], "big")]


def split_nals(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units of an MP4 sample."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size
