"""Ends what dead writers left in a bucket of S3: multipart uploads, which no listing of keys shows.

`ObjectStore.sweep_staging_sync` calls it, four times a day by a job. obstore can neither list nor
end them, so two requests are signed here, by what a request that obstore has signed says of
address, region and key. It decides nothing about age, and touches nothing outside the prefix.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit
from xml.etree import ElementTree

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from kit.logs import get_log
from kit.settings import find_bucket_secret

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Backend

log = get_log("objects")

SIGNED_FOR = timedelta(hours=1)
TIMEOUT_S = 30.0
ANSWER_BYTES_MAX = 4 << 20
"""A page of a listing has a thousand uploads at most."""
PAGES_MAX = 100
SIGNATURE = "X-Amz-Signature"
FAILURES = (
    BaseError,
    OSError,
    http.client.HTTPException,
    ElementTree.ParseError,
    LookupError,
    ValueError,
)
"""What a bucket that is away, or answers otherwise, ends in."""


def sweep_uploads(backend: Backend, *, before_s: float) -> int:
    """End uploads begun before this Unix time; return how many. A failure is logged alone.

    Only in S3, and where the environment has the secret: a machine's role does not tell it.
    """
    secret = find_bucket_secret()
    if not isinstance(backend, S3Store) or secret is None:
        return 0
    count = 0
    try:
        bucket = SignedBucket.open(backend, secret)
        for upload in list(bucket.iter_uploads()):
            if upload.begun_s < before_s:
                count += _end(bucket, upload)
    except FAILURES as error:
        log.warning("objects.uploads_not_swept", reason=repr(error)[:300])
    return count


def _end(bucket: SignedBucket, upload: BegunUpload) -> bool:
    """End one upload; one that cannot be ended keeps no other."""
    try:
        return bucket.end_upload(upload)
    except FAILURES as error:
        log.warning("objects.upload_not_swept", key=upload.key, reason=repr(error)[:300])
        return False


class BucketRefused(OSError):
    """The bucket answered, but not what was asked for."""


@dataclass(frozen=True)
class BegunUpload:
    """A multipart upload that has neither been completed nor ended."""

    key: str
    upload_id: str
    begun_s: float
    """Unix time."""


@dataclass(frozen=True)
class SignedBucket:
    """A bucket, by an address below it that obstore has signed."""

    signed: SplitResult
    root: str
    """The path of the bucket itself: empty where its host names it."""
    prefix: str
    secret: str = field(repr=False)

    @classmethod
    def open(cls, store: S3Store, secret: str) -> Self:
        """Learn a bucket's address from obstore; raises its BaseError, or BucketRefused."""
        prefix = f"{store.prefix}/" if store.prefix else ""
        signed = urlsplit(obstore.sign(store, "GET", "x", SIGNED_FOR))
        below = f"/{_quote(prefix)}x"
        if not signed.path.endswith(below):
            raise BucketRefused("an address was signed that is none of the prefix")
        return cls(signed, signed.path.removesuffix(below), prefix, secret)

    def iter_uploads(self) -> Iterator[BegunUpload]:
        """Those under the prefix."""
        words = {"uploads": "", "prefix": self.prefix}
        for _page in range(PAGES_MAX):
            status, answer = self._ask("GET", self.root or "/", words)
            if status != http.client.OK:
                raise BucketRefused(f"listing uploads was answered with {status}")
            uploads, further = read_page(answer)
            yield from (it for it in uploads if it.key.startswith(self.prefix))
            if not further:
                return
            words |= further

    def end_upload(self, upload: BegunUpload) -> bool:
        """Remove its parts; False when it had ended meanwhile."""
        path = f"{self.root}/{_quote(upload.key)}"
        status, _answer = self._ask("DELETE", path, {"uploadId": upload.upload_id})
        if status not in (http.client.NO_CONTENT, http.client.NOT_FOUND):
            raise BucketRefused(f"ending an upload was answered with {status}")
        return status == http.client.NO_CONTENT

    def sign(self, method: str, path: str, words: Mapping[str, str]) -> str:
        """Return path and query of a request, signed by Signature Version 4.

        "Authenticating Requests: Using Query Parameters", Amazon S3 API Reference.
        """
        signed = dict(parse_qsl(self.signed.query, keep_blank_values=True))
        signed.pop(SIGNATURE)
        query = urlencode(sorted({**signed, **words}.items()), quote_via=quote, safe="-_.~")
        host = f"host:{self.signed.netloc}\n"
        request = "\n".join((method, path, query, host, "host", "UNSIGNED-PAYLOAD"))
        scope = signed["X-Amz-Credential"].split("/", 1)[1]
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join((signed["X-Amz-Algorithm"], signed["X-Amz-Date"], scope, digest))
        key = f"AWS4{self.secret}".encode()
        for word in (*scope.split("/"), text):
            key = hmac.digest(key, word.encode(), "sha256")
        return f"{path}?{query}&{SIGNATURE}={key.hex()}"

    def _ask(self, method: str, path: str, words: Mapping[str, str]) -> tuple[int, bytes]:
        kinds = {"https": http.client.HTTPSConnection, "http": http.client.HTTPConnection}
        connection = kinds[self.signed.scheme](self.signed.netloc, timeout=TIMEOUT_S)
        try:
            connection.request(method, self.sign(method, path, words))
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_BYTES_MAX)
        finally:
            connection.close()


def read_page(answer: bytes) -> tuple[list[BegunUpload], dict[str, str]]:
    """The uploads of an answer, and what asks for the next page: nothing where it is the last.

    "ListMultipartUploads", Amazon S3 API Reference.
    """
    page = ElementTree.fromstring(answer)  # noqa: S314 -- our own store's
    uploads = [
        BegunUpload(
            it.findtext("{*}Key", ""),
            it.findtext("{*}UploadId", ""),
            _read_moment(it.findtext("{*}Initiated", "")),
        )
        for it in page.iterfind("{*}Upload")
    ]
    if page.findtext("{*}IsTruncated") != "true":
        return uploads, {}
    markers = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
    return uploads, {word: page.findtext(f"{{*}}{tag}", "") for word, tag in markers.items()}


def _read_moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _quote(key: str) -> str:
    return quote(key, safe="/-_.~")
