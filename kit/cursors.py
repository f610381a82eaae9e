"""Pages of lists, and their opaque cursors: the last row's sort key, URL-safe, ours alone.

Lists ask storage for one row more than a page holds; `cut_page` turns that row into the cursor.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec

from kit.errors import MalformedRequest
from kit.ids import parse_id

Item = TypeVar("Item")

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
CURSOR_CHARS_MAX = 512
NUMBER_MAX = (1 << 63) - 1
"""What a bigint column holds."""


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
    if any(isinstance(part, int) and abs(part) > NUMBER_MAX for part in key):
        raise CursorMalformed
    return key


def cut_page(
    found: Sequence[Item], limit: int, read_key: Callable[[Item], tuple[str | int, ...]]
) -> Page[Item]:
    """Cut one page from a list that was asked for one row more; `read_key` reads the sort key."""
    items = found[:limit]
    return Page(items, encode_cursor(*read_key(items[-1])) if len(found) > limit else None)


def read_id_cursor(cursor: str | None) -> uuid.UUID | None:
    """Read the cursor of a list sorted by id; raises CursorMalformed."""
    if cursor is None:
        return None
    last = parse_id(str(decode_cursor(cursor, 1)[0]))
    if last is None:
        raise CursorMalformed
    return last


def make_moment_key(moment: datetime, row_id: uuid.UUID) -> tuple[str, str]:
    """Make the sort key of a list sorted by moment, then id."""
    return moment.isoformat(), str(row_id)


def read_moment_cursor(cursor: str | None) -> tuple[datetime, uuid.UUID] | None:
    """Read the cursor of a list sorted by moment, then id; raises CursorMalformed."""
    if cursor is None:
        return None
    text, last_text = decode_cursor(cursor, 2)
    last = parse_id(str(last_text))
    try:
        moment = datetime.fromisoformat(str(text))
        if last is None or moment.tzinfo is None:
            raise CursorMalformed
        return moment.astimezone(UTC), last
    except (ValueError, OverflowError) as error:
        raise CursorMalformed from error
