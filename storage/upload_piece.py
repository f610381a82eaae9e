"""The piece of an upload that is arriving: chunks as they came, until there are enough of them.

`upload_sinks.py` stores them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from storage.objects import Chunk

SMALL_BYTES = 64 << 10


class Piece:
    """Collects chunks as they came: joining and cutting megabytes costs more than writing them."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._missing_bytes = size_bytes
        self.chunks: list[Chunk] = []

    def add(self, data: bytes) -> Iterator[list[Chunk]]:
        """Yield the chunks of every piece that became whole."""
        while len(data) >= self._missing_bytes:
            self.chunks.append(data[: self._missing_bytes])
            data = data[self._missing_bytes :]
            whole, self.chunks = self.chunks, []
            self._missing_bytes = self._size_bytes
            yield whole
        if data:
            keep_chunk(self.chunks, data)
            self._missing_bytes -= len(data)


def keep_chunk(chunks: list[Chunk], data: bytes) -> None:
    """Put it behind the others; small ones share one, so a body byte by byte is no heap of them."""
    last = chunks[-1] if chunks else None
    if isinstance(last, bytearray) and len(last) < SMALL_BYTES:
        last += data
    else:
        chunks.append(bytearray(data) if len(data) < SMALL_BYTES else data)
