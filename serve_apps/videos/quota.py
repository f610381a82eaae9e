"""Rules about room: how large a file may be, how many arrive, what one person's may take together.

A file is measured when it is announced; one whose length is not told, with every piece that came.
Called inside a transaction: those for one person follow each other.
"""

from __future__ import annotations

import uuid

from kit.errors import AppError
from kit.setting_sections import UploadSettings
from kit.settings import Settings
from storage import quota, uploads
from storage.database import Connection


class VideoTooLarge(AppError):
    """The file is larger than this site takes."""

    code, status, message = "video_too_large", 413, "The file is larger than this site takes."


class TooManyUploads(AppError):
    """The person has as many unfinished uploads as allowed; finish or give up one."""

    code, status = "too_many_uploads", 429
    message = "Finish or give up one of your unfinished uploads first."


class QuotaExceeded(AppError):
    """The person's files take as much as they may, deleted ones included while their bytes stay."""

    code, status = "quota_exceeded", 413
    message = "Your videos take as much room as they may; delete some first."


async def check_room(
    connection: Connection, limits: UploadSettings, owner_id: uuid.UUID, size_bytes: int | None
) -> None:
    """Raise VideoTooLarge, TooManyUploads or QuotaExceeded before a byte is taken."""
    if size_bytes is not None and size_bytes > limits.size_bytes_max:
        raise VideoTooLarge(size_bytes_max=limits.size_bytes_max)
    await quota.hold_usage(connection, owner_id)
    if await quota.count_open_uploads(connection, owner_id) >= limits.per_user_max:
        raise TooManyUploads(open_max=limits.per_user_max)
    used_bytes = await quota.sum_used_bytes(connection, owner_id)
    if used_bytes + (size_bytes or 0) > limits.quota_bytes:
        raise await _describe_use(connection, limits, owner_id, used_bytes)


async def check_growth(
    connection: Connection, settings: Settings, upload: uploads.Upload, size_bytes: int
) -> int:
    """Refuse that a file has so many bytes; return how many it may have, beside all others by now.

    Raises VideoTooLarge, QuotaExceeded.
    """
    limits = settings.uploads
    if size_bytes > limits.size_bytes_max:
        raise VideoTooLarge(size_bytes_max=limits.size_bytes_max)
    await quota.hold_usage(connection, upload.owner_id)
    used_bytes = await quota.sum_used_bytes(connection, upload.owner_id, apart_from=upload.id)
    if used_bytes + size_bytes > limits.quota_bytes:
        raise await _describe_use(connection, limits, upload.owner_id, used_bytes)
    return min(limits.size_bytes_max, limits.quota_bytes - used_bytes)


async def declare_size(
    connection: Connection, settings: Settings, upload: uploads.Upload, size_bytes: int
) -> bool:
    """Take the length of a file that had none; False when it is less than has arrived."""
    await check_growth(connection, settings, upload, size_bytes)
    return await uploads.set_size(connection, upload.id, size_bytes)


async def _describe_use(
    connection: Connection, limits: UploadSettings, owner_id: uuid.UUID, used_bytes: int
) -> QuotaExceeded:
    """Say what takes the room: deleting more gives none at once where deleted videos hold it."""
    deleted_bytes = await quota.sum_deleted_bytes(connection, owner_id)
    text = None
    if deleted_bytes > 0:
        held = f"{deleted_bytes / 1e9:,.1f} GB" if deleted_bytes >= 1e8 else f"{deleted_bytes:,} B"
        text = (
            "Your videos take as much room as they may; deleted ones hold "
            f"{held} of it until their bytes are removed. In the trash they are deleted for good."
        )
    return QuotaExceeded(
        text,
        quota_bytes=limits.quota_bytes,
        used_bytes=used_bytes,
        deleted_bytes=deleted_bytes,
    )
