"""What a live must know of AV1: OBUs, picture size, the av1C box.

Pure functions over bytes; `formats.py` and RTMP's packetizer call them. Frames are never looked
into. Sources: AV1 Bitstream & Decoding Process §5.3 (OBUs), §5.5 (sequence header), §4.10.5
(leb128); AV1 ISOBMFF binding §2.3 (av1C).
"""

from __future__ import annotations

from dataclasses import dataclass

from media.h264_bits import Bits, ParameterSetMalformed
from media.live.samples import VideoFormat

SEQUENCE_HEADER = 1
TEMPORAL_DELIMITER, TILE_LIST, PADDING = 2, 8, 15
CONFIG_BYTES_MAX = 16_384
OBUS_MAX = 1024
SIDE_MAX = 16_384
LEB128_BYTES_MAX = 8
HEAD_BYTES = 4
"""Of an av1C payload, before its OBUs."""


@dataclass(frozen=True, slots=True)
class Obu:
    """One open bitstream unit; `head` is its header without a size."""

    kind: int
    head: bytes
    payload: bytes

    def pack(self) -> bytes:
        """Return it with its size, as files have it."""
        size = write_leb128(len(self.payload))
        return bytes([self.head[0] | 2]) + self.head[1:] + size + self.payload


def read_obus(data: bytes) -> list[Obu]:
    """Return the OBUs of a temporal unit; the last one may come without a size (§5.3.1).

    Raises ParameterSetMalformed.
    """
    found: list[Obu] = []
    at = 0
    while at < len(data):
        first = data[at]
        if first & 0x80 or len(found) >= OBUS_MAX:
            raise ParameterSetMalformed("this is no sequence of OBUs")
        head = data[at : at + 2] if first & 4 else data[at : at + 1]
        at += 2 if first & 4 else 1
        size = len(data) - at
        if first & 2:
            size, at = _read_leb128(data, at)
        if size < 0 or at + size > len(data):
            raise ParameterSetMalformed("an OBU is cut off")
        head = bytes([first & 0xFD]) + head[1:]
        found.append(Obu(first >> 3 & 0x0F, head, data[at : at + size]))
        at += size
    return found


def list_kept(data: bytes) -> list[Obu]:
    """Return what of a temporal unit goes into files and packets; raises ParameterSetMalformed."""
    dropped = (TEMPORAL_DELIMITER, TILE_LIST, PADDING)
    return [obu for obu in read_obus(data) if obu.kind not in dropped]


def build_format(record: bytes) -> VideoFormat:
    """Return the format of an av1C payload; raises ParameterSetMalformed."""
    if len(record) < HEAD_BYTES or record[0] != 0x81 or len(record) > CONFIG_BYTES_MAX:
        raise ParameterSetMalformed("an AV1 configuration is cut off or too long")
    width, height = read_size(find_sequence_header(record).payload)
    return VideoFormat(width, height, record, codec="av1")


def find_sequence_header(config: bytes) -> Obu:
    """Return the sequence header in an av1C payload; raises ParameterSetMalformed."""
    obus = read_obus(config[HEAD_BYTES:])
    header = next((obu for obu in obus if obu.kind == SEQUENCE_HEADER), None)
    if header is None:
        raise ParameterSetMalformed("an AV1 configuration has no sequence header")
    return header


def read_size(header: bytes) -> tuple[int, int]:
    """Return the largest width and height of a sequence, §5.5.1; raises ParameterSetMalformed."""
    bits = Bits(header)
    bits.read(4)  # profile, still picture
    if bits.read(1):
        bits.read(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    if max(width, height) > SIDE_MAX:
        raise ParameterSetMalformed(f"a picture of {width} by {height}")
    return width, height


def write_leb128(value: int) -> bytes:
    """Return a number in as few bytes as it takes."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _skip_operating_points(bits: Bits) -> None:
    delay_bits = None
    if bits.read(1):
        bits.read(64)
        if bits.read(1):
            bits.read_code()  # num_ticks_per_picture_minus_1: uvlc is written as ue(v) is
        if bits.read(1):
            delay_bits = bits.read(5) + 1
            bits.read(42)
    has_display_delay = bits.read(1)
    for _point in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay_bits is not None and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read(1):
            bits.read(4)


def _read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """Return the number, and where what follows it begins."""
    value = 0
    for place in range(LEB128_BYTES_MAX):
        if at + place >= len(data):
            break
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return value, at + place + 1
    raise ParameterSetMalformed("an OBU's size is cut off")
