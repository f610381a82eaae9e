"""Rules about files that clients announce to an edge: whole ones, parts, and parts joined.

Wiring lends it to the edge's upload server, which opens the transaction. What a client says about
its file (title, filename, visibility, protected, publish_at, duration_ms) travels in
Upload-Metadata, or, but for publish_at, in the fields of a form.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from kit.errors import AppError
from kit.ids import make_id
from kit.settings import Settings
from serve_apps.access.identity import Identity
from serve_apps.access.visibility import Visibility
from serve_apps.videos.quota import check_room
from serve_apps.videos.service import VideoOrder, finish_upload, open_upload
from serve_apps.videos.upload_jobs import enqueue_collection, expect_upload
from storage import uploads, videos
from storage.database import Connection

TITLE_CHARS_MAX = 200
FILENAME_CHARS_MAX = 255
DESCRIPTION_CHARS_MAX = 5000
DIGITS_MAX = 12
NO_NAME = "Untitled"


class UploadPartsMissing(AppError):
    """A final upload names parts that are not complete, not the caller's, or joined already."""

    code, status, message = "upload_parts_missing", 409, "Not every part is there and complete."


class UploadWordsInvalid(AppError):
    """The file's metadata says something this site does not know."""

    code, status, message = "upload_metadata_invalid", 400, "Something said of the file is unknown."


async def open_file(
    connection: Connection, settings: Settings, owner: Identity, file: uploads.NewFile
) -> uuid.UUID:
    """Open an upload, with its video unless it is only a part; return the upload's id.

    Raises VideoTooLarge, VideoTooLong, TooManyUploads, QuotaExceeded, UploadPartsMissing,
    UploadWordsInvalid, PublicationUnfit.
    """
    if file.is_partial:
        return await _open_part(connection, settings, owner, file)
    if file.parts:
        return await _join(connection, settings, owner, file)
    if file.size_bytes is None and file.bytes_min:
        await check_room(connection, settings.uploads, owner.user_id, file.bytes_min)
    _video_id, upload_id, _expires_at = await open_upload(
        connection, settings, owner, _read_order(file, file.size_bytes)
    )
    return upload_id


async def describe_file(
    connection: Connection, upload: uploads.Upload, file: uploads.NewFile
) -> None:
    """Take what was said of a file since it was opened; raises UploadWordsInvalid."""
    assert upload.video_id is not None, "a part of a file is described with the whole"
    order = _read_order(file, None)
    await videos.change_video(
        connection,
        upload.video_id,
        title=order.title,
        description=order.description,
        visibility=order.visibility.value,
    )
    if order.is_protected is not None:
        await videos.set_protected(connection, upload.video_id, is_protected=order.is_protected)


async def foresee_end(connection: Connection, upload: uploads.Upload) -> None:
    """The last bytes of a file, or of a part of one, come within seconds."""
    await expect_upload(connection, upload.id)


async def _open_part(
    connection: Connection, settings: Settings, owner: Identity, file: uploads.NewFile
) -> uuid.UUID:
    await check_room(connection, settings.uploads, owner.user_id, file.size_bytes)
    upload_id = make_id()
    await uploads.insert_upload(
        connection,
        uploads.NewUpload(
            upload_id,
            None,
            owner.user_id,
            _cut(file.words.get("filename", NO_NAME), FILENAME_CHARS_MAX),
            file.size_bytes,
            settings.uploads.expires_s,
            file.metadata,
            file.concat,
        ),
    )
    await enqueue_collection(connection, upload_id, delay_s=settings.uploads.expires_s)
    return upload_id


async def _join(
    connection: Connection, settings: Settings, owner: Identity, file: uploads.NewFile
) -> uuid.UUID:
    """Open the final upload of parts that are all there, and end it at once."""
    found = await uploads.take_finished_parts(connection, owner.user_id, file.parts)
    if {part.id for part in found} != set(file.parts) or len(found) != len(file.parts):
        raise UploadPartsMissing
    size_bytes = sum(part.size_bytes or 0 for part in found)
    _video_id, upload_id, _expires_at = await open_upload(
        connection, settings, owner, _read_order(file, size_bytes)
    )
    await uploads.join_uploads(connection, upload_id, file.parts)
    upload = await uploads.find_upload(connection, upload_id)
    assert upload is not None, "it was written in this very transaction"
    await finish_upload(connection, upload)
    return upload_id


def _read_order(file: uploads.NewFile, size_bytes: int | None) -> VideoOrder:
    words = file.words
    filename = _cut(words.get("filename") or words.get("name") or NO_NAME, FILENAME_CHARS_MAX)
    visibility = words.get("visibility", Visibility.PUBLIC.value)
    if visibility not in {known.value for known in Visibility}:
        raise UploadWordsInvalid(visibility=visibility[:20])
    publish_at = words.get("publish_at")
    return VideoOrder(
        title=_cut(words.get("title") or filename.rpartition(".")[0] or filename, TITLE_CHARS_MAX),
        filename=filename,
        size_bytes=size_bytes,
        description=words.get("description", "")[:DESCRIPTION_CHARS_MAX],
        visibility=Visibility(visibility),
        metadata=file.metadata,
        concat=file.concat,
        publish_at=None if publish_at is None else _read_time(publish_at),
        is_protected=_read_choice(words.get("protected")),
        duration_ms=_read_count(words.get("duration_ms")),
    )


def _read_count(text: str | None) -> int | None:
    """Read a whole number, or that nothing was said; raises UploadWordsInvalid."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX):
        raise UploadWordsInvalid(duration_ms=text[:20])
    return int(text)


def _read_choice(text: str | None) -> bool | None:
    """Read a yes or no, or that nothing was said; raises UploadWordsInvalid."""
    if text not in (None, "true", "false"):
        raise UploadWordsInvalid(protected=text[:20])
    return None if text is None else text == "true"


def _read_time(text: str) -> datetime:
    """Read RFC 3339 with its zone; raises UploadWordsInvalid."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise UploadWordsInvalid(publish_at=text[:40])
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UploadWordsInvalid(publish_at=text[:40]) from error


def _cut(text: str, chars_max: int) -> str:
    return text.strip()[:chars_max] or NO_NAME
