"""What a live must know of HEVC: parameter sets, picture size, the hvcC box (ITU-T H.265).

Pure functions over bytes; `formats.py` calls them once per configuration that a publisher sends.
Slices are never looked into.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from media.h264_bits import Bits, ParameterSetMalformed, unescape
from media.live.samples import VideoFormat

NAL_VPS, NAL_SPS, NAL_PPS = 32, 33, 34
NAL_DELIMITER, NAL_FILLER = 35, 38
NAL_SEI = 39
DROPPED = frozenset({NAL_VPS, NAL_SPS, NAL_PPS, NAL_DELIMITER, NAL_FILLER})
HEADER_BYTES = 22
"""Of an hvcC payload, before the number of its arrays."""
SIDE_MAX = 16_384
SETS_MAX = 64


def nal_type(nal: bytes) -> int:
    """Return the type of a NAL unit, §7.4.2.2."""
    return nal[0] >> 1 & 0x3F


def build_format(record: bytes) -> tuple[VideoFormat, int]:
    """Return the format of an hvcC payload, and the bytes of a NAL unit's length with its sender.

    Ours says four bytes, and lists parameter sets and SEI alone. Raises ParameterSetMalformed.
    """
    if len(record) <= HEADER_BYTES or record[0] != 1:
        raise ParameterSetMalformed("an HEVC configuration is cut off")
    nals = _read_arrays(record)
    for kind in (NAL_VPS, NAL_SPS, NAL_PPS):
        if not any(nal_type(nal) == kind for nal in nals):
            raise ParameterSetMalformed("a parameter set is missing")
    sps = next(nal for nal in nals if nal_type(nal) == NAL_SPS)
    width, height = read_size(sps)
    config = record[: HEADER_BYTES - 1] + bytes([record[HEADER_BYTES - 1] | 3])
    kinds = [k for k in (NAL_VPS, NAL_SPS, NAL_PPS, NAL_SEI) if any(nal_type(n) == k for n in nals)]
    config += bytes([len(kinds)])
    for kind in kinds:
        found = [nal for nal in nals if nal_type(nal) == kind]
        config += struct.pack(">BH", 0x80 | kind, len(found))
        config += b"".join(struct.pack(">H", len(nal)) + nal for nal in found)
    return VideoFormat(width, height, config, codec="hevc"), (record[HEADER_BYTES - 1] & 3) + 1


def list_sets(config: bytes) -> list[bytes]:
    """Return the parameter sets of an hvcC payload that `build_format` wrote."""
    return [nal for nal in _read_arrays(config) if nal_type(nal) != NAL_SEI]


def drop_sets(nals: Sequence[bytes]) -> list[bytes]:
    """Return a picture without what an hvc1 track has no place for (ISO/IEC 14496-15 §8.4.1)."""
    return [nal for nal in nals if nal_type(nal) not in DROPPED]


def read_size(sps: bytes) -> tuple[int, int]:
    """Return the cropped width and height, §7.3.2.2.1; raises ParameterSetMalformed."""
    bits = Bits(unescape(sps[2:]))
    bits.read(4)
    sub_layers = bits.read(3)
    bits.read(1)
    _skip_profile(bits, sub_layers)
    bits.read_code()  # sps_seq_parameter_set_id
    chroma_format = bits.read_code()
    if chroma_format == 3:
        bits.read(1)
    width, height = bits.read_code(), bits.read_code()
    left = right = top = bottom = 0
    if bits.read(1):
        left, right, top, bottom = (bits.read_code() for _side in range(4))
    across = 2 if chroma_format in (1, 2) else 1
    down = 2 if chroma_format == 1 else 1
    width -= across * (left + right)
    height -= down * (top + bottom)
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX):
        raise ParameterSetMalformed(f"a picture of {width} by {height}")
    return width, height


def _skip_profile(bits: Bits, sub_layers: int) -> None:
    """Read past profile_tier_level, §7.3.3."""
    bits.read(96)
    present = [(bits.read(1), bits.read(1)) for _layer in range(sub_layers)]
    if sub_layers:
        bits.read(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.read(88 * has_profile + 8 * has_level)


def _read_arrays(record: bytes) -> list[bytes]:
    """Return the NAL units of an hvcC payload, ISO/IEC 14496-15 §8.3.3.1.2: parameter sets, SEI."""
    found: list[bytes] = []
    at = HEADER_BYTES + 1
    try:
        for _array in range(record[HEADER_BYTES]):
            (count,) = struct.unpack_from(">H", record, at + 1)
            at += 3
            for _unit in range(count):
                (size,) = struct.unpack_from(">H", record, at)
                at += 2
                if size < 3 or at + size > len(record) or len(found) >= SETS_MAX:
                    raise ParameterSetMalformed("a parameter set is cut off")
                found.append(record[at : at + size])
                at += size
    except struct.error as error:
        raise ParameterSetMalformed("an HEVC configuration is cut off") from error
    return [nal for nal in found if nal_type(nal) in (NAL_VPS, NAL_SPS, NAL_PPS, NAL_SEI)]
