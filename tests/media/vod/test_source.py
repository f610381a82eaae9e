"""A bucket's source is downloaded once by a process, into a file that nobody else can find."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from media.vod.source import fetch_source
from media.vod.take_in import SourcePart, TakeInJob, take_in_source
from storage.objects import ObjectStore

pytestmark = pytest.mark.unit

KEY = "videos/v/source"
OTHER = "videos/w/source"


class CountingStore:
    """Counts what is read from a store in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = ObjectStore.open("memory:///")
        self.reads: list[str] = []
        stream = self.store.stream_sync

        def count(key: str) -> Iterator[bytes]:
            self.reads.append(key)
            return stream(key)

        monkeypatch.setattr(self.store, "stream_sync", count)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> CountingStore:
    return CountingStore(monkeypatch)


def read(bucket: CountingStore, key: str) -> bytes:
    with fetch_source(key, bucket.store) as path:
        return path.read_bytes()


def test_the_pieces_of_one_video_share_a_copy(bucket: CountingStore):
    bucket.store.put_sync(KEY, b"one")
    assert [read(bucket, KEY) for _ in range(3)] == [b"one"] * 3
    assert bucket.reads == [KEY]


def test_another_video_takes_its_place(bucket: CountingStore):
    bucket.store.put_sync(KEY, b"one")
    bucket.store.put_sync(OTHER, b"two")
    with fetch_source(KEY, bucket.store) as path:
        assert read(bucket, OTHER) == b"two"
        assert path.read_bytes() == b"one"  # who reads it keeps it
    assert (read(bucket, OTHER), bucket.reads) == (b"two", [KEY, OTHER])
    assert (read(bucket, KEY), bucket.reads) == (b"one", [KEY, OTHER, KEY])


def test_another_bucket_has_its_own(bucket: CountingStore, monkeypatch: pytest.MonkeyPatch):
    bucket.store.put_sync(KEY, b"one")
    assert read(bucket, KEY) == b"one"
    second = CountingStore(monkeypatch)
    second.store.put_sync(KEY, b"two")
    assert read(second, KEY) == b"two"


def test_what_was_just_joined_is_not_downloaded(bucket: CountingStore):
    bucket.store.put_sync("uploads/u/0", b"no ")
    bucket.store.put_sync("uploads/u/3", b"video")
    parts = (SourcePart("uploads/u/0", 3), SourcePart("uploads/u/3", 5))
    take_in_source(TakeInJob("v", parts, KEY, 8), bucket.store)
    assert read(bucket, KEY) == bucket.store.get_sync(KEY) == b"no video"
    assert bucket.reads == ["uploads/u/0", "uploads/u/3"]


def test_a_copy_has_no_name_that_a_killed_process_could_leave(
    bucket: CountingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bucket.store.put_sync(KEY, b"one")
    with fetch_source(KEY, bucket.store) as path:
        assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"one", [])
