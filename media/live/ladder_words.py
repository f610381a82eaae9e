"""What an edge and a ladder's process say to each other, both ways; no imports of weight.

`ladder_tap.py` speaks on the edge's side, `ladder_child.py` on the other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from media.live.rungs import LiveRung

HEADER = struct.Struct("<BBIHqIHII")
"""The fields of a Word, and the bytes that follow."""
FORMAT, PRIME, PART, STILL, DROP, DRAIN = range(6)
"""Orders. FORMAT: another picture format or other rungs, from the next segment on. PRIME: a part to
decode that has its rungs already. PART: a part to make rungs of. STILL: a part in whose place the
last picture stands. DROP: a rung that is made no more. DRAIN: nothing more comes for now."""
INIT, MADE, MADE_KEY = range(10, 13)
"""Answers. INIT: a rung's parameter sets. MADE, MADE_KEY: a part of a rung; with a keyframe."""
RUNG_TABLE = struct.Struct("<BHHIBB")
"""Number, width, height, bits per second, one of how many frames, level."""
CODECS = ("h264", "hevc", "av1")
"""Of sources; rungs are H.264."""
SIZE = struct.Struct("<HH")
"""In front of an INIT's avcC payload."""
BODY_BYTES_MAX = 16 << 20
"""A larger part is not handed over."""


class Word(NamedTuple):
    """One order or answer, its bytes apart."""

    kind: int
    rung: int = 0
    number: int = 0
    """Of the segment."""
    position: int = 0
    """Of the part within it."""
    ticks: int = 0
    """Where it begins in the live, in 1/90,000 s."""
    duration: int = 0
    pictures: int = 0
    key_bytes: int = 0

    def pack(self, body: bytes = b"") -> bytes:
        """Return header and body."""
        return HEADER.pack(*self, len(body)) + body


def pack_format(rungs: Sequence[tuple[int, LiveRung]], codec: str, config: bytes) -> bytes:
    """Write FORMAT's body: rungs by number, the source's codec and its box's payload."""
    rows = (
        RUNG_TABLE.pack(number, r.width, r.height, r.bitrate_bps, r.every, r.level)
        for number, r in rungs
    )
    return bytes((len(rungs),)) + b"".join(rows) + bytes((CODECS.index(codec),)) + config


def unpack_format(body: bytes) -> tuple[list[tuple[int, LiveRung]], str, bytes]:
    """Read FORMAT's body; rungs have no names here."""
    end = 1 + body[0] * RUNG_TABLE.size
    rows = [RUNG_TABLE.unpack_from(body, at) for at in range(1, end, RUNG_TABLE.size)]
    return (
        [(number, LiveRung("", *shape)) for number, *shape in rows],
        CODECS[body[end]],
        body[end + 1 :],
    )
