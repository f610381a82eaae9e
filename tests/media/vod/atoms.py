"""Atoms of MP4 files: read, written, and edit lists put in place of those there are."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

Atom = tuple[bytes, bytes]
"""Its name, and all its bytes."""
HEADER_BYTES = 8


def write_atom(name: bytes, *parts: bytes) -> bytes:
    """Return an atom."""
    data = b"".join(parts)
    return struct.pack(">I4s", HEADER_BYTES + len(data), name) + data


def iter_atoms(data: bytes) -> Iterator[Atom]:
    """Return each atom at this level."""
    place = 0
    while place < len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        yield name, data[place : place + size]
        place += size


def get_atom(data: bytes, *path: bytes) -> bytes:
    """Return the body of the first atom down that path."""
    for wanted in path:
        data = next(atom for name, atom in iter_atoms(data) if name == wanted)[HEADER_BYTES:]
    return data


def map_atoms(data: bytes, wanted: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return the data with the body of each such atom at this level changed."""
    return b"".join(
        write_atom(name, change(atom[HEADER_BYTES:])) if name == wanted else atom
        for name, atom in iter_atoms(data)
    )


def set_edits(data: bytes, edits: Sequence[tuple[float, float]]) -> bytes:
    """Return an MP4 whose every track shows these stretches of its media, (from, to) in seconds.

    ISO/IEC 14496-12, 8.6.6. Its index lies behind its media, so no offset changes.
    """

    def change_movie(moov: bytes) -> bytes:
        (movie_scale,) = struct.unpack_from(">I", get_atom(moov, b"mvhd"), 12)
        return map_atoms(moov, b"trak", lambda trak: change_track(trak, movie_scale))

    def change_track(trak: bytes, movie_scale: int) -> bytes:
        (scale,) = struct.unpack_from(">I", get_atom(trak, b"mdia", b"mdhd"), 12)
        entries = b"".join(
            struct.pack(">IiI", round((end - start) * movie_scale), round(start * scale), 1 << 16)
            for start, end in edits
        )
        listed = write_atom(b"elst", struct.pack(">II", 0, len(edits)), entries)
        return map_atoms(trak, b"edts", lambda _old: listed)

    return map_atoms(data, b"moov", change_movie)
