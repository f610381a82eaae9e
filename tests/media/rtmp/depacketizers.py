"""RTP payloads of HEVC and AV1 back to pictures, apart from the code under test.

Written from RFC 7798 §4.4 and the AV1 RTP payload format §4.3 to §4.5.
"""

from __future__ import annotations

from collections.abc import Sequence


def join_hevc(payloads: Sequence[bytes]) -> bytes:
    """Return a picture's NAL units behind start codes."""
    found: list[bytes] = []
    for payload in payloads:
        kind = payload[0] >> 1 & 0x3F
        if kind == 48:
            at = 2
            while at < len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                found.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == 49:
            if payload[2] & 0x80:
                found.append(bytes([payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]]))
            found[-1] += payload[3:]
        else:
            found.append(payload)
    return b"".join(b"\0\0\0\1" + nal for nal in found)


def join_av1(payloads: Sequence[bytes]) -> bytes:
    """Return a temporal unit whose OBUs carry their sizes."""
    elements: list[bytes] = []
    goes_on = False
    for payload in payloads:
        head, at = payload[0], 1
        assert bool(head & 0x80) == goes_on, "Z says what Y of the packet before said"
        pieces = []
        count = head >> 4 & 3
        while at < len(payload):
            size = len(payload) - at
            if not count or len(pieces) < count - 1:
                size, at = _read_leb128(payload, at)
            pieces.append(payload[at : at + size])
            at += size
        assert at == len(payload), "elements fill their packet"
        if head & 0x80:
            elements[-1] += pieces.pop(0)
        elements += pieces
        goes_on = bool(head & 0x40)
    assert not goes_on, "a picture ends with its last packet"
    return b"".join(map(_add_size, elements))


def _add_size(element: bytes) -> bytes:
    assert not element[0] & 2, "OBUs travel without their size"
    head = 2 if element[0] & 4 else 1
    size, found = len(element) - head, bytearray()
    while True:
        found.append(size & 0x7F | (0x80 if size > 0x7F else 0))
        size >>= 7
        if not size:
            break
    return bytes([element[0] | 2]) + element[1:head] + bytes(found) + element[head:]


def _read_leb128(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
