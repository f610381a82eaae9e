"""How many people watch each room right now: written by room hosts, read by the API.

A hint with an expiry in the cache, never a row: a host that dies leaves its counts for at most
COUNT_TTL_S, and without the cache nobody knows them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from storage.cache import Cache

COUNT_TTL_S = 75.0


async def write_viewer_counts(cache: Cache, counts: Mapping[uuid.UUID, int]) -> bool:
    """Keep the counts of some rooms; False when they may be lost."""
    values = {_make_key(room_id): str(count).encode() for room_id, count in counts.items()}
    return await cache.set_many(values, COUNT_TTL_S)


async def read_viewer_counts(cache: Cache, room_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return the counts that are known, in one round trip; rooms without one are left out."""
    values = await cache.get_many([_make_key(room_id) for room_id in room_ids])
    return {
        room_id: int(value)
        for room_id, value in zip(room_ids, values, strict=True)
        if value is not None and value.isdigit()
    }


def _make_key(room_id: uuid.UUID) -> str:
    return f"viewers:{room_id}"
