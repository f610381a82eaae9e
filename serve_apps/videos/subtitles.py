"""Rules about subtitles: the owner writes, replaces and removes a language; whoever watches reads.

Routes call it; so does the job that has captions written (`captioning.py`): `keep_subtitles` with
the origin "automatic" is its door, and never replaces what a person wrote. The text is an object
of its own each time it is written, stored before the row that names it and removed behind it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from kit.errors import AppError, NotFound
from kit.ids import make_id
from media.vod.records import subtitles_key
from media.vod.subtitles import parse_subtitles, write_webvtt
from serve_apps.access.identity import Identity
from serve_apps.videos.service import VideoNotFound, get_own_video
from storage import subtitles
from storage.database import Connection, Database, WriteOutcomeUnknown
from storage.objects import ObjectStore
from storage.subtitles import Subtitles

LANGUAGES_MAX = 40


class SubtitlesNotFound(NotFound):
    """The video has no subtitles in this language."""

    code, message = "subtitles_not_found", "There are no subtitles in this language."


class TooManyLanguages(AppError):
    """The video has as many languages as it may."""

    code, status = "too_many_languages", 409
    message = "This video has subtitles in as many languages as it may; remove one first."


@dataclass(frozen=True)
class Draft:
    """A language as it was sent, not yet read."""

    language: str
    label: str
    text: str
    origin: str = "uploaded"


async def write_subtitles(
    database: Database, objects: ObjectStore, caller: Identity, video_id: uuid.UUID, draft: Draft
) -> None:
    """Read what the owner sent and keep it; raises SubtitlesMalformed, TooManyLanguages, others."""
    async with database.transaction() as connection:
        await get_own_video(connection, caller, video_id)
    await keep_subtitles(database, objects, video_id, draft)


async def keep_subtitles(
    database: Database, objects: ObjectStore, video_id: uuid.UUID, draft: Draft
) -> bool:
    """Keep a language; False when it is automatic and a person wrote one before.

    Raises SubtitlesMalformed, TooManyLanguages, and VideoNotFound for one that was deleted.
    """
    data = write_webvtt(parse_subtitles(draft.text)).encode()
    file = f"{draft.language}-{make_id().hex[-12:]}.vtt"
    await objects.put(subtitles_key(str(video_id), file), data)
    made = Subtitles(draft.language, draft.label, draft.origin, file)
    try:
        async with database.transaction() as connection:
            before = await _hold_files(connection, video_id)
            if draft.language not in before and len(before) >= LANGUAGES_MAX:
                raise TooManyLanguages(languages_max=LANGUAGES_MAX)
            is_kept = await subtitles.put_subtitles(connection, video_id, made)
    except WriteOutcomeUnknown:
        raise  # the row may name it
    except AppError:
        await objects.delete(subtitles_key(str(video_id), file))
        raise
    unused = before.get(draft.language) if is_kept else file
    if unused is not None:
        await objects.delete(subtitles_key(str(video_id), unused))
    return is_kept


async def remove_subtitles(
    database: Database, objects: ObjectStore, caller: Identity, video_id: uuid.UUID, language: str
) -> None:
    """Remove a language; raises SubtitlesNotFound beside `get_own_video`'s."""
    async with database.transaction() as connection:
        await get_own_video(connection, caller, video_id)
        before = await _hold_files(connection, video_id)
        if not await subtitles.remove_subtitles(connection, video_id, language):
            raise SubtitlesNotFound
    await objects.delete(subtitles_key(str(video_id), before[language]))


async def _hold_files(connection: Connection, video_id: uuid.UUID) -> dict[str, str]:
    """Return the object's name by language, as it is until the transaction ends."""
    if not await subtitles.hold_subtitles(connection, video_id):
        raise VideoNotFound
    found = await subtitles.list_subtitles(connection, video_id)
    return {each.language: each.file for each in found}
