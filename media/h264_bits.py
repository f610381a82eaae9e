"""Reading the headers of H.264: bits, Exp-Golomb codes, emulation prevention (ITU-T H.264).

`media/live/h264.py` reads picture sizes with it and `media/h264_slices.py` slice headers.
"""

from __future__ import annotations

PROFILES_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 138, 139, 134, 244})
CODE_BITS_MAX = 32


class ParameterSetMalformed(ValueError):
    """What was read ends early or describes no picture."""


def skip_to_chroma(bits: Bits) -> int:
    """Read past the profile; return chroma_format_idc."""
    profile = bits.read(8)
    bits.read(16)
    bits.read_code()  # seq_parameter_set_id
    if profile not in PROFILES_WITH_CHROMA:
        return 1
    chroma_format = bits.read_code()
    if chroma_format == 3:
        bits.read(1)
    bits.read_code()
    bits.read_code()
    bits.read(1)
    if bits.read(1):
        for number in range(8 if chroma_format != 3 else 12):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return chroma_format


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _entry in range(size):
        if following:
            following = (last + bits.read_signed_code()) % 256
        last = following or last


def unescape(data: bytes) -> bytes:
    """Take out emulation prevention bytes, §7.4.1."""
    return data.replace(b"\x00\x00\x03", b"\x00\x00")


class Bits:
    """Reads bits and Exp-Golomb codes, §9.1."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    @property
    def left(self) -> int:
        """How many bits are unread."""
        return self._left

    def read(self, count: int) -> int:
        """Return the next `count` bits."""
        if count > self._left:
            raise ParameterSetMalformed("the parameter set ends early")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def read_code(self) -> int:
        """Return an unsigned Exp-Golomb code."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > CODE_BITS_MAX:
                raise ParameterSetMalformed("a code is longer than any value")
        return (1 << zeros) - 1 + self.read(zeros)

    def read_signed_code(self) -> int:
        """Return a signed Exp-Golomb code."""
        code = self.read_code()
        return (code + 1) // 2 if code & 1 else -(code // 2)
