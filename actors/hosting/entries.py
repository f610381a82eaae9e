"""Entries of durable channels, and the batches in which they are stored. Plain values."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

Sender = tuple[uuid.UUID, str]
"""Who sent something and their own id of it: the same again is a repeat."""


class Known(NamedTuple):
    """Under which id and number something sent is stored, and as what kind of entry."""

    entry_id: uuid.UUID
    seq: int
    kind: str = ""


Repeats = dict[Sender, Known]


class Entry(msgspec.Struct, frozen=True):
    """One numbered line of a durable channel; `client_id` is its sender's own id of it."""

    seq: int
    id: uuid.UUID
    kind: str
    user_id: uuid.UUID | None
    client_id: str | None
    body: dict[str, Any]
    created_at: datetime

    @property
    def sender(self) -> Sender | None:
        """Who sent it under which id of their own; None for what the object wrote by itself."""
        if self.user_id is None or self.client_id is None:
            return None
        return (self.user_id, self.client_id)


class Batch(msgspec.Struct, frozen=True):
    """What one object wants written in this tick, whole or not at all.

    `change` is what its kind writes together with one of the entries, at most one per batch.
    """

    entries: tuple[Entry, ...]
    change: Any
