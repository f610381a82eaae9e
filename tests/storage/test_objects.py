"""The object store keeps what it acknowledged, on a folder and on a remote backend alike."""

import asyncio
import hashlib
import os
import threading
from pathlib import Path

import pytest

from storage.objects import (
    ObjectEntry,
    ObjectKeyInvalid,
    ObjectNotFound,
    ObjectStore,
    check_key,
)

pytestmark = pytest.mark.unit


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """The same contract on a folder and on a backend without paths."""
    if request.param == "local":
        return ObjectStore.open(f"file://{tmp_path}/objects")
    return ObjectStore.open("memory:///")


async def test_what_was_put_is_read_back(store: ObjectStore):
    assert await store.put("videos/1/a.m4s", b"abc")
    assert await store.get("videos/1/a.m4s") == b"abc"
    assert await store.size_bytes("videos/1/a.m4s") == 3
    assert await store.exists("videos/1/a.m4s")


async def test_a_second_put_replaces_the_first(store: ObjectStore):
    await store.put("a/b", b"one")
    assert await store.put("a/b", b"second")
    assert await store.get("a/b") == b"second"


async def test_put_if_absent_leaves_the_first_bytes_and_says_so(store: ObjectStore):
    assert await store.put("a/b", b"one", if_absent=True)
    assert not await store.put("a/b", b"two", if_absent=True)
    assert await store.get("a/b") == b"one"


async def test_of_many_writers_at_once_exactly_one_was_first(store: ObjectStore):
    results = await asyncio.gather(
        *(store.put("race/key", str(n).encode(), if_absent=True) for n in range(16))
    )
    assert results.count(True) == 1
    assert await store.get("race/key") == str(results.index(True)).encode()


async def test_a_missing_object_is_none_or_not_found(store: ObjectStore):
    assert await store.find("a/none") is None
    assert not await store.exists("a/none")
    assert store.find_size_sync("a/none") is None
    with pytest.raises(ObjectNotFound):
        await store.get("a/none")
    with pytest.raises(ObjectNotFound):
        await store.size_bytes("a/none")
    with pytest.raises(ObjectNotFound):
        list(store.stream_sync("a/none"))
    with pytest.raises(ObjectNotFound):
        async for _ in store.stream("a/none"):
            pass


async def test_a_big_object_streams_in_pieces(store: ObjectStore):
    data = os.urandom(3 << 20)
    await store.put("big/one", data)
    pieces = [piece async for piece in store.stream("big/one", chunk_bytes=1 << 20)]
    assert b"".join(pieces) == data
    assert b"".join(store.stream_sync("big/one")) == data


async def test_listing_is_sorted_paged_and_stops_at_folder_borders(store: ObjectStore):
    for key in ("up/1/0003", "up/1/0001", "up/1/0002", "up/10/0001"):
        await store.put(key, b"x" * int(key[-1]))
    assert await store.list("up/1") == [
        ObjectEntry("up/1/0001", 1),
        ObjectEntry("up/1/0002", 2),
        ObjectEntry("up/1/0003", 3),
    ]
    assert [e.key for e in await store.list("up/1", limit=2)] == [
        "up/1/0001",
        "up/1/0002",
    ]
    assert [e.key for e in await store.list("up/1", after="up/1/0002")] == ["up/1/0003"]


async def test_delete_is_repeatable_and_delete_prefix_counts(store: ObjectStore):
    for n in range(5):
        await store.put(f"gone/deep/{n}", b"x")
    await store.put("kept/1", b"x")
    await store.delete("gone/deep/0")
    await store.delete("gone/deep/0")
    assert await store.delete_prefix("gone") == 4
    assert await store.delete_prefix("gone") == 0
    assert await store.list("gone") == []
    assert await store.exists("kept/1")


async def test_joined_parts_are_hashed_and_in_order(store: ObjectStore):
    parts = [os.urandom(1 << 16) for _ in range(3)]
    for n, part in enumerate(parts):
        await store.put(f"parts/{n:016d}", part)
    joined = await store.join([f"parts/{n:016d}" for n in range(3)], "whole/source")
    assert joined.size_bytes == 3 << 16
    assert joined.sha256 == hashlib.sha256(b"".join(parts)).hexdigest()
    assert await store.get("whole/source") == b"".join(parts)


def test_a_join_that_fails_leaves_nothing_behind(tmp_path: Path):
    store = ObjectStore.open(f"file://{tmp_path}")
    store.put_sync("parts/0", b"x")
    with pytest.raises(ObjectNotFound):
        store.join_sync(["parts/0", "parts/1"], "whole/source")
    assert not store.exists_sync("whole/source")
    assert list((tmp_path / ".staging").iterdir()) == []


def test_a_file_is_put_whole(store: ObjectStore, tmp_path: Path):
    path = tmp_path / "source.bin"
    path.write_bytes(os.urandom((2 << 20) + 7))
    assert store.put_file_sync("a/source", path) == (2 << 20) + 7
    assert store.get_sync("a/source") == path.read_bytes()


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "a/../b", "..", ".", "a//b", "a/", ".staging/x", "a/.hidden", "a\\b",
     "a\0b", "a b", "a#1", "ü", "x" * 513, "a\n"],
)  # fmt: skip
def test_a_key_that_could_leave_its_folder_is_refused(key: str):
    with pytest.raises(ObjectKeyInvalid):
        check_key(key)


async def test_every_door_checks_the_key(store: ObjectStore):
    for call in (store.get, store.find, store.exists, store.delete, store.list,
                 store.delete_prefix, store.size_bytes):  # fmt: skip
        with pytest.raises(ObjectKeyInvalid):
            await call("../x")
    with pytest.raises(ObjectKeyInvalid):
        await store.put("../x", b"")
    with pytest.raises(ObjectKeyInvalid):
        store.local_path("../x")


def test_only_a_local_store_has_paths(tmp_path: Path):
    local = ObjectStore.open(f"file://{tmp_path}")
    assert local.local_path("a/b") == tmp_path / "a" / "b"
    assert ObjectStore.open("memory:///").local_path("a/b") is None


def test_a_folder_with_a_space_in_its_name_can_be_opened(tmp_path: Path):
    store = ObjectStore.open(f"file://{tmp_path}/my%20objects")
    store.put_sync("a/b", b"x")
    assert (tmp_path / "my objects" / "a" / "b").read_bytes() == b"x"


def test_a_write_is_synced_before_its_name_and_the_folders_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    events: list[str] = []
    sync, rename = os.fsync, Path.rename

    def note_fsync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append("file" if ".staging" in target.parts else str(target.relative_to(tmp_path)))
        sync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        events.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    ObjectStore.open(f"file://{tmp_path}").put_sync("a/b/c", b"x")
    assert events == ["file", "rename", "a/b", "a", "."]


def test_writers_survive_a_folder_being_removed_under_them(tmp_path: Path):
    store = ObjectStore.open(f"file://{tmp_path}")
    stop = threading.Event()

    def sweep() -> None:
        while not stop.is_set():
            store.delete_prefix_sync("other/1")

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for n in range(50):
            store.put_sync(f"other/1/{n}", b"x")
    finally:
        stop.set()
        sweeper.join()


def test_staged_files_of_dead_writers_are_swept(tmp_path: Path):
    store = ObjectStore.open(f"file://{tmp_path}")
    left = tmp_path / ".staging" / "dead"
    left.write_bytes(b"half")
    os.utime(left, (1000, 1000))
    assert store.sweep_staging_sync(older_than_s=60, now_s=1050) == 0
    assert store.sweep_staging_sync(older_than_s=60, now_s=1100) == 1
    assert not left.exists()
