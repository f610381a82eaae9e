"""Reads what a viewer says of when packets arrived (transport-wide feedback, see `arrivals`).

Called by `delivery` with what `rtcp` cut out of a compound packet. Pure; strangers write this.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.sfu.arrivals import NOT_RECEIVED, REFERENCE_TICKS, SMALL_DELTA, TICKS_PER_S

HEAD_BYTES = 8
STATUSES_READ_MAX = 2048
"""Half a minute of a slow live, a second of a fast one; receivers report ten times a second."""
RESERVED_STATUS = 3
REFERENCES = 1 << 24
"""After so many references (12 days) the receiver's clock begins anew."""


@dataclass(frozen=True, slots=True)
class ArrivalReport:
    """Arrivals of the numbers from `first` on, in seconds of the receiver's clock; None: lost."""

    first: int
    arrivals: list[float | None]


def parse_arrival_fci(fci: bytes, statuses_max: int = STATUSES_READ_MAX) -> ArrivalReport | None:
    """Read one message (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).

    None when its lengths contradict one another, or when it tells of more packets than are read.
    """
    if len(fci) < HEAD_BYTES:
        return None
    count = int.from_bytes(fci[2:4], "big")
    read = _read_statuses(fci, count) if 0 < count <= statuses_max else None
    if read is None:
        return None
    statuses, at = read
    size = len(fci)
    ticks = int.from_bytes(fci[4:7], "big") * REFERENCE_TICKS
    arrivals: list[float | None] = []
    for status in statuses:
        if status == NOT_RECEIVED:
            arrivals.append(None)
            continue
        end = at + (1 if status == SMALL_DELTA else 2)
        if status == RESERVED_STATUS or end > size:
            return None
        if status == SMALL_DELTA:
            ticks += fci[at]
        else:
            ticks += int.from_bytes(fci[at:end], "big", signed=True)
        at = end
        arrivals.append(ticks / TICKS_PER_S)
    return ArrivalReport(int.from_bytes(fci[:2], "big"), arrivals)


def _read_statuses(fci: bytes, count: int) -> tuple[list[int], int] | None:
    """Return `count` statuses (§3.1.2 to §3.1.4) and where the deltas begin."""
    statuses: list[int] = []
    at = HEAD_BYTES
    while len(statuses) < count:
        if at + 2 > len(fci):
            return None
        chunk = fci[at] << 8 | fci[at + 1]
        at += 2
        if not chunk & 0x8000:  # A run of one status.
            statuses += [chunk >> 13] * min(chunk & 0x1FFF, count)
        elif chunk & 0x4000:  # Seven statuses of two bits.
            statuses += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:  # Fourteen of one bit.
            statuses += [chunk >> shift & 1 for shift in range(13, -1, -1)]
        if not chunk & 0xBFFF:  # A run of nothing would go on for ever.
            return None
    return statuses[:count], at
