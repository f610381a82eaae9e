"""A publisher's programme from packets to playlists in made-up time, and how a player reads it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from media.live.continuity import Continuity
from media.live.fragments import AUDIO, VIDEO
from media.live.packager import Packager, PackagerTerms
from media.live.packets import WAIT_S
from media.live.playlists import LivePlaylists
from media.live.source import RtpSource
from media.live.window import LiveWindow, PublisherSink
from tests.media.live.packets_stage import Camera, Microphone, Packet
from tests.media.playlist_reading import Listing, read_playlist

EPOCH = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)


@dataclass
class Programme:
    """A camera and a microphone, a packager, a window; `run` lets seconds pass."""

    has_sound: bool = True
    answers_keyframes: bool = True
    gen: int = 1
    window: LiveWindow = field(default_factory=lambda: LiveWindow(EPOCH, lambda: None))
    camera: Camera = field(default_factory=Camera)
    microphone: Microphone = field(default_factory=Microphone)
    whole: list[int] = field(default_factory=list)
    keys_asked: int = 0
    now_s: float = 500.0
    lost: frozenset[int] = frozenset()
    """Which pictures, counted from the start, lose their first packet."""
    fps: int = 30
    wait_s: float = WAIT_S
    """So long a missing packet of the picture may still come."""

    def __post_init__(self) -> None:
        self.playlists = LivePlaylists(self.window)
        self._wants_key = True
        self._pictures = 0
        self._due_audio_s = self.now_s
        self.begin()

    def begin(self, *, first: int = 0, offset_ms: int = 0, is_resumed: bool = False) -> None:
        """A publisher comes."""
        terms = PackagerTerms(first, offset_ms, self.has_sound, is_resumed)
        sink = PublisherSink(self.window, str(self.gen), self.whole.append)
        self.packager = Packager(terms, sink, self._ask)
        self.continuity = Continuity(self.packager, self._ask, lambda: self.now_s)
        self.source = RtpSource(self.continuity, self._ask, lambda _index: self.wait_s)
        self._wants_key = True

    def run(self, seconds: float, *, size: int = 300) -> None:
        """Let a publisher send for so long."""
        for _ in range(round(seconds * self.fps)):
            is_key = self._wants_key
            self._wants_key = False
            packets = self.camera.shoot(is_key=is_key, size=size)
            self.camera.timestamp += 90_000 // self.fps - 3000
            if self._pictures in self.lost:
                packets = packets[1:]
            self._pictures += 1
            self.show(packets)
            self.now_s += 1 / self.fps
            while self.has_sound and self._due_audio_s <= self.now_s:
                self._due_audio_s += 0.02
                self.hear(self.microphone.record())

    def show(self, packets: list[Packet]) -> None:
        """Send packets of the picture."""
        self.source.add_packets("video", packets, self.now_s)

    def hear(self, packets: list[Packet]) -> None:
        """Send packets of the sound."""
        self.source.add_packets("audio", packets, self.now_s)

    def _ask(self) -> None:
        self.keys_asked += 1
        self._wants_key = self._wants_key or self.answers_keyframes

    def read(self, track: str = VIDEO, *, is_delta: bool = False) -> Listing:
        """Fetch and read a playlist."""
        return read_playlist(self.playlists.render(track, is_delta=is_delta).body.decode())


def iterate_fragments(data: bytes) -> Iterator[tuple[int, int, list[bool]]]:
    """Each fragment's decode time, its length, and which of its samples are keyframes."""
    at = 0
    while (at := data.find(b"tfdt", at)) >= 0:
        (base,) = struct.unpack_from(">Q", data, at + 8)
        run = data.index(b"trun", at)
        flags, count = struct.unpack_from(">II", data, run + 4)
        is_video = bool(flags & 0x800)
        size = 16 if is_video else 8
        rows = [
            struct.unpack_from(">III" if is_video else ">II", data, run + 16 + n * size)
            for n in range(count)
        ]
        keys = [row[2] == 0x02000000 if is_video else True for row in rows]
        yield base, sum(row[0] for row in rows), keys
        at = run


def check_contiguous(window: LiveWindow, track: str) -> None:
    """Fragments follow one another without hole or overlap, except at discontinuities."""
    end = None
    for entry in window.list_entries(track):
        for position, part in enumerate(entry.parts):
            ((base, length, _keys),) = iterate_fragments(part.data)
            if end is not None and not (entry.is_discontinuous and position == 0):
                assert base == end, f"{track} {entry.number}.{position}"
            assert length == part.duration_ticks
            end = base + length


__all__ = ["AUDIO", "VIDEO", "Programme", "check_contiguous", "iterate_fragments"]
