"""Rows of `uploads` and `upload_parts`: which bytes of a file have arrived, and who is writing.

The edge's tus server and the videos feature call it. A part's row is the acknowledgement: it is
written after its bytes and only by the owner of the live lock. They are an object of their own,
`uploads/{id}/{offset}`, or lie in the one at offset 0, which grows. The database's clock decides
whether a lock still holds.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from storage.database import Connection, read_row, read_rows


class Upload(msgspec.Struct, frozen=True):
    """One upload; `offset_bytes` is how many bytes are acknowledged, all from the beginning."""

    id: uuid.UUID
    video_id: uuid.UUID | None
    """None for a part of a file."""
    owner_id: uuid.UUID
    filename: str
    size_bytes: int | None
    """None while the client has not told it."""
    metadata: str
    """Upload-Metadata as it was given."""
    concat: str
    """Upload-Concat as it was given."""
    offset_bytes: int
    state: str
    is_expired: bool
    is_locked: bool
    expires_at: datetime
    left_s: float
    """Until then, by the database's clock; 0 once it has expired."""
    validator: str | None
    """What its server said to tell an imported file from another: an ETag or Last-Modified."""


class NewUpload(msgspec.Struct, frozen=True):
    """What is known when an upload begins; the video has the same owner."""

    id: uuid.UUID
    video_id: uuid.UUID | None
    owner_id: uuid.UUID
    filename: str
    size_bytes: int | None
    expires_s: int
    """It ends so long after its last part."""
    metadata: str = ""
    concat: str = ""


class UploadPart(msgspec.Struct, frozen=True):
    """One acknowledged run of bytes."""

    offset_bytes: int
    size_bytes: int
    object_key: str | None = None
    """Where its bytes are, when not in the object of its own offset; a run of parts in the same
    object lies there from its beginning, without a gap."""


class UploadObject(msgspec.Struct, frozen=True):
    """An object and how much of it, from its beginning, is of an upload."""

    key: str
    size_bytes: int


class LockTerms(msgspec.Struct, frozen=True):
    """Who writes, and what an acknowledgement or a renewal gives them."""

    owner: uuid.UUID
    keep_s: float | None
    """The lock is kept for so many seconds more; None: it is given back."""
    expires_s: float | None
    """The upload waits for so long for what comes next; None: for no longer than before."""


class NewFile(msgspec.Struct, frozen=True):
    """What a client announces to an edge itself; `size_bytes` None: it says so later."""

    size_bytes: int | None
    metadata: str
    """Upload-Metadata of tus, word for word."""
    words: dict[str, str]
    """What is said of it: title, filename, description, visibility, protection, length."""
    concat: str = ""
    parts: tuple[uuid.UUID, ...] = ()
    """Uploads that make up a final one, in order."""
    bytes_min: int = 0
    """It has at least so many, where its size is not known yet."""

    @property
    def is_partial(self) -> bool:
        """Whether it is only a part of a file."""
        return self.concat == "partial"


COLUMNS = """u.id, u.video_id, u.owner_id, u.filename, u.size_bytes, u.state, u.expires_at,
    u.metadata, u.concat, u.validator,
    u.expires_at <= clock_timestamp() AS is_expired,
    greatest(extract(epoch FROM u.expires_at - clock_timestamp()), 0)::float8 AS left_s,
    coalesce(u.lock_until > clock_timestamp(), false) AS is_locked,
    (SELECT coalesce(max(p.offset_bytes + p.size_bytes), 0)::bigint
       FROM upload_parts p WHERE p.upload_id = u.id) AS offset_bytes"""


UPLOADS_FOLDER = "uploads"


def make_part_key(upload_id: uuid.UUID, offset_bytes: int) -> str:
    """Name the object that holds the bytes from `offset_bytes` on."""
    return f"{make_parts_prefix(upload_id)}/{offset_bytes:016d}"


def make_parts_prefix(upload_id: uuid.UUID) -> str:
    """Name the folder of all of an upload's objects."""
    return f"{UPLOADS_FOLDER}/{upload_id}"


def list_objects(upload_id: uuid.UUID, parts: Sequence[UploadPart]) -> list[UploadObject]:
    """Return the objects whose bytes, one behind the other, are the parts'."""
    found: list[UploadObject] = []
    for part in parts:
        key = part.object_key or make_part_key(upload_id, part.offset_bytes)
        if found and found[-1].key == key:
            found[-1] = UploadObject(key, found[-1].size_bytes + part.size_bytes)
        else:
            found.append(UploadObject(key, part.size_bytes))
    return found


