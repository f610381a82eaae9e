"""The index of a file (an MP4's moov box) that a client sent ahead of the bytes before it.

The edge's upload server keeps it, the head start reads it, and it goes with the upload's parts. It
is a hint: whoever uses it compares it with the file's own bytes once they are there.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

from storage.objects import ObjectStore
from storage.uploads import make_parts_prefix

INDEX_BYTES_MAX = 16 << 20
"""An hour of video takes about 4 MB."""
NAME = "index-"


@dataclass(frozen=True)
class UploadIndex:
    """Where an index lies in its file, the object it is in, and what it is."""

    key: str
    at_bytes: int
    sha256: str


async def keep_index(
    objects: ObjectStore, upload_id: uuid.UUID, at_bytes: int, data: bytes
) -> None:
    """Keep the index of a file; one that was sent before is replaced."""
    digest = await asyncio.to_thread(hashlib.sha256, data)
    for key in await _list_keys(objects, upload_id):
        await objects.delete(key)
    name = f"{NAME}{at_bytes:016d}-{digest.hexdigest()}"
    await objects.put(f"{make_parts_prefix(upload_id)}/{name}", data)


async def find_index(objects: ObjectStore, upload_id: uuid.UUID) -> UploadIndex | None:
    """Return the index that was sent ahead of a file."""
    keys = await _list_keys(objects, upload_id)
    if len(keys) != 1:
        return None
    at_bytes, _dash, sha256 = keys[0].rpartition(NAME)[2].partition("-")
    return UploadIndex(keys[0], int(at_bytes), sha256)


async def is_true_index(objects: ObjectStore, index: UploadIndex, file: Path) -> bool:
    """Whether the file has these very bytes there."""
    data = await objects.get(index.key)
    return await asyncio.to_thread(_read, file, index.at_bytes, len(data)) == data


def _read(file: Path, at_bytes: int, size_bytes: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(at_bytes)
        return opened.read(size_bytes)


async def _list_keys(objects: ObjectStore, upload_id: uuid.UUID) -> list[str]:
    entries = await objects.list(make_parts_prefix(upload_id))
    return [entry.key for entry in entries if entry.key.rpartition("/")[2].startswith(NAME)]
