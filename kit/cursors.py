"""Opaque page cursors: the last row's sort key, URL-safe, refused when it is not ours."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from kit.errors import MalformedRequest

Item = TypeVar("Item")

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
CURSOR_CHARS_MAX = 512


class CursorMalformed(MalformedRequest):
    """The cursor was not made by this API."""

    code, message = "cursor_malformed", "The cursor is not one that this list gave out."


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page of a list and where the next begins (None at the end)."""

    items: Sequence[Item]
    next_cursor: str | None


def encode_cursor(*key: str | int) -> str:
    """Write a sort key as an opaque cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def decode_cursor(cursor: str, length: int) -> list[str | int]:
    """Read a cursor of `length` parts; raises CursorMalformed."""
    if len(cursor) > CURSOR_CHARS_MAX:
        raise CursorMalformed
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = msgspec.json.decode(raw, type=list[str | int])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise CursorMalformed from error
    if len(key) != length:
        raise CursorMalformed
    return key
