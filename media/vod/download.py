"""One MP4 file out of a rung and the sound, laid out over their stored segments without copying.

The edge asks for the layout and sends it, whole or in ranges. Headers are joined, and track numbers
and times set, at the places where `media/cmaf.py` writes them; samples are never touched, except
that a picture which changes midway has its parameter sets put before keyframes.
"""

from __future__ import annotations

import hashlib
import heapq
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from media.cmaf import SAMPLE_IS_NOT_SYNC
from media.vod.hls import Track
from media.vod.records import segment_name, track_key

MOVIE_TIMESCALE = 1000
TKHD_ID_AT = 20
TREX_ID_AT = 12
MFHD_NUMBER_AT = 20
"""Behind moof's header: mfhd's own, its version and flags."""
TFHD_FLAGS_AT = 40
TFHD_ID_AT = 44
"""Behind moof's and mfhd (24 bytes), traf's header, tfhd's header, version and flags."""
TFHD_FIELD_AT = 48
"""Flags that all samples have; rows of the picture's run say their own, so it is free for another
field."""
TFHD_DEFAULT_BASE_IS_MOOF_AND_DESCRIPTION = 0x020002
TFDT_TIME_AT = 64
TRUN_COUNT_AT = 84
TRUN_ROWS_AT = 92
TRUN_ROW_BYTES = 16
"""Of the picture: duration, size, flags, composition offset."""
FRAGMENTS_MAX = 1000
"""Of one segment: what keeps their numbers apart. No live has more parts in four seconds."""
STSD_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
VISUAL_BYTES = 78
"""Before the boxes within a picture's description (ISO/IEC 14496-12 §12.1.3)."""
HVCC_BYTES, AV1C_BYTES = 23, 4
"""Before the parameter sets of HEVC, the OBUs of AV1."""


@dataclass(frozen=True)
class Piece:
    """A stored segment's place in the file, and what it becomes there."""

    key: str
    start: int
    size_bytes: int
    number: int
    """Of its first fragment."""
    track_id: int
    earlier_ticks: int = 0
    """By how much it plays before its own times."""
    description: int = 0
    """Which of several descriptions its picture has; 0 where there is one."""
    sets: bytes = b""
    """Parameter sets that go before its first sample."""


@dataclass(frozen=True)
class Download:
    """The file: its header's bytes, then pieces one after the other."""

    header: bytes
    pieces: tuple[Piece, ...]

    @property
    def size_bytes(self) -> int:
        """Size of the whole file."""
        return len(self.header) + sum(piece.size_bytes for piece in self.pieces)

    def hash_content(self) -> str:
        """Name what is in it, in hexadecimal digits: the same wherever it is laid out.

        Stored segments do not change under their keys. CPU time by length.
        """
        found = hashlib.sha256(self.header)
        for piece in self.pieces:
            place = (piece.size_bytes, piece.track_id, piece.earlier_ticks, piece.description)
            found.update(f"{piece.key} {place} ".encode() + piece.sets)
        return found.hexdigest()


def plan_download(video_id: str, tracks: Sequence[Track], inits: Sequence[bytes]) -> Download:
    """Lay a rung and perhaps the sound out by time; `inits` are their init segments."""
    length_s = max(track.duration_s for track in tracks)
    header = join_headers(inits, round(length_s * MOVIE_TIMESCALE))
    at, pieces = len(header), []
    for number, (key, size_bytes, track_id) in enumerate(_iter_by_time(video_id, tracks)):
        pieces.append(Piece(key, at, size_bytes, number * FRAGMENTS_MAX + 1, track_id))
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
    """The segment as it stands in the file: its fragments' numbers, track and times set."""
    whole, at, count = bytearray(data), 0, 0
    while at < len(whole):
        size_bytes, kind = _read(whole, at), whole[at + 4 : at + 8]
        if kind == b"moof":
            _adapt_fragment(whole, at, piece, count)
            count += 1
        elif kind == b"mdat" and count == 1 and piece.sets:
            size_bytes += len(piece.sets)
            struct.pack_into(">I", whole, at, size_bytes)
            whole[at + 8 : at + 8] = piece.sets
        at += size_bytes
    assert 0 < count <= FRAGMENTS_MAX, "a segment is one fragment or a few"
    return bytes(whole)


