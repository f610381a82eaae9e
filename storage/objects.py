"""The object store: immutable bytes under keys, on a local folder or in a bucket.

The edge, the job runner and media tasks use it. Reading, listing and deleting go through obstore;
local writes are our own (storage/durable_files.py), because obstore's LocalStore renames into
place without any fsync. A write that returned survives a power cut. Blocking variants end in
`_sync`; the async ones never block the event loop. It knows no product rules.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore
from obstore.store import from_url as backend_from_url

from kit.errors import AppError
from kit.ids import make_id
from kit.logs import get_log
from storage.bucket_sweep import sweep_uploads
from storage.durable_files import (
    STAGING_FOLDER,
    DurableFile,
    remove_empty_folders,
    sweep_staging,
    write_file,
)
from storage.object_keys import check_key

if TYPE_CHECKING:
    # Names that obstore declares for type checkers alone.
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as Backend

log = get_log("objects")

STREAM_CHUNK_BYTES = 1 << 20
LIST_MAX = 10_000
REQUEST_TIMEOUT = timedelta(seconds=30)
CONNECT_TIMEOUT = timedelta(seconds=5)
RETRY_TIMEOUT = timedelta(seconds=60)
RETRIES_MAX = 4


class ObjectNotFound(AppError):
    """No object is stored under the key."""

    code, status, message = "object_not_found", 404, "This object does not exist."


class ObjectStoreFailed(AppError):
    """The store did not answer, refused us, or broke off; it may work again soon."""

    code, status, message = "object_store_failed", 503, "Stored files cannot be reached right now."
    retryable = True


@dataclass(frozen=True)
class ObjectEntry:
    """One line of a listing."""

    key: str
    size_bytes: int
    written_s: float = field(default=0.0, compare=False)
    """Unix time."""


@dataclass(frozen=True)
class ObjectPart:
    """Some bytes of an object, the place of the first, and how many there are in all."""

    data: bytes
    first: int
    size_bytes: int


Chunk = bytes | bytearray
"""A part of what is stored, as it came."""
Content = bytes | Sequence[Chunk]


class ByteSink(Protocol):
    """Where a writer's bytes go until they are committed."""

    def write(self, data: bytes, /) -> int:
        """Append bytes."""
        ...

    def flush(self) -> None:
        """Hand on what was written so far; that makes it neither durable nor visible."""
        ...


