"""A picture of HEVC as RTP payloads (RFC 7798): single units, fragments, parameter sets together.

Pure; `rtp.py` calls it. One access unit at a time, without decoding order numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from media.live.hevc import NAL_VPS, nal_type

AGGREGATE, FRAGMENT = 48, 49
_HEADER_BYTES = 2
_FU_BYTES = 3


def list_hevc_payloads(nals: Sequence[bytes], sets: Sequence[bytes], size_max: int) -> list[bytes]:
    """Return the payloads of a picture's NAL units; `sets` go first, in one packet if they fit."""
    payloads: list[bytes] = []
    together = _HEADER_BYTES + sum(2 + len(nal) for nal in sets)
    if len(sets) > 1 and together <= size_max:
        payloads.append(_aggregate(sets))
    else:
        nals = [*sets, *nals]
    for nal in nals:
        payloads += [nal] if len(nal) <= size_max else _split(nal, size_max)
    return payloads


def _aggregate(nals: Sequence[bytes]) -> bytes:
    """Write an aggregation packet, §4.4.2."""
    assert nal_type(nals[0]) == NAL_VPS, "layer and temporal id of parameter sets are the lowest"
    head = bytes([AGGREGATE << 1, 1])
    return head + b"".join(struct.pack(">H", len(nal)) + nal for nal in nals)


def _split(nal: bytes, size_max: int) -> Iterator[bytes]:
    """Write fragments, §4.4.3."""
    room = size_max - _FU_BYTES
    head = bytes([nal[0] & 0x81 | FRAGMENT << 1, nal[1]])
    kind = nal_type(nal)
    for pos in range(_HEADER_BYTES, len(nal), room):
        start = 0x80 if pos == _HEADER_BYTES else 0
        end = 0x40 if pos + room >= len(nal) else 0
        yield head + bytes([start | end | kind]) + nal[pos : pos + room]
