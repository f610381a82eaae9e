"""VP8's payload descriptor (RFC 7741 §4.2): the numbers that must run on when the source changes.

Called by `track` and `fanout`; pure functions over RTP payloads. Receivers order frames by picture
id and TL0PICIDX, so a stream made of several encodings has to count on through all of them.
"""

from __future__ import annotations

from typing import NamedTuple

PICTURE_MASKS = {1: 0x7F, 2: 0x7FFF}
TL0_MASK = 0xFF


class Vp8Numbers(NamedTuple):
    """Picture id and TL0PICIDX of a payload; `tl0` is 0 where it has none."""

    picture: int
    tl0: int


class Vp8Shift(NamedTuple):
    """What is added to both numbers."""

    picture: int = 0
    tl0: int = 0


NO_SHIFT = Vp8Shift()


def read_numbers(payload: bytes) -> Vp8Numbers | None:
    """Return a payload's numbers; None when it has no picture id."""
    at = _find_picture(payload)
    if at is None:
        return None
    size = 2 if payload[at] & 0x80 else 1
    picture = int.from_bytes(payload[at : at + size], "big") & PICTURE_MASKS[size]
    has_tl0 = payload[1] & 0x40 and at + size < len(payload)
    return Vp8Numbers(picture, payload[at + size] if has_tl0 else 0)


def shift_numbers(payload: bytes, shift: Vp8Shift) -> bytes:
    """Return the payload with its numbers moved on, in the width it has."""
    at = _find_picture(payload)
    if at is None:
        return payload
    size = 2 if payload[at] & 0x80 else 1
    mask = PICTURE_MASKS[size]
    picture = (int.from_bytes(payload[at : at + size], "big") + shift.picture) & mask
    moved = bytearray(payload)
    moved[at : at + size] = (picture | (mask + 1 if size == 2 else 0)).to_bytes(size, "big")
    if payload[1] & 0x40 and at + size < len(payload):
        moved[at + size] = (payload[at + size] + shift.tl0) & TL0_MASK
    return bytes(moved)


def decide_shift_after(last: Vp8Numbers | None, first: Vp8Numbers | None) -> Vp8Shift:
    """Return what lets `first` follow `last`; nothing where either has no numbers."""
    if last is None or first is None:
        return NO_SHIFT  # This very object: who sees it leaves payloads as they are.
    picture = (last.picture + 1 - first.picture) & PICTURE_MASKS[2]
    return Vp8Shift(picture, (last.tl0 + 1 - first.tl0) & TL0_MASK)


def read_size(payload: bytes) -> tuple[int, int] | None:
    """Return width and height of a key frame's first payload (RFC 6386 §9.1); None elsewhere."""
    at = 1
    if not payload:
        return None
    if payload[0] & 0x80:
        found = _find_picture(payload)
        at = 2 if len(payload) > 1 else 1
        if found is not None:
            at = found + (2 if payload[found] & 0x80 else 1)
        flags = payload[1] if len(payload) > 1 else 0
        at += bool(flags & 0x40) + bool(flags & 0x30)
    if len(payload) < at + 10 or payload[at + 3 : at + 6] != b"\x9d\x01\x2a":
        return None
    width = int.from_bytes(payload[at + 6 : at + 8], "little") & 0x3FFF
    height = int.from_bytes(payload[at + 8 : at + 10], "little") & 0x3FFF
    return width, height


def _find_picture(payload: bytes) -> int | None:
    """Return where the picture id stands; None when there is none or the payload is cut off."""
    if len(payload) < 3 or not payload[0] & 0x80 or not payload[1] & 0x80:
        return None
    size = 2 if payload[2] & 0x80 else 1
    return 2 if len(payload) >= 2 + size else None
