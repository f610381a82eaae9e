"""Parts become a source: joined in order, hashed, probed, and nothing is left of what fails."""

import hashlib
from fractions import Fraction
from pathlib import Path

import pytest

from media.vod.probe import probe_file
from media.vod.source import MediaUnreadable
from media.vod.take_in import SourcePart, TakeInJob, take_in_source
from storage.objects import ObjectStore
from tests.media.vod.clips import write_numbered

pytestmark = pytest.mark.media


def put_parts(store: ObjectStore, data: bytes, size_bytes: int) -> tuple[SourcePart, ...]:
    parts = []
    for start in range(0, len(data), size_bytes):
        piece = data[start : start + size_bytes]
        parts.append(SourcePart(f"uploads/u/{start:016d}", len(piece)))
        store.put_sync(parts[-1].key, piece)
    return tuple(parts)


@pytest.mark.parametrize("kind", ["folder", "without paths"])
def test_a_source_is_joined_hashed_and_probed_at_once(tmp_path: Path, kind: str):
    folder = f"file://{tmp_path}/objects"
    store = ObjectStore.open(folder if kind == "folder" else "memory:///")
    clip = write_numbered(tmp_path / "clip.mp4", [Fraction(n, 30) for n in range(60)])
    data = clip.read_bytes()
    keys = put_parts(store, data, len(data) // 3)
    taken = take_in_source(TakeInJob("v", keys, "videos/v/source", len(data)), store)
    assert store.get_sync("videos/v/source") == data
    assert taken.joined.sha256 == hashlib.sha256(data).hexdigest()
    assert taken.info == probe_file(clip)


def test_a_file_that_lies_in_one_object_is_not_copied(tmp_path: Path, objects: ObjectStore):
    clip = write_numbered(tmp_path / "clip.mp4", [Fraction(n, 30) for n in range(60)])
    data = clip.read_bytes()
    (part,) = put_parts(objects, data, len(data))
    before = objects.local_path(part.key)
    assert before is not None
    inode = before.stat().st_ino
    taken = take_in_source(TakeInJob("v", (part,), "videos/v/source", len(data)), objects)
    source = objects.local_path("videos/v/source")
    assert source is not None
    assert source.stat().st_ino == inode
    assert taken.joined.sha256 == hashlib.sha256(data).hexdigest()
    assert taken.info == probe_file(clip)


def test_of_an_object_only_what_was_acknowledged_is_taken(objects: ObjectStore):
    objects.put_sync("uploads/u/0", b"no video, and what no row acknowledges")
    job = TakeInJob("v", (SourcePart("uploads/u/0", 8),), "videos/v/source", 8)
    taken = take_in_source(job, objects)
    assert taken.joined.sha256 == hashlib.sha256(b"no video").hexdigest()
    assert objects.get_sync("videos/v/source") == b"no video"


def test_what_is_no_video_is_joined_all_the_same_and_refused(objects: ObjectStore):
    keys = put_parts(objects, b"no video at all", 4)
    taken = take_in_source(TakeInJob("v", keys, "videos/v/source", 15), objects)
    assert taken.info is None
    assert "damaged" in taken.refusal
    assert objects.get_sync("videos/v/source") == b"no video at all"


def test_too_few_bytes_are_refused_and_leave_nothing(objects: ObjectStore):
    keys = put_parts(objects, b"12345678", 4)
    with pytest.raises(MediaUnreadable, match="8 of 9 bytes"):
        take_in_source(TakeInJob("v", keys, "videos/v/source", 9), objects)
    assert objects.list_sync("videos") == []
