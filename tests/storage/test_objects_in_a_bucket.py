"""The object store keeps its promises in a bucket of S3, too."""

import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from obstore.store import S3Store

from storage.bucket_sweep import BegunUpload, BucketRefused, SignedBucket, read_page
from storage.objects import ObjectNotFound, ObjectStore, ObjectStoreFailed
from tests.buckets import TIMEOUT_S, make_bucket, open_bucket, serve_buckets
from tests.storage.object_contract import ObjectContract, write_half

pytestmark = pytest.mark.db

MANY, PAGE = 25, 10
SECRET = "wJalrXUtnFEMI/K7MDENG"
A_DAY_S = 86_400.0
SEVERAL_PARTS = 12 << 20


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


def begin_upload(address: str, name: str, key: str) -> None:
    request = urllib.request.Request(f"{address}/{name}/{key}?uploads", method="POST")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        assert answer.status == 200


def write_and_die(store: ObjectStore) -> None:
    with store.write_sync("videos/v/source") as sink:
        sink.write(bytes(SEVERAL_PARTS))
        raise ZeroDivisionError


def open_signed(name: str) -> SignedBucket:
    return SignedBucket.open(S3Store(name), SECRET)


def list_begun(name: str) -> list[BegunUpload]:
    return list(open_signed(name).iter_uploads())


def test_what_dead_writers_left_in_a_bucket_is_ended_once_it_is_old(bucket_server: str):
    name = make_bucket(bucket_server)
    store = ObjectStore.open(f"s3://{name}/ours")
    with pytest.raises(ZeroDivisionError):
        write_and_die(store)
    begin_upload(bucket_server, name, "ours/a%20b/%2B")
    begin_upload(bucket_server, name, "ours-too/c")
    assert store.put_sync("videos/w/source", b"whole")
    (began_s,) = {upload.begun_s for upload in list_begun(name)}  # the server says one for all
    keys = ["ours-too/c", "ours/a b/+", "ours/videos/v/source"]
    assert sorted(upload.key for upload in list_begun(name)) == keys
    young_s, old_s = began_s + A_DAY_S, began_s + A_DAY_S + 1
    assert store.sweep_staging_sync(older_than_s=A_DAY_S, now_s=young_s) == 0
    assert len(list_begun(name)) == 3
    assert store.sweep_staging_sync(older_than_s=A_DAY_S, now_s=old_s) == 2
    assert [upload.key for upload in list_begun(name)] == ["ours-too/c"]
    assert store.sweep_staging_sync(older_than_s=A_DAY_S, now_s=old_s) == 0
    assert store.get_sync("videos/w/source") == b"whole"


LISTING = """<?xml version="1.0" encoding="UTF-8"?>
<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Bucket>b</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker>
<NextKeyMarker>a/z &amp; y</NextKeyMarker><NextUploadIdMarker>u+2</NextUploadIdMarker>
<MaxUploads>1</MaxUploads><IsTruncated>true</IsTruncated>
<Upload><Key>a/z &amp; y</Key><UploadId>u+2</UploadId><StorageClass>STANDARD</StorageClass>
<Initiated>2026-11-27T20:48:33.000Z</Initiated></Upload>
</ListMultipartUploadsResult>"""


def test_a_listing_of_several_pages_says_where_the_next_one_begins():
    begun_s = datetime(2026, 11, 27, 20, 48, 33, tzinfo=UTC).timestamp()
    uploads, further = read_page(LISTING.encode())
    assert uploads == [BegunUpload("a/z & y", "u+2", begun_s)]
    assert further == {"key-marker": "a/z & y", "upload-id-marker": "u+2"}
    naive = LISTING.replace("33.000Z", "33").replace(">true<", ">false<")
    assert read_page(naive.encode()) == (uploads, {})


def test_an_upload_that_has_ended_meanwhile_is_not_counted(bucket_server: str):
    name = make_bucket(bucket_server)
    begin_upload(bucket_server, name, "a")
    (upload,) = list_begun(name)
    assert open_signed(name).end_upload(upload)
    assert not open_signed(name).end_upload(upload)


def test_a_sweep_that_is_refused_or_has_no_secret_ends_nothing(
    bucket_server: str, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(BucketRefused):
        list_begun("no-such-bucket")
    missing = ObjectStore.open("s3://no-such-bucket")
    assert missing.sweep_staging_sync(older_than_s=0, now_s=A_DAY_S) == 0
    name = make_bucket(bucket_server)
    begin_upload(bucket_server, name, "a")
    (upload,) = list_begun(name)
    there = ObjectStore.open(f"s3://{name}")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert there.sweep_staging_sync(older_than_s=0, now_s=upload.begun_s + 1) == 0


@pytest.mark.parametrize(
    ("method", "address", "words"),
    [
        ("GET", "https://b.s3.eu-west-1.amazonaws.com/", {"uploads": "", "prefix": "a b/+~ü"}),
        ("DELETE", "http://127.0.0.1:9000/b/a%20b/%2B~", {"uploadId": "x/y+z=="}),
    ],
)
def test_a_request_is_signed_as_botocore_signs_it(method: str, address: str, words: dict[str, str]):
    request = AWSRequest(method=method, url=f"{address}?{urlencode(words)}")
    S3SigV4QueryAuth(Credentials("nobody", SECRET, "token"), "s3", "eu-west-1").add_auth(request)
    theirs = urlsplit(request.url)
    mine = SignedBucket(theirs, "", "", SECRET).sign(method, theirs.path, words)
    assert mine.rpartition("=")[2] == theirs.query.rpartition("=")[2]
