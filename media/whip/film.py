"""A film as ready-encoded packets that play for ever: read once, never decoded or encoded again.

H.264 without B-frames in Annex B form and Opus, as WebRTC carries them. Timestamps go on rising
from one round to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

VIDEO_HZ = 90_000
AUDIO_HZ = 48_000
FPS = 24


@dataclass(frozen=True)
class Piece:
    """One encoded packet: `pts` in `hz` ticks since the film began."""

    data: bytes
    pts: int
    is_keyframe: bool


@dataclass(frozen=True)
class Film:
    """Both tracks of a film and its length in seconds."""

    video: tuple[Piece, ...]
    audio: tuple[Piece, ...]
    duration_s: Fraction


def encode_for_loop(
    source: Path, target: Path, height: int = 360, bitrate_bps: int = 500_000
) -> Path:
    """Write `source` as constrained-baseline H.264 and Opus with a keyframe a second, once."""
    if target.exists():
        return target
    partial = target.with_suffix(".part.mkv")
    with av.open(str(source)) as reader, av.open(str(partial), "w", format="matroska") as writer:
        picture, tone = reader.streams.video[0], reader.streams.audio[0]
        video = writer.add_stream("libx264", rate=FPS)
        video.width, video.height = picture.width * height // picture.height // 2 * 2, height
        video.pix_fmt, video.bit_rate = "yuv420p", bitrate_bps
        video.options = {"profile": "baseline", "level": "31", "g": str(FPS), "bf": "0"}
        audio = writer.add_stream("libopus", rate=AUDIO_HZ, layout="stereo")
        resample = av.AudioResampler(format="s16", layout="stereo", rate=AUDIO_HZ, frame_size=960)
        due = 0
        for frame in reader.decode(picture, tone):
            if isinstance(frame, av.VideoFrame):
                if frame.time is not None and frame.time * FPS < due:
                    continue
                scaled = frame.reformat(video.width, video.height, "yuv420p")
                scaled.pts, scaled.time_base, due = due, Fraction(1, FPS), due + 1
                writer.mux(video.encode(scaled))
            else:
                for part in resample.resample(frame):
                    writer.mux(audio.encode(part))
        for stream in (video, audio):
            writer.mux(stream.encode(None))
    partial.rename(target)
    return target


def read_film(path: Path) -> Film:
    """Read every packet of a film made by `encode_for_loop`."""
    with av.open(str(path)) as reader:
        video, audio = reader.streams.video[0], reader.streams.audio[0]
        annex_b = av.BitStreamFilterContext("h264_mp4toannexb", video)
        pictures: list[Piece] = []
        tones: list[Piece] = []
        for packet in reader.demux(video, audio):
            if packet.stream is audio and packet.pts is not None:
                tones.append(_read_piece(packet, AUDIO_HZ))
            elif packet.stream is video:
                filtered = annex_b.filter(packet if packet.pts is not None else None)
                pictures += [_read_piece(part, VIDEO_HZ) for part in filtered]
    return Film(tuple(pictures), tuple(tones), Fraction(len(pictures), FPS))


def loop_pieces(pieces: tuple[Piece, ...], duration_s: Fraction, hz: int) -> Iterator[Piece]:
    """Yield the pieces for ever; each round begins where the last one ended."""
    round_ticks = int(duration_s * hz)
    start = 0
    while True:
        for piece in pieces:
            if piece.pts < round_ticks:
                yield Piece(piece.data, start + piece.pts, piece.is_keyframe)
        start += round_ticks


def _read_piece(packet: av.Packet, hz: int) -> Piece:
    assert packet.pts is not None, "the film has timestamps"
    assert packet.time_base is not None, "the film has a time base"
    pts = round(packet.pts * packet.time_base * hz)
    return Piece(bytes(packet), max(pts, 0), bool(packet.is_keyframe))
