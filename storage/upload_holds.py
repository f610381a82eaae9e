"""One upload in one writer's hands: its row's lock, and the object that grows, opened together.

The edge's upload server holds one per request, the job that fetches a file from an address one
while it runs. Bytes go to the sink; `acknowledge` writes the rows of what the sink made durable.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Self

from kit.errors import AppError, Unavailable
from kit.ids import make_id
from kit.logs import get_log
from kit.setting_sections import UploadSettings
from storage.database import Connection, Database
from storage.growing_files import GrowingBusy, GrowingObject
from storage.objects import ObjectStore
from storage.upload_sinks import GrowingSink, PieceSink, UploadLocked, UploadSink
from storage.uploads import (
    LockTerms,
    Upload,
    UploadPart,
    find_upload,
    insert_parts,
    list_objects,
    list_parts,
    lock_upload,
    make_part_key,
    renew_lock,
    unlock_upload,
)

log = get_log("uploads")


class UploadHold:
    """An upload that nobody else writes to until `close`, as long as its lock is renewed."""

    def __init__(
        self, database: Database, objects: ObjectStore, upload: Upload, terms: LockTerms
    ) -> None:
        assert terms.keep_s is not None, "a lock is taken for a while"
        self._database = database
        self._objects = objects
        self._terms = terms
        self._ttl_s = terms.keep_s
        self._is_locked = True
        self.upload = upload
        """As it stood when it was taken."""
        self.expires_at = upload.expires_at
        """Until when it waits, by the last acknowledgement or renewal."""
        self.sink: UploadSink

    @classmethod
    async def open(
        cls,
        database: Database,
        objects: ObjectStore,
        found: Upload,
        *,
        ttl_s: float,
        limits: UploadSettings,
    ) -> Self:
        """Take an upload as it stands now, for `ttl_s` unless renewed; raises UploadLocked."""
        # Who has the object open keeps all others out until they close it. So what the row says
        # once both are ours is true until then, and no bytes of others are ever cut off.
        key, lock_owner = make_part_key(found.id, 0), make_id()
        growing = await _open_growing(objects, key, is_new=found.offset_bytes == 0)
        async with AsyncExitStack() as unused:
            if growing is not None:
                unused.push_async_callback(asyncio.to_thread, growing.close)
            async with database.statement(writes=True) as connection:
                upload = await lock_upload(connection, found.id, lock_owner, ttl_s)
            if upload is None:
                raise UploadLocked(retry_after_s=1)
            terms, start = LockTerms(lock_owner, ttl_s, limits.expires_s), upload.offset_bytes
            hold, piece_bytes = cls(database, objects, upload, terms), limits.piece_bytes
            if growing is not None and (
                growing.begin_at_once(start) or await asyncio.to_thread(growing.begin, start)
            ):
                hold.sink = GrowingSink(growing, key, start, piece_bytes)
                unused.pop_all()
            else:  # there is none, or the upload's bytes lie in pieces
                hold.sink = PieceSink(objects, upload.id, start, piece_bytes, hold.renew)
        return hold

    async def renew(self, *, has_come: bool = False) -> None:
        """Keep the lock for its time from now; raises UploadLocked when it was lost.

        `has_come`: bytes came since the last time, of which nothing need be acknowledged yet. The
        upload's time begins anew.
        """
        expires_s = self._terms.expires_s if has_come else None
        terms = LockTerms(self._terms.owner, self._ttl_s, expires_s)
        async with self._database.statement(writes=True) as connection:
            expires_at = await renew_lock(connection, self.upload.id, terms)
        if expires_at is None:
            raise UploadLocked(retry_after_s=1)
        self.expires_at = expires_at

    async def acknowledge(self, parts: list[UploadPart], *, is_last: bool) -> None:
        """Write the rows of durable parts, and renew; the last ones give the lock back.

        The upload's time begins anew. Raises UploadLocked, and nothing is written, when the lock
        was lost.
        """
        async with self._database.statement(writes=True) as connection:
            await self._insert(connection, parts, None if is_last else self._ttl_s)
        self._is_locked = not is_last

    async def acknowledge_within(self, connection: Connection, parts: list[UploadPart]) -> None:
        """As `acknowledge`, in the caller's transaction."""
        await self._insert(connection, parts, self._ttl_s)

    def has_ended(self) -> None:
        """The upload is finished or was given up, and with it the lock."""
        self._is_locked = False

    async def close(self) -> None:
        """Let others write; what was stored for an upload that was ended meanwhile is removed."""
        await self.sink.close()
        if self._is_locked:
            self._is_locked = False
            with suppress(Unavailable):  # an abandoned lock lapses by itself
                async with self._database.statement(writes=True) as connection:
                    await unlock_upload(connection, self.upload.id, self._terms.owner)
        if self.sink.unnamed_keys:
            try:
                await self._remove_unowned(self.sink.unnamed_keys)
            except AppError as error:
                log.warning("upload.left_behind", upload_id=str(self.upload.id), code=error.code)

    async def _insert(
        self, connection: Connection, parts: list[UploadPart], keep_s: float | None
    ) -> None:
        terms = LockTerms(self._terms.owner, keep_s, self._terms.expires_s)
        expires_at = await insert_parts(connection, self.upload.id, terms, parts)
        if expires_at is None:
            raise UploadLocked(retry_after_s=1)
        self.expires_at = expires_at
        self.sink.note_named(parts)

    async def _remove_unowned(self, keys: list[str]) -> None:
        """Remove those of these objects that nobody owns, nor ever will.

        While an upload is open whoever writes next may; its end removes them then.
        """
        async with self._database.transaction() as connection:
            upload = await find_upload(connection, self.upload.id)
            parts = await list_parts(connection, self.upload.id)
        owned: set[str] = set()
        if upload is not None and upload.state != "terminated":
            if upload.state == "open":
                return
            owned = {it.key for it in list_objects(upload.id, parts)}
        for key in keys:
            if key not in owned:
                await self._objects.delete(key)


async def _open_growing(objects: ObjectStore, key: str, *, is_new: bool) -> GrowingObject | None:
    """Open the object that grows, where there is one; raises UploadLocked."""
    try:
        return await asyncio.to_thread(GrowingObject.open, objects, key, is_new=is_new)
    except GrowingBusy as error:
        raise UploadLocked(retry_after_s=1) from error
