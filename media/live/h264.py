"""What a live must know of H.264: parameter sets, picture size, the avcC box (ITU-T H.264).

Pure functions over bytes; `packets.py` calls them once per keyframe that brings other parameter
sets. Slices are never looked into.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from media.h264_bits import Bits, ParameterSetMalformed, skip_to_chroma, unescape
from media.live.samples import VideoFormat

NAL_IDR = 5
NAL_SPS = 7
NAL_PPS = 8
NAL_DELIMITER = 9
NAL_FILLER = 12
SIDE_MAX = 16_384


def nal_type(nal: bytes) -> int:
    """Return the type of a NAL unit, §7.4.1."""
    return nal[0] & 0x1F


def build_format(sps: bytes, pictures: Sequence[bytes]) -> VideoFormat:
    """Return the format of one sequence and its picture parameter sets.

    Raises ParameterSetMalformed.
    """
    if len(sps) < 4 or not pictures:
        raise ParameterSetMalformed("a parameter set is missing or cut off")
    width, height = read_size(sps)
    config = b"".join(
        (
            # avcC, ISO/IEC 14496-15 §5.3.3.1.2: version, profile, compatibility, level, lengths of
            # four bytes, one SPS.
            bytes((1, sps[1], sps[2], sps[3], 0xFF, 0xE1)),
            struct.pack(">H", len(sps)),
            sps,
            bytes((len(pictures),)),
            *(struct.pack(">H", len(pps)) + pps for pps in pictures),
            _chroma_fields(sps),
        )
    )
    return VideoFormat(width, height, config)


def join_nals(nals: Sequence[bytes]) -> bytes:
    """Write NAL units as an MP4 sample has them, each behind its length."""
    return b"".join(piece for nal in nals for piece in (struct.pack(">I", len(nal)), nal))


def read_size(sps: bytes) -> tuple[int, int]:
    """Return the cropped width and height, §7.3.2.1.1; raises ParameterSetMalformed."""
    bits = Bits(unescape(sps[1:]))
    chroma_format = skip_to_chroma(bits)
    bits.read_code()  # log2_max_frame_num
    _skip_order_count(bits)
    bits.read_code()  # max_num_ref_frames
    bits.read(1)
    width_blocks = bits.read_code() + 1
    height_units = bits.read_code() + 1
    frame_only = bits.read(1)
    if not frame_only:
        bits.read(1)
    bits.read(1)
    left = right = top = bottom = 0
    if bits.read(1):
        left, right, top, bottom = (bits.read_code() for _side in range(4))
    across = 2 if chroma_format in (1, 2) else 1
    down = (2 if chroma_format == 1 else 1) * (2 - frame_only)
    width = width_blocks * 16 - across * (left + right)
    height = height_units * 16 * (2 - frame_only) - down * (top + bottom)
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX):
        raise ParameterSetMalformed(f"a picture of {width} by {height}")
    return width, height


def _skip_order_count(bits: Bits) -> None:
    kind = bits.read_code()
    if kind == 0:
        bits.read_code()
    elif kind == 1:
        bits.read(1)
        bits.read_code()
        bits.read_code()
        count = bits.read_code()
        if count > 255:
            raise ParameterSetMalformed("too many reference frames in a picture order cycle")
        for _frame in range(count):
            bits.read_code()


def _chroma_fields(sps: bytes) -> bytes:
    """What avcC carries besides for the high profiles: chroma format and bit depths."""
    if sps[1] not in (100, 110, 122, 144):
        return b""
    bits = Bits(unescape(sps[4:]))
    bits.read_code()
    chroma_format = bits.read_code()
    if chroma_format == 3:
        bits.read(1)
    luma, chroma = bits.read_code(), bits.read_code()
    return bytes((0xFC | chroma_format & 3, 0xF8 | luma & 7, 0xF8 | chroma & 7, 0))
