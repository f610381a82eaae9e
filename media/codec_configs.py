"""Configuration boxes of H.264, AV1, VP9 and HEVC, and the names that players ask for.

Pure; whoever writes an init segment of such a track calls it. Sources: AV1 ISOBMFF binding §2.3
and AV1 bitstream §5.5; webmproject "VP Codec ISO Media File Format Binding"; ISO/IEC 14496-15 §8.3
and annex E (hvcC and its CODECS name).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from media.cmaf import avc_codec_name

OBU_SEQUENCE_HEADER = 1
OBU_TEMPORAL_DELIMITER = 2
LEVEL_WITH_TIER = 7
HEVC_PARAMETER_SETS = (32, 33, 34)
AVC_SEI, AVC_DELIMITER = 6, 9
AVC_PARAMETER_SETS = (7, 8)
AVC_PLAIN_PROFILES = (66, 77, 88)
"""Whose configuration says nothing of chroma and depth."""
LENGTH_BYTES = 4
VP9_LEVELS = (
    (10, 829_440, 36_864),
    (11, 2_764_800, 73_728),
    (20, 4_608_000, 122_880),
    (21, 9_216_000, 245_760),
    (30, 20_736_000, 552_960),
    (31, 36_864_000, 983_040),
    (40, 83_558_400, 2_228_224),
    (41, 160_432_128, 2_228_224),
    (50, 311_951_360, 8_912_896),
    (51, 588_251_136, 8_912_896),
    (52, 1_176_502_272, 8_912_896),
)
"""Level, luma samples per second, luma samples per picture (webmproject.org/vp9/levels)."""


@dataclass(frozen=True)
class CodecConfig:
    """A track's configuration box without its header, and its name in CODECS attributes."""

    payload: bytes
    name: str


def describe_av1(unit: bytes) -> CodecConfig:
    """From a temporal unit that begins with a sequence header; 8 bit 4:2:0 as we encode."""
    header = next((obu for kind, obu in _iter_obus(unit) if kind == OBU_SEQUENCE_HEADER), None)
    assert header is not None, "a keyframe's unit carries the sequence header"
    bits = _Bits(header[_count_obu_header(header) :])
    profile = bits.take(3)
    bits.take(1)
    assert bits.take(1) == 0, "a video has no reduced still picture header"
    assert bits.take(1) == 0, "the encoder writes no timing info"
    bits.take(1)
    assert bits.take(5) == 0, "there is one operating point"
    bits.take(12)
    level = bits.take(5)
    tier = bits.take(1) if level > LEVEL_WITH_TIER else 0
    subsampled = 0x0C
    payload = bytes([0x81, profile << 5 | level, tier << 7 | subsampled, 0]) + header
    return CodecConfig(payload, f"av01.{profile}.{level:02d}{'MH'[tier]}.08")


def name_av1_config(config: bytes) -> str:
    """CODECS name of an av1C payload, AV1 ISOBMFF §5: profile, level, tier, bits of a sample."""
    profile, level, tier = config[1] >> 5, config[1] & 0x1F, config[2] >> 7
    depth = 8 if not config[2] & 0x40 else 12 if config[2] & 0x20 else 10
    return f"av01.{profile}.{level:02d}{'MH'[tier]}.{depth:02d}"


def name_hevc_config(config: bytes) -> str:
    """CODECS name of an hvcC payload, as `describe_hevc` gives it."""
    return _name_hevc(config[1:13])


def strip_delimiters(unit: bytes) -> bytes:
    """A temporal unit without its delimiters, which have no place in a file."""
    return b"".join(obu for kind, obu in _iter_obus(unit) if kind != OBU_TEMPORAL_DELIMITER)


def strip_notes(unit: bytes) -> bytes:
    """An H.264 picture without SEI: x264 notes its version and settings whenever it begins anew."""
    return b"".join(
        len(part).to_bytes(LENGTH_BYTES, "big") + part
        for part in _iter_units(unit)
        if part[0] & 0x1F != AVC_SEI
    )


def describe_avc(extradata: bytes) -> CodecConfig:
    """From parameter sets behind start codes: avcC (ISO/IEC 14496-15 §5.3.3.1)."""
    units = _split_units(extradata)
    sets = [next(unit for unit in units if unit[0] & 0x1F == kind) for kind in AVC_PARAMETER_SETS]
    sps, pps = sets
    payload = b"\1" + sps[1:4] + bytes([0xFC | LENGTH_BYTES - 1])
    payload += b"\xe1" + struct.pack(">H", len(sps)) + sps
    payload += b"\1" + struct.pack(">H", len(pps)) + pps
    if sps[1] not in AVC_PLAIN_PROFILES:
        payload += bytes([0xFC | 1, 0xF8, 0xF8, 0])  # 4:2:0 of 8 bit
    return CodecConfig(payload, avc_codec_name(payload))