async def insert_upload(connection: Connection, upload: NewUpload) -> datetime:
    """Write the row of an upload that may begin; return when it expires."""
    expires_at: datetime = await connection.fetchval(
        """INSERT INTO uploads
                  (id, video_id, owner_id, filename, size_bytes, expires_at, metadata, concat)
           VALUES ($1, $2, $3, $4, $5, clock_timestamp() + $6, $7, $8)
           RETURNING expires_at""",
        upload.id,
        upload.video_id,
        upload.owner_id,
        upload.filename,
        upload.size_bytes,
        timedelta(seconds=upload.expires_s),
        upload.metadata,
        upload.concat,
    )
    return expires_at


async def find_upload(connection: Connection, upload_id: uuid.UUID) -> Upload | None:
    """Return the upload and how far it has come; None when there is none."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM uploads u WHERE u.id = $1",  # noqa: S608 - constants
        upload_id,
    )
    return None if row is None else read_row(Upload, row)


async def list_needed(connection: Connection, upload_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of the uploads whose bytes somebody may still ask for.

    Others were given up, have expired, or their bytes are a video's source by now.
    """
    rows = await connection.fetch(
        """SELECT u.id FROM uploads u LEFT JOIN videos v ON v.id = u.video_id
            WHERE u.id = ANY($1)
              AND (u.state = 'open' OR u.state = 'finished' AND v.source_key IS NULL
                   OR u.state = 'joined' AND EXISTS (
                      SELECT FROM uploads f
                        JOIN videos w ON w.id = f.video_id AND w.source_key IS NULL
                        JOIN upload_parts p ON p.upload_id = f.id
                       WHERE f.owner_id = u.owner_id AND f.concat LIKE 'final%'
                         AND p.object_key LIKE 'uploads/' || u.id || '/%'))""",
        list(upload_ids),
    )
    return {row["id"] for row in rows}


async def set_size(connection: Connection, upload_id: uuid.UUID, size_bytes: int) -> bool:
    """Note the length of a file that had none; False when it has one, or less than has arrived."""
    result = await connection.execute(
        """UPDATE uploads u SET size_bytes = $2
            WHERE u.id = $1 AND u.state = 'open' AND u.size_bytes IS NULL
              AND $2 >= (SELECT coalesce(max(p.offset_bytes + p.size_bytes), 0)
                           FROM upload_parts p WHERE p.upload_id = u.id)""",
        upload_id,
        size_bytes,
    )
    return result == "UPDATE 1"


async def set_validator(
    connection: Connection, upload_id: uuid.UUID, validator: str | None
) -> None:
    """Note what tells an imported file from another that takes its place."""
    await connection.execute(
        "UPDATE uploads SET validator = $2 WHERE id = $1", upload_id, validator
    )


async def take_finished_parts(
    connection: Connection, owner_id: uuid.UUID, upload_ids: Sequence[uuid.UUID]
) -> list[Upload]:
    """Return those of a person's uploads that are complete parts of a file; they are joined now."""
    rows = await connection.fetch(
        f"""UPDATE uploads u SET state = 'joined'
             WHERE u.id = ANY($1) AND u.owner_id = $2 AND u.state = 'finished'
               AND u.video_id IS NULL
         RETURNING {COLUMNS}""",  # noqa: S608 - constants
        list(upload_ids),
        owner_id,
    )
    return read_rows(Upload, rows)


async def join_uploads(
    connection: Connection, upload_id: uuid.UUID, upload_ids: Sequence[uuid.UUID]
) -> None:
    """Make the bytes of complete parts, in order, those of another upload; nothing is copied."""
    start = 0
    for part_id in upload_ids:
        for part in list_objects(part_id, await list_parts(connection, part_id)):
            await connection.execute(
                """INSERT INTO upload_parts (upload_id, offset_bytes, size_bytes, object_key)
                   VALUES ($1, $2, $3, $4)""",
                upload_id,
                start,
                part.size_bytes,
                part.key,
            )
            start += part.size_bytes


async def remove_upload(connection: Connection, upload_id: uuid.UUID) -> bool:
    """Remove the row of a part of a file that came to nothing; False while it may become one."""
    result = await connection.execute(
        """DELETE FROM uploads WHERE id = $1 AND video_id IS NULL AND state <> 'joined'
              AND (state = 'terminated' OR expires_at <= clock_timestamp())""",
        upload_id,
    )
    return result == "DELETE 1"