class ObjectStore:
    """Objects under one URL; cheap to open, safe to share between threads."""

    def __init__(self, backend: Backend, root: Path | None, name: str) -> None:
        self._backend = backend
        self._root = root
        self.name = name
        """The same for all who opened the same folder or bucket; memory is nobody else's."""

    @classmethod
    def open(cls, url: str) -> Self:
        """Open `file:///folder`, `memory:///`, or whatever obstore knows (s3://, gs://, az://).

        Bucket credentials come from the provider's usual environment, never from the URL.
        """
        parts = urlsplit(url)
        if parts.scheme == "file":
            root = Path(unquote(parts.path))
            (root / STAGING_FOLDER).mkdir(parents=True, exist_ok=True)
            return cls(LocalStore(root), root, url)
        if parts.scheme == "memory":
            return cls(backend_from_url(url), None, f"{url}{make_id()}")
        client: ClientConfig = {
            "timeout": REQUEST_TIMEOUT,
            "connect_timeout": CONNECT_TIMEOUT,
            # A store of one's own may speak plain HTTP; its endpoint says so, or does not.
            "allow_http": True,
        }
        retry: RetryConfig = {"max_retries": RETRIES_MAX, "retry_timeout": RETRY_TIMEOUT}
        backend = backend_from_url(url, client_options=client, retry_config=retry)
        return cls(backend, None, url)

    # -- writing ---------------------------------------------------------------------------------

    def put_sync(
        self, key: str, data: Content, *, if_absent: bool = False, is_durable: bool = True
    ) -> bool:
        """Store `data` durably, bytes or the chunks they came in.

        False when `if_absent` and the key was taken (nothing changed). What need not be durable
        outlives this process; a power cut may leave a part of it under its key.
        """
        check_key(key)
        if self._root is not None:
            chunks = (data,) if isinstance(data, bytes) else data
            return write_file(self._root, key, chunks, if_absent=if_absent, is_durable=is_durable)
        whole = data if isinstance(data, bytes) else b"".join(data)
        return _put_remote(self._backend, key, whole, if_absent=if_absent)

    async def put(self, key: str, data: Content, *, if_absent: bool = False) -> bool:
        """Like `put_sync`, off the event loop."""
        return await asyncio.to_thread(self.put_sync, key, data, if_absent=if_absent)

    @contextlib.contextmanager
    def write_sync(self, key: str) -> Iterator[ByteSink]:
        """Write a big object piece by piece; it appears, durably, when the block ends well."""
        check_key(key)
        if self._root is not None:
            with DurableFile(self._root, key) as sink:
                yield sink
            return
        with _own_write_errors(key):
            writer = obstore.open_writer(self._backend, key)
        # A writer that is never closed makes nothing visible: that is the abort.
        yield _RemoteSink(writer, key)
        with _own_write_errors(key):
            writer.close()

    @staticmethod
    def staged_path(sink: ByteSink) -> Path | None:
        """Where a local writer's flushed bytes can be read before they have their name."""
        return sink.staged if isinstance(sink, DurableFile) else None

    def put_file_sync(self, key: str, path: Path) -> int:
        """Store a file's content durably; returns its size in bytes."""
        size_bytes = 0
        with path.open("rb") as source, self.write_sync(key) as sink:
            while piece := source.read(STREAM_CHUNK_BYTES):
                size_bytes += sink.write(piece)
        return size_bytes

    # -- reading ---------------------------------------------------------------------------------

    def get_sync(self, key: str) -> bytes:
        """The whole object; raises ObjectNotFound."""
        check_key(key)
        with _own_errors(key):
            return bytes(obstore.get(self._backend, key).bytes())

    async def get(self, key: str) -> bytes:
        """The whole object; raises ObjectNotFound."""
        check_key(key)
        with _own_errors(key):
            result = await obstore.get_async(self._backend, key)
            return bytes(await result.bytes_async())

    async def get_part(self, key: str, first: int, stop: int | None) -> ObjectPart:
        """The bytes from `first` to before `stop`, or the end; a negative `first` counts from it.

        Empty where there are none; raises ObjectNotFound. One request, and one more for those.
        """
        check_key(key)
        wanted: Any = {"suffix": -first} if first < 0 else {"offset": first}
        if stop is not None:
            wanted = (first, stop)
        try:
            with _own_errors(key):
                result = await obstore.get_async(self._backend, key, options={"range": wanted})
                data = bytes(await result.bytes_async())
                return ObjectPart(data, result.range[0], int(result.meta["size"]))
        except ObjectStoreFailed:
            size_bytes = await self.size_bytes(key)
            if first < size_bytes and first + size_bytes > 0:
                raise
            return ObjectPart(b"", size_bytes, size_bytes)

    def find_sync(self, key: str) -> bytes | None:
        """The whole object, or None."""
        try:
            return self.get_sync(key)
        except ObjectNotFound:
            return None

    async def find(self, key: str) -> bytes | None:
        """The whole object, or None."""
        try:
            return await self.get(key)
        except ObjectNotFound:
            return None

    def stream_sync(self, key: str, *, chunk_bytes: int = STREAM_CHUNK_BYTES) -> Iterator[bytes]:
        """The object in pieces of about `chunk_bytes`; raises ObjectNotFound at the first one."""
        check_key(key)
        with _own_errors(key):
            for piece in obstore.get(self._backend, key).stream(min_chunk_size=chunk_bytes):
                yield bytes(piece)

    async def stream(
        self, key: str, *, chunk_bytes: int = STREAM_CHUNK_BYTES
    ) -> AsyncIterator[bytes]:
        """The object in pieces of about `chunk_bytes`; raises ObjectNotFound at the first one."""
        check_key(key)
        with _own_errors(key):
            result = await obstore.get_async(self._backend, key)
            async for piece in result.stream(min_chunk_size=chunk_bytes):
                yield bytes(piece)

    def find_size_sync(self, key: str) -> int | None:
        """Size in bytes, or None when there is no such object."""
        with contextlib.suppress(ObjectNotFound):
            return self.size_bytes_sync(key)
        return None

    def size_bytes_sync(self, key: str) -> int:
        """Size in bytes; raises ObjectNotFound."""
        check_key(key)
        with _own_errors(key):
            return int(obstore.head(self._backend, key)["size"])

    async def size_bytes(self, key: str) -> int:
        """Like `size_bytes_sync`, off the event loop."""
        return await asyncio.to_thread(self.size_bytes_sync, key)

    def exists_sync(self, key: str) -> bool:
        """Whether an object is stored under the key."""
        return self.find_size_sync(key) is not None

    async def exists(self, key: str) -> bool:
        """Like `exists_sync`, off the event loop."""
        return await asyncio.to_thread(self.exists_sync, key)

    def local_path(self, key: str) -> Path | None:
        """Path for sendfile on a local store, whether or not it exists; None when remote."""
        check_key(key)
        return None if self._root is None else self._root / key

    # -- listing and deleting --------------------------------------------------------------------

    def list_sync(
        self, prefix: str, *, after: str | None = None, limit: int = LIST_MAX
    ) -> builtins.list[ObjectEntry]:
        """Objects below the folder `prefix`, sorted by key; `after` is the last page's last key."""
        check_key(prefix)
        with _own_errors(prefix):
            entries = [
                ObjectEntry(str(meta["path"]), int(meta["size"]), meta["last_modified"].timestamp())
                for batch in obstore.list(self._backend, prefix)
                for meta in batch
            ]
        entries.sort(key=lambda entry: entry.key)
        return [entry for entry in entries if after is None or entry.key > after][:limit]

    async def list(
        self, prefix: str, *, after: str | None = None, limit: int = LIST_MAX
    ) -> builtins.list[ObjectEntry]:
        """Like `list_sync`, off the event loop."""
        return await asyncio.to_thread(self.list_sync, prefix, after=after, limit=limit)

    def list_folders_sync(self, prefix: str) -> builtins.list[str]:
        """Names of the folders right below the folder `prefix`, in no particular order."""
        check_key(prefix)
        with _own_errors(prefix):
            found = obstore.list_with_delimiter(self._backend, prefix)["common_prefixes"]
        return [path.rpartition("/")[2] for path in found]

    def delete_sync(self, key: str) -> None:
        """Remove the object; a missing one is fine."""
        check_key(key)
        with contextlib.suppress(ObjectNotFound), _own_errors(key):
            obstore.delete(self._backend, key)

    async def delete(self, key: str) -> None:
        """Remove the object; a missing one is fine."""
        await asyncio.to_thread(self.delete_sync, key)

    def delete_prefix_sync(self, prefix: str) -> int:
        """Remove everything below the folder `prefix`; returns how many objects went."""
        count = 0
        while entries := self.list_sync(prefix):
            self._delete_all([entry.key for entry in entries])
            count += len(entries)
        if self._root is not None:
            remove_empty_folders(self._root / prefix)
        return count

    def _delete_all(self, keys: builtins.list[str]) -> None:
        """Remove these objects; S3 takes a thousand of them in one request."""
        if self._root is None:
            with contextlib.suppress(ObjectNotFound), _own_errors(keys[0]):
                obstore.delete(self._backend, keys)
            return
        for key in keys:  # obstore stops at the first file that somebody else removed
            self.delete_sync(key)

    async def delete_prefix(self, prefix: str) -> int:
        """Like `delete_prefix_sync`, off the event loop."""
        return await asyncio.to_thread(self.delete_prefix_sync, prefix)

    def sweep_staging_sync(self, *, older_than_s: float, now_s: float) -> int:
        """Remove what dead processes left half written; `now_s` is Unix time. Returns how many."""
        if self._root is None:
            return sweep_uploads(self._backend, before_s=now_s - older_than_s)
        return sweep_staging(self._root, before_s=now_s - older_than_s)