def measure_units(data: bytes) -> bytes:
    """An H.264 picture behind start codes as files have it: lengths, no parameter sets, no SEI."""
    return b"".join(
        len(unit).to_bytes(LENGTH_BYTES, "big") + unit
        for unit in _split_units(data)
        if unit[0] & 0x1F not in (*AVC_PARAMETER_SETS, AVC_SEI, AVC_DELIMITER)
    )


def describe_vp9(width: int, height: int, fps: Fraction) -> CodecConfig:
    """Profile 0, 8 bit 4:2:0 in BT.709; the level is the smallest that holds size and rate."""
    pixels = width * height
    levels = (level for level, rate, size in VP9_LEVELS if pixels * fps <= rate and pixels <= size)
    level = next(levels, VP9_LEVELS[-1][0])
    payload = struct.pack(">IBBBBBBH", 1 << 24, 0, level, 8 << 4 | 1 << 1, 1, 1, 1, 0)
    return CodecConfig(payload, f"vp09.00.{level:02d}.08.01.01.01.01.00")


def describe_hevc(extradata: bytes) -> CodecConfig:
    """From parameter sets, each behind its length in four bytes."""
    units = {unit[0] >> 1 & 0x3F: unit for unit in _iter_units(extradata)}
    assert set(HEVC_PARAMETER_SETS) <= set(units), "x265 with global headers writes all three"
    sps = _drop_emulation(units[33])
    general = sps[3:15]
    nested = sps[2] & 1
    depths = bytes([0xFC | 1, 0xF8, 0xF8])  # 4:2:0 of 8 bit
    rest = bytes([0, 0, 1 << 3 | nested << 2 | LENGTH_BYTES - 1, len(HEVC_PARAMETER_SETS)])
    payload = b"\1" + general + b"\xf0\0\xfc" + depths + rest
    for kind in HEVC_PARAMETER_SETS:
        unit = units[kind]
        payload += struct.pack(">BHH", 0x80 | kind, 1, len(unit)) + unit
    return CodecConfig(payload, _name_hevc(general))


def _name_hevc(general: bytes) -> str:
    """ISO/IEC 14496-15 annex E.3: profile, reversed compatibility, tier and level, constraints."""
    space, tier, profile = general[0] >> 6, general[0] >> 5 & 1, general[0] & 0x1F
    compatible = int(f"{int.from_bytes(general[1:5], 'big'):032b}"[::-1], 2)
    constraints = general[5:11].rstrip(b"\0")
    parts = [
        "hvc1",
        f"{['', 'A', 'B', 'C'][space]}{profile}",
        f"{compatible:X}",
        f"{'LH'[tier]}{general[11]}",
        *(f"{byte:X}" for byte in constraints),
    ]
    return ".".join(parts)


def _split_units(data: bytes) -> list[bytes]:
    """What lies between start codes (ITU-T H.264 annex B); zeros before one are its own."""
    return [unit for part in data.split(b"\0\0\1") if (unit := part.rstrip(b"\0"))]


def _iter_units(data: bytes) -> list[bytes]:
    units, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
        units.append(data[at + LENGTH_BYTES : at + LENGTH_BYTES + length])
        at += LENGTH_BYTES + length
    return units


def _drop_emulation(unit: bytes) -> bytes:
    return unit.replace(b"\0\0\3", b"\0\0")


def _iter_obus(unit: bytes) -> list[tuple[int, bytes]]:
    """Kind and bytes of each OBU; all of ours carry their size."""
    found, at = [], 0
    while at < len(unit):
        kind = unit[at] >> 3 & 0xF
        assert unit[at] & 2, "an OBU of an encoder says its size"
        size, used = _read_leb128(unit, at + 1 + (unit[at] >> 2 & 1))
        end = used + size
        found.append((kind, unit[at:end]))
        at = end
    return found


def _count_obu_header(obu: bytes) -> int:
    _size, used = _read_leb128(obu, 1 + (obu[0] >> 2 & 1))
    return used


def _read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """The number, and where what follows it begins."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


class _Bits:
    """Reads a bitstream from its first bit on."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        """The next bits as a number."""
        self._left -= count
        return self._value >> self._left & (1 << count) - 1
