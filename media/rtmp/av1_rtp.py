"""A temporal unit of AV1 as RTP payloads (AOM, "RTP Payload Format For AV1" v1.0, §4).

Pure; `rtp.py` calls it. No dependency descriptor is written, so every packet but a unit's first
begins with a fragment: that is how Chromium tells where a picture begins.
"""

from __future__ import annotations

from media.live.av1 import SEQUENCE_HEADER, find_sequence_header, list_kept, write_leb128
from media.live.samples import VideoSample

BEGINS_SEQUENCE = 0x08
"""N: the first packet of a coded video sequence."""
FIRST_GOES_ON, LAST_GOES_ON = 0x80, 0x40
"""Z and Y: the first element continues an OBU, the last one is continued. W stays 0: all elements
have their length in front."""
_SMALLEST = 2
"""An element of one byte with its length."""


def list_av1_payloads(sample: VideoSample, size_max: int) -> list[bytes]:
    """Return the payloads of a picture; a keyframe brings its sequence header."""
    obus = list_kept(sample.data)
    if sample.is_key and all(obu.kind != SEQUENCE_HEADER for obu in obus):
        obus.insert(0, find_sequence_header(sample.format.config))
    writer = _Writer(size_max)
    for number, obu in enumerate(obus):
        writer.add(obu.head + obu.payload, is_last=number == len(obus) - 1)
    return writer.finish(begins_sequence=sample.is_key)


class _Writer:
    """Fills packets with elements, one after the other."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._payloads: list[bytearray] = [bytearray(1)]

    def add(self, element: bytes, *, is_last: bool) -> None:
        """Add an OBU without its size field."""
        while True:
            packet = self._payloads[-1]
            room = self._size_max - len(packet)
            piece = element[: _count_fitting(room)]
            left = len(element) - len(piece)
            ends_full = not left and room - len(piece) - 2 < _SMALLEST + 1
            if ends_full and not is_last and len(piece) > 1:
                # What follows would begin a packet of its own: this one goes on there instead.
                piece, left = piece[:-1], 1
            packet += write_leb128(len(piece)) + piece
            if not left:
                return
            packet[0] |= LAST_GOES_ON
            self._payloads.append(bytearray([FIRST_GOES_ON]))
            element = element[len(piece) :]

    def finish(self, *, begins_sequence: bool) -> list[bytes]:
        """Return the packets."""
        if begins_sequence:
            self._payloads[0][0] |= BEGINS_SEQUENCE
        return [bytes(packet) for packet in self._payloads if len(packet) > 1]


def _count_fitting(room: int) -> int:
    """How many bytes of an element fit behind their length; lengths are of one or two bytes."""
    return max(1, room - 1 if room - 1 <= 0x7F else room - 2)
