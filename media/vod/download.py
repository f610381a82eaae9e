"""One MP4 file out of a rung and the sound, laid out over their stored segments without copying.

The edge asks for the layout and sends it, whole or in ranges. Headers are joined and track numbers
set at the places where `media/cmaf.py` writes them; samples are never touched.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from media.vod.hls import Track
from media.vod.records import segment_name, track_key

MOVIE_TIMESCALE = 1000
AUDIO_ID = 2
TKHD_ID_AT = 20
TREX_ID_AT = 12
MFHD_NUMBER_AT = 20
"""Behind moof's header: mfhd's own, its version and flags."""
TFHD_ID_AT = 44
"""Behind moof's and mfhd (24 bytes), traf's header, tfhd's header, version and flags."""


@dataclass(frozen=True)
class Piece:
    """A stored segment's place in the file, and what it becomes there."""

    key: str
    start: int
    size_bytes: int
    number: int
    track_id: int


@dataclass(frozen=True)
class Download:
    """The file: its header's bytes, then pieces one after the other."""

    header: bytes
    pieces: tuple[Piece, ...]

    @property
    def size_bytes(self) -> int:
        """Size of the whole file."""
        return len(self.header) + sum(piece.size_bytes for piece in self.pieces)


def plan_download(video_id: str, tracks: Sequence[Track], inits: Sequence[bytes]) -> Download:
    """Lay a rung and perhaps the sound out by time; `inits` are their init segments."""
    length_s = max(track.duration_s for track in tracks)
    header = join_headers(inits, round(length_s * MOVIE_TIMESCALE))
    at, pieces = len(header), []
    for number, (key, size_bytes, track_id) in enumerate(_iter_by_time(video_id, tracks)):
        pieces.append(Piece(key, at, size_bytes, number + 1, track_id))
        at += size_bytes
    return Download(header, tuple(pieces))


def join_headers(inits: Sequence[bytes], duration_ticks: int) -> bytes:
    """One ftyp and moov for all tracks, numbered from one in their order."""
    boxes = [dict(_iter_boxes(init)) for init in inits]
    movies = [dict(_iter_boxes(found[b"moov"])) for found in boxes]
    tracks, defaults = b"", _box(b"mehd", struct.pack(">II", 0, duration_ticks))
    for track_id, movie in enumerate(movies, 1):
        children = [
            (kind, _set(body, TKHD_ID_AT - 8, track_id) if kind == b"tkhd" else body)
            for kind, body in _iter_boxes(movie[b"trak"])
        ]
        tracks += _box(b"trak", b"".join(_box(kind, body) for kind, body in children))
        ((_kind, trex),) = _iter_boxes(movie[b"mvex"])
        defaults += _box(b"trex", _set(trex, TREX_ID_AT - 8, track_id))
    head = movies[0][b"mvhd"]
    head = _set(head, len(head) - 4, len(movies) + 1)
    movie = _box(b"mvhd", head) + tracks + _box(b"mvex", defaults)
    return _box(b"ftyp", boxes[0][b"ftyp"]) + _box(b"moov", movie)


def adapt_segment(data: bytes, piece: Piece) -> bytes:
    """The segment as it stands in the file: its fragment's number and track set."""
    moof_at = int.from_bytes(data[:4], "big")
    assert data[moof_at + 4 : moof_at + 8] == b"moof", "a segment is styp, moof and mdat"
    data = _set(data, moof_at + MFHD_NUMBER_AT, piece.number)
    return _set(data, moof_at + TFHD_ID_AT, piece.track_id)


def _iter_by_time(video_id: str, tracks: Sequence[Track]) -> Iterator[tuple[str, int, int]]:
    lines = [
        [
            (
                segment.start_ticks / track.parts[0].timescale,
                track_id,
                track_key(video_id, track.name, segment_name(segment.number)),
                segment.size_bytes,
            )
            for segment in track.segments
        ]
        for track_id, track in enumerate(tracks, 1)
    ]
    for _start_s, track_id, key, size_bytes in heapq.merge(*lines):
        yield key, size_bytes, track_id


def _iter_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size_bytes = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + size_bytes]
        at += size_bytes


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def _set(data: bytes, at: int, number: int) -> bytes:
    return data[:at] + struct.pack(">I", number) + data[at + 4 :]
