"""Task records in the object store: found before a task starts, kept when it has ended.

Every task of a video goes through it, which makes a repeated task cheap and harmless.
"""

from __future__ import annotations

from media.vod.info import decode_json, encode_json
from media.vod.records import TaskRecord, record_key
from storage.objects import ObjectStore


def find_record(video_id: str, task_id: str, store: ObjectStore) -> TaskRecord | None:
    """The record of a finished task, or None."""
    data = store.find_sync(record_key(video_id, task_id))
    return None if data is None else decode_json(data, TaskRecord)


def keep_record(video_id: str, record: TaskRecord, store: ObjectStore) -> TaskRecord:
    """Store the record unless another attempt was first; returns the one that counts."""
    key = record_key(video_id, record.task_id)
    if store.put_sync(key, encode_json(record), if_absent=True):
        return record
    return decode_json(store.get_sync(key), TaskRecord)
