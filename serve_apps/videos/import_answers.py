"""What an address answers to an import: whether it is the file, or the rest of the one begun.

Bytes of two files are never joined: the rest is taken only where the answer says that it is of the
same file (RFC 9110: validators 8.8, If-Range 13.1.5, Content-Range 14.4), and of a file that comes
whole once more the beginning is compared with what is there. `importing.py` calls it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from email.utils import parsedate_to_datetime

from kit.errors import AppError, Unavailable
from storage.objects import ObjectStore
from storage.uploads import Upload, UploadObject

OK, PARTIAL, UNSATISFIABLE, TOO_MANY, LATER_FROM = 200, 206, 416, 429, 500
CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.IGNORECASE)
VALIDATOR_CHARS_MAX = 1000
COMPARED_BYTES = 1 << 20
"""Read of what is there at a time."""


class ImportRefused(AppError):
    """What the address answers is no file we can take; the message says why."""

    code, status, message = "import_refused", 422, "There is no video at this address."


class ImportInterrupted(Unavailable):
    """The address did not answer, or stopped midway."""

    code, message = "import_interrupted", "The address did not answer; it is tried again."


class ImportChanged(ImportRefused):
    """The file is not the one that was begun, and what is there of that is of no use."""

    code = "import_changed"
    message = "The file at this address changed while it was fetched; import it again."


class Answer(enum.Enum):
    """What of the file begins with the answer's first byte."""

    WHOLE = enum.auto()
    REST = enum.auto()
    """What is missing."""
    NEITHER = enum.auto()
    """Something that cannot be used, though the file may be there: ask for all of it."""


def read_validator(headers: Mapping[str, str]) -> str | None:
    """Return what tells this file from another that takes its place; None where nothing does.

    A strong ETag; without one a date that is a strong validator (RFC 9110, 8.8.2.2): the file did
    not change within the second in which it was sent.
    """
    tag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    if len(tag) >= 2 and tag[0] == tag[-1] == '"':
        # Bytes beyond ASCII may stand in one, and are kept by no row.
        return tag if len(tag) <= VALIDATOR_CHARS_MAX and tag.isascii() else None
    try:
        sent_at = parsedate_to_datetime(headers.get("Date", ""))
        is_strong = sent_at - parsedate_to_datetime(modified) >= timedelta(seconds=1)
    except (TypeError, ValueError):  # one of them is missing, malformed, or has no zone
        return None
    return modified if is_strong else None


def ask_for_rest(begun: Upload) -> dict[str, str]:
    """Headers that ask for what is missing, if the file is still the same; none: for all of it."""
    if begun.offset_bytes == 0 or begun.validator is None:
        return {}
    return {"Range": f"bytes={begun.offset_bytes}-", "If-Range": begun.validator}


def read_answer(begun: Upload, status: int, headers: Mapping[str, str]) -> Answer:
    """Say what of the file comes; raises ImportRefused, ImportInterrupted, ImportChanged."""
    if status >= LATER_FROM or status == TOO_MANY:
        raise ImportInterrupted
    if status == UNSATISFIABLE and begun.offset_bytes > 0:
        return Answer.NEITHER
    if status == PARTIAL:
        return Answer.REST if _is_rest(begun, headers) else Answer.NEITHER
    if status != OK:
        raise ImportRefused(f"The address answers with {status}.")
    length = headers.get("Content-Length")
    if begun.size_bytes is not None and length is not None and int(length) != begun.size_bytes:
        raise ImportChanged
    return Answer.WHOLE


async def iter_new(
    chunks: AsyncIterator[bytes],
    objects: ObjectStore,
    known: Sequence[UploadObject],
    keep: Callable[[], Awaitable[None]],
) -> AsyncIterator[bytes]:
    """Yield what a whole file has behind the known bytes; raises ImportChanged if it has others.

    `keep` is called at whatever comes while they are compared.
    """
    waiting = bytearray()
    for key, first, stop in _iter_runs(known):
        while len(waiting) < stop - first:
            data = await anext(chunks, b"")
            if not data:
                raise ImportChanged
            waiting += data
            await keep()
        part = await objects.get_part(key, first, stop)
        if part.data != waiting[: stop - first]:
            raise ImportChanged
        del waiting[: stop - first]
    if waiting:
        yield bytes(waiting)
    async for data in chunks:
        yield data


def _iter_runs(known: Sequence[UploadObject]) -> list[tuple[str, int, int]]:
    """Return runs of bytes to be read at a time: the object, the first, and before which."""
    return [
        (one.key, first, min(first + COMPARED_BYTES, one.size_bytes))
        for one in known
        for first in range(0, one.size_bytes, COMPARED_BYTES)
    ]


def _is_rest(begun: Upload, headers: Mapping[str, str]) -> bool:
    """Whether a part of a file is all that is missing of this one."""
    found = CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if found is None or int(found[1]) != begun.offset_bytes:
        return False
    stop_bytes = int(found[2]) + 1
    sizes = {stop_bytes, stop_bytes if found[3] == "*" else int(found[3])}
    if begun.size_bytes is not None:
        sizes.add(begun.size_bytes)
    length = headers.get("Content-Length")
    if length is not None:
        sizes.add(begun.offset_bytes + int(length))
    # A server that knows no If-Range sends a part of whatever is there now.
    is_tag = (begun.validator or "").startswith('"')
    named = headers.get("ETag" if is_tag else "Last-Modified")
    is_same = begun.offset_bytes == 0 or named in (None, begun.validator)
    return is_same and len(sizes) == 1
