"""What every object store keeps to, whatever its bytes lie on.

Each kind of store has a class of tests that inherits these and lends its `store`.
"""

import asyncio
import os
import time
from pathlib import Path

import pytest

from storage.object_keys import ObjectKeyInvalid
from storage.objects import ObjectEntry, ObjectNotFound, ObjectPart, ObjectStore

CLOCKS_APART_S = 2.0
"""A bucket's server tells whole seconds."""


class ObjectContract:
    """The promises; `store` is a fixture of the class that inherits them."""

    async def test_what_was_put_is_read_back(self, store: ObjectStore):
        assert await store.put("videos/1/a.m4s", b"abc")
        assert await store.get("videos/1/a.m4s") == b"abc"
        assert await store.size_bytes("videos/1/a.m4s") == 3
        assert await store.exists("videos/1/a.m4s")

    async def test_a_second_put_replaces_the_first(self, store: ObjectStore):
        await store.put("a/b", b"one")
        assert await store.put("a/b", b"second")
        assert await store.get("a/b") == b"second"

    async def test_put_if_absent_leaves_the_first_bytes_and_says_so(self, store: ObjectStore):
        assert await store.put("a/b", b"one", if_absent=True)
        assert not await store.put("a/b", b"two", if_absent=True)
        assert await store.get("a/b") == b"one"

    async def test_of_many_writers_at_once_exactly_one_was_first(self, store: ObjectStore):
        results = await asyncio.gather(
            *(store.put("race/key", str(n).encode(), if_absent=True) for n in range(16))
        )
        assert results.count(True) == 1
        assert await store.get("race/key") == str(results.index(True)).encode()

    @pytest.mark.parametrize(
        ("first", "stop", "data", "place"),
        [
            (2, 5, b"cde", 2),
            (7, None, b"hij", 7),
            (-3, None, b"hij", 7),
            (-30, None, b"abcdefghij", 0),
            (8, 99, b"ij", 8),
            (10, None, b"", 10),
            (20, 30, b"", 10),
        ],
    )
    async def test_a_part_is_read_by_itself(
        self, store: ObjectStore, first: int, stop: int | None, data: bytes, place: int
    ):
        await store.put("a/b", b"abcdefghij")
        assert await store.get_part("a/b", first, stop) == ObjectPart(data, place, 10)

    async def test_a_missing_object_is_none_or_not_found(self, store: ObjectStore):
        assert await store.find("a/none") is None
        assert not await store.exists("a/none")
        assert store.find_size_sync("a/none") is None
        with pytest.raises(ObjectNotFound):
            await store.get("a/none")
        with pytest.raises(ObjectNotFound):
            await store.get_part("a/none", 0, 4)
        with pytest.raises(ObjectNotFound):
            await store.size_bytes("a/none")
        with pytest.raises(ObjectNotFound):
            list(store.stream_sync("a/none"))
        with pytest.raises(ObjectNotFound):
            async for _ in store.stream("a/none"):
                pass

    async def test_a_big_object_streams_in_pieces(self, store: ObjectStore):
        data = os.urandom(3 << 20)
        await store.put("big/one", data)
        pieces = [piece async for piece in store.stream("big/one", chunk_bytes=1 << 20)]
        assert b"".join(pieces) == data
        assert b"".join(store.stream_sync("big/one")) == data

    async def test_listing_is_sorted_paged_and_stops_at_folder_borders(self, store: ObjectStore):
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

    async def test_a_listing_says_when_an_object_was_written(self, store: ObjectStore):
        before_s = time.time()
        await store.put("up/1/0001", b"x")
        (entry,) = await store.list("up/1")
        assert before_s - CLOCKS_APART_S <= entry.written_s <= time.time() + CLOCKS_APART_S

    async def test_folders_are_listed_without_what_is_in_them(self, store: ObjectStore):
        assert store.list_folders_sync("up") == []
        for key in ("up/1/0001", "up/1/0002", "up/10/deep/0001", "up/file", "other/1/0001"):
            await store.put(key, b"x")
        assert sorted(store.list_folders_sync("up")) == ["1", "10"]

    async def test_delete_is_repeatable_and_delete_prefix_counts(self, store: ObjectStore):
        for n in range(5):
            await store.put(f"gone/deep/{n}", b"x")
        await store.put("kept/1", b"x")
        await store.delete("gone/deep/0")
        await store.delete("gone/deep/0")
        assert await store.delete_prefix("gone") == 4
        assert await store.delete_prefix("gone") == 0
        assert await store.list("gone") == []
        assert await store.exists("kept/1")

    def test_a_file_is_put_whole(self, store: ObjectStore, tmp_path: Path):
        path = tmp_path / "source.bin"
        path.write_bytes(os.urandom((2 << 20) + 7))
        assert store.put_file_sync("a/source", path) == (2 << 20) + 7
        assert store.get_sync("a/source") == path.read_bytes()

    async def test_every_door_checks_the_key(self, store: ObjectStore):
        for call in (store.get, store.find, store.exists, store.delete, store.list,
                     store.delete_prefix, store.size_bytes):  # fmt: skip
            with pytest.raises(ObjectKeyInvalid):
                await call("../x")
        with pytest.raises(ObjectKeyInvalid):
            await store.put("../x", b"")
        with pytest.raises(ObjectKeyInvalid):
            store.local_path("../x")


def write_half(store: ObjectStore) -> None:
    """Begin to write a big object, and fail."""
    with store.write_sync("whole/source") as sink:
        sink.write(b"x" * (12 << 20))
        store.get_sync("parts/missing")
