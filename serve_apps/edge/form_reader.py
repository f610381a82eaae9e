"""Reads a form with one file (multipart/form-data, RFC 7578): its words, and the file as a stream.

`form_uploads.py` calls it. Of the file no more than a chunk is in memory. It knows no rules.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Self, TypeGuard

from aiohttp import BodyPartReader, ClientError, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from kit.errors import AppError
from kit.logs import get_log

log = get_log("uploads")

FILE_FIELD = "file"
CHUNK_BYTES = 256 << 10
FIELD_BYTES_MAX = 32 << 10
FIELD_TIMEOUT_S = 30.0


class FormInvalid(AppError):
    """The form lacks its file, or holds something that is not known."""

    code, status, message = "form_invalid", 400, "The form cannot be read as an upload."


class FormBroken(AppError):
    """The form ended before its end, or is malformed; nothing of it was kept."""

    code, status, message = "form_broken", 400, "The form is incomplete or malformed."


BROKEN = (ValueError, RuntimeError, ConnectionError, ClientError, HttpProcessingError)
"""What aiohttp raises for a form that ends early or is none."""


@contextlib.contextmanager
def _own_errors() -> Iterator[None]:
    """Say aiohttp's errors in our words."""
    try:
        yield
    except BROKEN as error:
        log.info("upload.form_broken", reason=type(error).__name__)
        raise FormBroken from error


class PartSource:
    """The bytes of a part as they come; `close` it in the end."""

    def __init__(self, part: BodyPartReader) -> None:
        self._part = part
        self._reading: asyncio.Task[bytes] | None = None

    is_waiting = False
    """What has come is still to be taken out of the form."""

    async def read(self) -> bytes:
        """Return what came next, empty at the end of the part."""
        while True:
            # Being cancelled amid a chunk, aiohttp's reader would forget what it had of it.
            if self._reading is None:
                self._reading = asyncio.create_task(self._part.read_chunk(CHUNK_BYTES))
            with _own_errors():
                data = await asyncio.shield(self._reading)
            self._reading = None
            if data or self._part.at_eof():
                return data

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._reading


class FormReader:
    """One form: `words` grow while it is read, before the file and after it."""

    def __init__(self, parts: MultipartReader, known: frozenset[str]) -> None:
        self._parts = parts
        self._known = known
        self.words: dict[str, str] = {}

    @classmethod
    async def open(cls, request: web.Request, known: frozenset[str]) -> Self:
        """Begin to read a request's form; raises FormBroken where it is none."""
        with _own_errors():
            return cls(await request.multipart(), known)

    async def find_file(self) -> BodyPartReader:
        """Read on to the file; raises FormInvalid, FormBroken."""
        part = await self._read_words()
        if part is None:
            raise FormInvalid(f"The form has no field “{FILE_FIELD}” with a file.")
        return part

    async def read_rest(self) -> None:
        """Read the words after the file, to the form's end; raises FormInvalid, FormBroken."""
        if await self._read_words() is not None:
            raise FormInvalid("A form brings one file; send another for each.")

    async def _read_words(self) -> BodyPartReader | None:
        """Read fields until a file, or None at the end of the form."""
        while True:
            try:
                with _own_errors():
                    async with asyncio.timeout(FIELD_TIMEOUT_S):
                        part = await self._parts.next()
                        if part is None or _is_file(part):
                            return part
                        await self._keep(part)
            except TimeoutError as error:
                raise FormBroken("The rest of the form did not arrive in time.") from error

    async def _keep(self, part: BodyPartReader | MultipartReader) -> None:
        if not isinstance(part, BodyPartReader):
            raise FormInvalid("A form holds fields, not further forms.")
        name = part.name or ""
        if name not in self._known:
            # Taken in silence, a misspelt “visibility” would publish what was to be private.
            raise FormInvalid(f"There is no field “{name[:40]}”.", known=sorted(self._known))
        if name in self.words:
            raise FormInvalid(f"The field “{name}” comes twice.")
        data = bytearray()
        while piece := await part.read_chunk():
            data += piece
            if len(data) > FIELD_BYTES_MAX:
                raise FormInvalid(f"The field “{name}” is longer than {FIELD_BYTES_MAX} bytes.")
        self.words[name] = data.decode().replace("\0", "")


def _is_file(part: BodyPartReader | MultipartReader) -> TypeGuard[BodyPartReader]:
    return isinstance(part, BodyPartReader) and part.name == FILE_FIELD
