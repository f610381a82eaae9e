"""The source of a video: upload parts joined into one object, hashed on the way.

The assemble task calls it once an upload is complete. The parts stay until their rows go.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.vod.source import MediaUnreadable
from storage.objects import JoinedObject, ObjectStore


@dataclass(frozen=True)
class AssembleJob:
    """Parts in order, and the object they become."""

    video_id: str
    part_keys: tuple[str, ...]
    source_key: str
    size_bytes: int
    """What the uploader announced."""


def assemble_source(job: AssembleJob, store: ObjectStore) -> JoinedObject:
    """Join the parts; raises MediaUnreadable when the size is not the announced one."""
    joined = store.join_sync(job.part_keys, job.source_key)
    if joined.size_bytes != job.size_bytes:
        store.delete_sync(job.source_key)
        raise MediaUnreadable(
            f"The upload is incomplete: {joined.size_bytes} of {job.size_bytes} bytes arrived."
        )
    return joined