def merge_descriptions(inits: Sequence[bytes]) -> bytes:
    """One init segment whose picture may look like that of any: sample descriptions in order.

    The largest picture's says how large the player is.
    """
    entries = [read_description(init) for init in inits]
    largest = max(inits, key=read_pixels)
    table = struct.pack(">II", 0, len(entries)) + b"".join(entries)
    return _replace(largest, (*STSD_PATH, b"stsd"), table)


def read_description(init: bytes) -> bytes:
    """The sample description of an init segment's one track."""
    return _find(init, (*STSD_PATH, b"stsd"))[8:]


def read_pixels(init: bytes) -> int:
    """The size of an init segment's picture."""
    width, height = struct.unpack(">II", _find(init, (b"moov", b"trak", b"tkhd"))[-8:])
    return int(width >> 16) * int(height >> 16)


def read_parameter_sets(init: bytes) -> bytes:
    """What of an init segment's configuration a sample carries that follows another picture's.

    SPS and PPS of H.264, all sets of HEVC, each behind its length in four bytes (ISO/IEC 14496-15
    §5.3.3, §8.3.3); the OBUs of AV1.
    """
    boxes = dict(_iter_boxes(read_description(init)[8 + VISUAL_BYTES :]))
    if b"av1C" in boxes:
        return boxes[b"av1C"][AV1C_BYTES:]
    if b"hvcC" in boxes:
        return _read_hevc_sets(boxes[b"hvcC"])
    config = boxes[b"avcC"]
    sets, at = b"", 5
    for mask in (0x1F, 0xFF):
        count, at = config[at] & mask, at + 1
        for _ in range(count):
            taken, at = _read_set(config, at)
            sets += taken
    return sets


def _read_hevc_sets(config: bytes) -> bytes:
    sets, at = b"", HVCC_BYTES
    for _array in range(config[HVCC_BYTES - 1]):
        (count,) = struct.unpack_from(">H", config, at + 1)
        at += 3
        for _ in range(count):
            taken, at = _read_set(config, at)
            sets += taken
    return sets


def _read_set(config: bytes, at: int) -> tuple[bytes, int]:
    """A parameter set behind its length in four bytes, and where the next one is."""
    (size_bytes,) = struct.unpack_from(">H", config, at)
    end = at + 2 + size_bytes
    return struct.pack(">I", size_bytes) + config[at + 2 : end], end


def _adapt_fragment(whole: bytearray, moof_at: int, piece: Piece, count: int) -> None:
    """Set one fragment's number, track, time, and what its picture needs to be decoded."""
    struct.pack_into(">I", whole, moof_at + MFHD_NUMBER_AT, piece.number + count)
    struct.pack_into(">I", whole, moof_at + TFHD_ID_AT, piece.track_id)
    (time_ticks,) = struct.unpack_from(">Q", whole, moof_at + TFDT_TIME_AT)
    moved_ticks = max(0, time_ticks - piece.earlier_ticks)
    struct.pack_into(">Q", whole, moof_at + TFDT_TIME_AT, moved_ticks)
    if not piece.description:
        return
    flags = TFHD_DEFAULT_BASE_IS_MOOF_AND_DESCRIPTION
    struct.pack_into(">I", whole, moof_at + TFHD_FLAGS_AT, flags)
    struct.pack_into(">I", whole, moof_at + TFHD_FIELD_AT, piece.description)
    rows_at = moof_at + TRUN_ROWS_AT
    for row in range(_read(whole, moof_at + TRUN_COUNT_AT)):
        row_at = rows_at + row * TRUN_ROW_BYTES
        if row == count == 0:
            struct.pack_into(">I", whole, row_at + 4, _read(whole, row_at + 4) + len(piece.sets))
        else:
            # A player that jumps to a keyframe without parameter sets would not know its own.
            struct.pack_into(">I", whole, row_at + 8, SAMPLE_IS_NOT_SYNC)


def _find(data: bytes, path: Sequence[bytes]) -> bytes:
    """The content of the box at a path."""
    for kind in path:
        data = dict(_iter_boxes(data))[kind]
    return data


def _replace(data: bytes, path: Sequence[bytes], content: bytes) -> bytes:
    """Boxes with the content of the one at a path exchanged."""
    if not path:
        return content
    return b"".join(
        _box(kind, _replace(body, path[1:], content) if kind == path[0] else body)
        for kind, body in _iter_boxes(data)
    )


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


def _read(data: bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _set(data: bytes, at: int, number: int) -> bytes:
    return data[:at] + struct.pack(">I", number) + data[at + 4 :]
