"""A text that many ask for over HTTP, with what is worked out of it once for all of them.

Playlists of lives and videos are kept as these, so that hash and compressed form go when the text
goes. One event loop uses it; a large text is worked on beside the loop, in a thread.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from typing import Generic, TypeVar

ASIDE_FROM_BYTES = 64 << 10
"""Less is worked on at once: it takes less than a millisecond (a 12 h playlist: 26 ms)."""
GZIP_LEVEL = 6

Made = TypeVar("Made")


class SharedText:
    """Bytes of a text; `body` never changes."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._hash = _Once(_hash, body)
        self._gzip = _Once(_compress, body)

    async def hash(self) -> str:
        """Return the SHA-256, in hexadecimal digits."""
        return await self._hash.get()

    async def compress(self) -> bytes:
        """Return it as gzip, the same bytes each time."""
        return await self._gzip.get()

    @property
    def hashed(self) -> int:
        """How many times it was hashed."""
        return self._hash.made

    @property
    def compressed(self) -> int:
        """How many times it was compressed."""
        return self._gzip.made


class _Once(Generic[Made]):
    """What is made of a text when somebody first asks for it."""

    def __init__(self, make: Callable[[bytes], Made], body: bytes) -> None:
        self.made = 0
        self._make = make
        self._body = body
        self._value: Made | None = None
        self._making: asyncio.Task[Made] | None = None

    async def get(self) -> Made:
        """Return it; who asks while it is made waits for the same."""
        if self._value is not None:
            return self._value
        if len(self._body) < ASIDE_FROM_BYTES:
            self.made += 1
            self._value = self._make(self._body)
            return self._value
        if self._making is None:
            self._making = asyncio.create_task(self._make_aside(), name="shared-text")
        # Shielded: who asked first and goes away must not take the others' answer along.
        return await asyncio.shield(self._making)

    async def _make_aside(self) -> Made:
        self.made += 1
        try:
            value = self._value = await asyncio.to_thread(self._make, self._body)
            return value
        finally:
            self._making = None


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _compress(body: bytes) -> bytes:
    return gzip.compress(body, GZIP_LEVEL, mtime=0)
