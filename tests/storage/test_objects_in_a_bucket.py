"""The object store keeps its promises in a bucket of S3, too."""

from collections.abc import Iterator

import pytest

from storage.objects import ObjectNotFound, ObjectStore, ObjectStoreFailed
from tests.buckets import open_bucket, serve_buckets
from tests.storage.object_contract import ObjectContract, write_half

pytestmark = pytest.mark.db

MANY, PAGE = 25, 10


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[str]:
    """Serve S3; its address."""
    with serve_buckets() as address:
        yield address


@pytest.fixture
def store(bucket_server: str) -> ObjectStore:
    """Lend an empty bucket."""
    return open_bucket(bucket_server)


class TestABucket(ObjectContract):
    """The contract, spoken over a real port."""


def test_what_takes_several_requests_to_list_is_removed_whole(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", str(PAGE))
    for number in range(MANY):
        store.put_sync(f"gone/{number:05d}", b"x")
    store.put_sync("kept/0", b"x")
    assert len(store.list_sync("gone")) == MANY
    assert store.delete_prefix_sync("gone") == MANY
    assert store.list_sync("gone") == []
    assert store.exists_sync("kept/0")


def test_a_write_that_fails_midway_shows_nothing(store: ObjectStore):
    with pytest.raises(ObjectNotFound):
        write_half(store)
    assert store.list_sync("whole") == []


def test_a_bucket_that_is_not_there_is_a_failure_of_ours(bucket_server: str):
    with pytest.raises(ObjectStoreFailed):
        ObjectStore.open("s3://no-such-bucket").put_sync("a/b", b"x")
