"""What an unfinished task has encoded so far, kept in the object store step by step.

The tasks "chunk" and "audio" keep each step before they tell of it, and an attempt after a lost one
goes on behind the last. Steps are the same bytes whoever makes them. They are removed with the
task's record in place; it decides nothing about when that is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeVar

import av
import msgspec

from media.vod.records import unfinished_key, unfinished_prefix
from storage.objects import ObjectStore

T = TypeVar("T")
DIGEST_BYTES = 8


@dataclass(frozen=True)
class Checkpoints:
    """The steps of one task or track; `name` is the folder they are in."""

    store: ObjectStore
    video_id: str
    name: str
    mark: bytes = b""
    """Of what was to be made: what was kept for something else is not found."""

    def find(self, number: int, kind: type[T]) -> T | None:
        """Return what was kept of a step by this build of the encoders, or None."""
        data = self.store.find_sync(unfinished_key(self.video_id, self.name, number))
        if data is None:
            return None
        head, body = BUILD + self.mark, memoryview(data)
        if not data.startswith(head):
            return None
        digest, body = body[len(head) : len(head) + DIGEST_BYTES], body[len(head) + DIGEST_BYTES :]
        if digest != _digest(body):
            return None  # a power cut left a part of it
        return msgspec.msgpack.decode(body, type=kind)

    def keep(self, number: int, step: object) -> None:
        """Keep a step; it survives this process when this returns."""
        body = msgspec.msgpack.encode(step)
        data = b"".join((BUILD, self.mark, _digest(body), body))
        key = unfinished_key(self.video_id, self.name, number)
        self.store.put_sync(key, data, is_durable=False)

    def drop(self) -> None:
        """Remove all of them."""
        self.store.delete_prefix_sync(unfinished_prefix(self.video_id, self.name))


def _digest(body: bytes | memoryview) -> bytes:
    return hashlib.sha256(body).digest()[:DIGEST_BYTES]


def _name_build() -> bytes:
    """Say which encoders these are: others may write other bytes for the same pictures."""
    words = f"{av.__version__} {sorted(av.library_versions.items())}"
    return hashlib.sha256(words.encode()).digest()[:8]


BUILD = _name_build()
