"""A recording with its AAC in a folder, as an edge serves it; sound that swells."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from media.live.recording import publish_recording
from media.vod.publish import Publication
from media.vod.records import TaskRecord, track_key
from tests.media.live.recorded_stage import Broadcast
from tests.media.playlist_reading import read_playlist

RATE_HZ = 48_000
Sound = np.ndarray[Any, np.dtype[np.float32]]


def encode_opus(wave: Sound, bit_rate: int = 192_000) -> list[bytes]:
    """Packets of 20 ms of a (n,) wave, left; the right side has half of it."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE_HZ, "stereo", "flt"
    encoder.bit_rate = bit_rate
    encoder.open()
    packets = []
    for at in range(0, len(wave) - 959, 960):
        sides = np.stack([wave[at : at + 960], wave[at : at + 960] / 2], axis=1)
        plane = np.ascontiguousarray(sides.reshape(1, -1), dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(plane, format="flt", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def make_swell(seconds: int) -> Sound:
    """A chord that gets louder and softer, seven times in ten seconds."""
    at = np.arange(seconds * RATE_HZ) / RATE_HZ
    chord = np.sin(2 * np.pi * 440 * at) + np.sin(2 * np.pi * 1130 * at)
    loudness = 0.175 - 0.125 * np.cos(2 * np.pi * 0.7 * at)
    return (chord * loudness).astype(np.float32)


@dataclass
class Made:
    """A recording with its AAC, laid out in a folder as an edge serves it."""

    cast: Broadcast
    folder: Path
    segments_max: int = 2
    ladder: Sequence[str] = ()
    """Which smaller pictures are made, too."""
    video_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    publication: Publication = field(init=False)
    records: dict[str, TaskRecord] = field(init=False)

    def __post_init__(self) -> None:
        pieces = self.cast.make_aac(self.video_id, self.cast.rows, segments_max=self.segments_max)
        if self.ladder:
            pieces |= self.cast.make_rungs(self.video_id, self.cast.rows, self.ladder)
        self.records = {**self.cast.run_tasks(self.video_id, self.cast.rows), **pieces}
        self.publication = publish_recording(self.cast.rows, self.records)
        for name, data in self.publication.files.items():
            (self.folder / name).write_bytes(data)
        for track in self.publication.tracks.values():
            (self.folder / track.name).mkdir()
            names = [part.init_name for part in track.parts]
            for name in [*names, *(f"{it.number:05d}.m4s" for it in track.segments)]:
                key = track_key(self.video_id, track.name, name)
                data = self.cast.store.get_sync(self.publication.keys.get((track.name, name), key))
                (self.folder / track.name / name).write_bytes(data)

    def list_lengths(self, track: str) -> list[float]:
        listing = read_playlist(self.publication.files[f"{track}.m3u8"].decode())
        return [segment.duration_s for segment in listing.segments]

    def hear(self, playlist: str) -> Sound:
        """What FFmpeg decodes of a playlist: (n, 2) at 48,000 Hz, from its first moment on."""
        command = ["ffmpeg", "-v", "error", "-allowed_extensions", "ALL"]
        command += ["-i", str(self.folder / playlist), "-map", "0:a:0"]
        command += ["-f", "f32le", "-ar", str(RATE_HZ), "-ac", "2", "-"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        assert done.stderr == b""
        return np.frombuffer(done.stdout, np.float32).reshape(-1, 2)