class _RemoteSink:
    """Adapts obstore's writer to ByteSink."""

    def __init__(self, writer: obstore.WritableFile, key: str) -> None:
        self._writer = writer
        self._key = key

    def write(self, data: bytes, /) -> int:
        with _own_write_errors(self._key):
            self._writer.write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing: the store sends what fills a part, and the rest at the end."""


@contextlib.contextmanager
def _own_errors(key: str) -> Iterator[None]:
    """Say obstore's errors in our words."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectNotFound(key=key) from error
    except BaseError as error:
        log.warning("objects.failed", key=key, reason=type(error).__name__)
        raise ObjectStoreFailed(key=key) from error


@contextlib.contextmanager
def _own_write_errors(key: str) -> Iterator[None]:
    """The same for writes: there is nothing that could be missing but the bucket itself."""
    try:
        with _own_errors(key):
            yield
    except ObjectNotFound as error:
        log.warning("objects.bucket_missing", key=key)
        raise ObjectStoreFailed(key=key) from error


def _put_remote(backend: Backend, key: str, data: bytes, *, if_absent: bool) -> bool:
    with _own_write_errors(key):
        try:
            obstore.put(backend, key, data, mode="create" if if_absent else "overwrite")
        except AlreadyExistsError:
            return False
        return True