async def find_upload_of_video(connection: Connection, video_id: uuid.UUID) -> Upload | None:
    """Return the upload a video came from."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM uploads u WHERE u.video_id = $1",  # noqa: S608 - constants
        video_id,
    )
    return None if row is None else read_row(Upload, row)


async def lock_upload(
    connection: Connection, upload_id: uuid.UUID, lock_owner: uuid.UUID, ttl_s: float
) -> Upload | None:
    """Take the right to write; None when someone else has it or the upload is not open."""
    row = await connection.fetchrow(
        f"""UPDATE uploads u SET lock_owner = $2, lock_until = clock_timestamp() + $3
             WHERE u.id = $1 AND u.state = 'open' AND u.expires_at > clock_timestamp()
               AND (u.lock_until IS NULL OR u.lock_until <= clock_timestamp())
         RETURNING {COLUMNS}""",  # noqa: S608 - constants
        upload_id,
        lock_owner,
        timedelta(seconds=ttl_s),
    )
    return None if row is None else read_row(Upload, row)


async def renew_lock(
    connection: Connection, upload_id: uuid.UUID, terms: LockTerms
) -> datetime | None:
    """Keep the right to write; return when the upload expires by now, None when it was lost."""
    assert terms.keep_s is not None, "what is renewed is kept"
    expires_at: datetime | None = await connection.fetchval(
        """UPDATE uploads SET lock_until = clock_timestamp() + $3,
                  expires_at = greatest(expires_at, clock_timestamp() + $4)
            WHERE id = $1 AND lock_owner = $2 AND lock_until > clock_timestamp()
              AND state = 'open'
        RETURNING expires_at""",
        upload_id,
        terms.owner,
        timedelta(seconds=terms.keep_s),
        None if terms.expires_s is None else timedelta(seconds=terms.expires_s),
    )
    return expires_at


async def unlock_upload(
    connection: Connection, upload_id: uuid.UUID, lock_owner: uuid.UUID
) -> None:
    """Give the right to write back."""
    await connection.execute(
        """UPDATE uploads SET lock_owner = NULL, lock_until = NULL
            WHERE id = $1 AND lock_owner = $2""",
        upload_id,
        lock_owner,
    )


async def insert_parts(
    connection: Connection, upload_id: uuid.UUID, terms: LockTerms, parts: Sequence[UploadPart]
) -> datetime | None:
    """Acknowledge stored bytes; return when the upload expires by now.

    None, and nothing written, when the lock was lost. One statement.
    """
    expires_at: datetime | None = await connection.fetchval(
        """WITH held AS (
               UPDATE uploads SET lock_until = clock_timestamp() + $3,
                      lock_owner = CASE WHEN $3::interval IS NOT NULL THEN lock_owner END,
                      expires_at = greatest(expires_at, clock_timestamp() + $4)
                WHERE id = $1 AND lock_owner = $2 AND lock_until > clock_timestamp()
                  AND state = 'open'
            RETURNING id, expires_at),
           kept AS (
               INSERT INTO upload_parts (upload_id, offset_bytes, size_bytes, object_key)
               SELECT held.id, part.*
                 FROM held, unnest($5::bigint[], $6::bigint[], $7::text[]) AS part)
           SELECT expires_at FROM held""",
        upload_id,
        terms.owner,
        None if terms.keep_s is None else timedelta(seconds=terms.keep_s),
        None if terms.expires_s is None else timedelta(seconds=terms.expires_s),
        [part.offset_bytes for part in parts],
        [part.size_bytes for part in parts],
        [part.object_key for part in parts],
    )
    return expires_at


async def finish_upload(connection: Connection, upload_id: uuid.UUID) -> bool:
    """Mark an open upload as complete; False when it was not open."""
    result = await connection.execute(
        """UPDATE uploads SET state = 'finished', lock_owner = NULL, lock_until = NULL
            WHERE id = $1 AND state = 'open'""",
        upload_id,
    )
    return result == "UPDATE 1"


async def terminate_upload(
    connection: Connection, upload_id: uuid.UUID, *, only_expired: bool = False
) -> bool:
    """End an open upload for good, or a complete part that nobody joined.

    False when it was neither, or not yet expired.
    """
    result = await connection.execute(
        """UPDATE uploads SET state = 'terminated', lock_owner = NULL, lock_until = NULL
            WHERE id = $1 AND (state = 'open' OR state = 'finished' AND video_id IS NULL)
              AND (NOT $2 OR expires_at <= clock_timestamp())""",
        upload_id,
        only_expired,
    )
    return result == "UPDATE 1"


async def list_parts(connection: Connection, upload_id: uuid.UUID) -> list[UploadPart]:
    """Return the acknowledged runs in file order."""
    rows = await connection.fetch(
        """SELECT offset_bytes, size_bytes, object_key FROM upload_parts
            WHERE upload_id = $1 ORDER BY offset_bytes""",
        upload_id,
    )
    return read_rows(UploadPart, rows)
