"""AMF0, the encoding of RTMP's commands (Adobe, "AMF 0", 2007); pure, and bounded everywhere.

Objects become dicts, arrays lists, undefined and null None, dates their milliseconds. Decoding
costs no more than the bytes given: depth, items and lengths are limited.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from media.rtmp.errors import RtmpMalformed

DEPTH_MAX = 8
ITEMS_MAX = 1024

AmfValue = None | bool | float | str | Mapping[str, "AmfValue"] | Sequence["AmfValue"]

_NUMBER, _BOOLEAN, _STRING, _OBJECT = 0x00, 0x01, 0x02, 0x03
_NULL, _UNDEFINED, _ECMA_ARRAY, _OBJECT_END = 0x05, 0x06, 0x08, 0x09
_STRICT_ARRAY, _DATE, _LONG_STRING = 0x0A, 0x0B, 0x0C

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_F64 = struct.Struct(">d")
_DATE_BYTES = 10


def decode_amf0(data: bytes) -> list[AmfValue]:
    """Read every value; raises RtmpMalformed."""
    reader = _Reader(data)
    values = []
    try:
        while reader.pos < len(data):
            values.append(reader.read(0))
    except (struct.error, IndexError) as error:
        raise RtmpMalformed("an AMF value is cut short") from error
    return values


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.pos = 0
        self._data = data
        self._items = 0

    def read(self, depth: int) -> AmfValue:
        """Read one value with its marker."""
        self._items += 1
        if depth > DEPTH_MAX or self._items > ITEMS_MAX:
            raise RtmpMalformed("an AMF value is too deep or too large")
        marker = self._data[self.pos]
        self.pos += 1
        if marker in {_NULL, _UNDEFINED}:
            return None
        if marker == _BOOLEAN:
            return self._data[self._skip(1)] != 0
        if marker == _NUMBER:
            return float(_F64.unpack_from(self._data, self._skip(8))[0])
        if marker == _DATE:
            return float(_F64.unpack_from(self._data, self._skip(_DATE_BYTES))[0])
        if marker == _STRING:
            return self._read_text(_U16.unpack_from(self._data, self._skip(2))[0])
        if marker == _LONG_STRING:
            return self._read_text(_U32.unpack_from(self._data, self._skip(4))[0])
        return self._read_many(marker, depth)

    def _read_many(self, marker: int, depth: int) -> AmfValue:
        if marker == _STRICT_ARRAY:
            count = _U32.unpack_from(self._data, self._skip(4))[0]
            if count > ITEMS_MAX:
                raise RtmpMalformed("an AMF array is too long")
            return [self.read(depth + 1) for _ in range(count)]
        if marker == _ECMA_ARRAY:
            self._skip(4)  # a count that writers get wrong; the end marker decides
        elif marker != _OBJECT:
            raise RtmpMalformed(f"AMF type {marker} is not supported")
        return self._read_pairs(depth)

    def _read_pairs(self, depth: int) -> dict[str, AmfValue]:
        found: dict[str, AmfValue] = {}
        while True:
            length = _U16.unpack_from(self._data, self._skip(2))[0]
            if length == 0 and self._data[self.pos] == _OBJECT_END:
                self.pos += 1
                return found
            name = self._read_text(length)
            found[name] = self.read(depth + 1)

    def _read_text(self, length: int) -> str:
        start = self._skip(length)
        if self.pos > len(self._data):
            raise RtmpMalformed("an AMF string is cut short")
        return self._data[start : self.pos].decode("utf-8", "replace")

    def _skip(self, count: int) -> int:
        """Move on by `count` bytes; return where they begin."""
        start, self.pos = self.pos, self.pos + count
        return start


def encode_amf0(*values: AmfValue) -> bytes:
    """Write values one after another."""
    return b"".join(_encode(value) for value in values)


def _encode(value: AmfValue) -> bytes:
    if value is None:
        return bytes([_NULL])
    if isinstance(value, bool):
        return bytes([_BOOLEAN, value])
    if isinstance(value, int | float):
        return bytes([_NUMBER]) + _F64.pack(value)
    if isinstance(value, str):
        return bytes([_STRING]) + _encode_name(value)
    if isinstance(value, Mapping):
        pairs = b"".join(_encode_name(name) + _encode(each) for name, each in value.items())
        return bytes([_OBJECT]) + pairs + b"\0\0" + bytes([_OBJECT_END])
    items = b"".join(_encode(each) for each in value)
    return bytes([_STRICT_ARRAY]) + _U32.pack(len(value)) + items


def _encode_name(text: str) -> bytes:
    encoded = text.encode()
    return _U16.pack(len(encoded)) + encoded
