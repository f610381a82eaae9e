"""Marks that tell strangers apart, so that whoever comes twice to a live is one visitor. Pure.

A mark is made of address and browser and kept no longer than the connection. What leaves the edge
is salted with the live: of two lives nobody can tell that the same stranger came.
"""

from __future__ import annotations

import hashlib
import uuid

from actors.live_room.visitors import MARK_BYTES


def mark_visit(caller: str, agent: str) -> bytes:
    """Return the mark of a stranger at this address with this browser."""
    text = f"{caller}\n{agent}".encode(errors="replace")
    return hashlib.blake2b(text, digest_size=MARK_BYTES).digest()


def salt_visit(room_id: uuid.UUID, mark: bytes) -> bytes:
    """Return the mark as this room hears it; of nothing, nothing."""
    if not mark:
        return b""
    return hashlib.blake2b(mark, digest_size=MARK_BYTES, salt=room_id.bytes).digest()
