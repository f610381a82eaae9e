"""What plays of a ready video: whatever changes it is told, and nothing else is."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from storage import publications, videos
from storage.access_changes import PLAYBACK, list_access_changes
from storage.database import Connection, Database
from storage.likes import add_video_like
from storage.recordings import Further, finish_making
from storage.subtitles import Subtitles, put_subtitles, remove_subtitles
from storage.video_labels import VideoLabels, change_labels
from storage.video_plans import revise_plan
from storage.video_playback import PlaybackRecord, find_playback
from storage.video_versions import (
    insert_version,
    remove_version,
    set_version_plan,
    set_version_progress,
    start_version,
    swap_version,
)
from tests.storage.live_rows import create_room_row
from tests.storage.video_rows import create_owner, create_ready_video

pytestmark = pytest.mark.db

Change = Callable[[Connection, uuid.UUID], Awaitable[object]]
LATER = datetime.now(UTC) + timedelta(days=1)


def say(file: str) -> Change:
    made = Subtitles("en", "English", "uploaded", file)
    return lambda connection, video_id: put_subtitles(connection, video_id, made)


async def show(
    connection: Connection, video_id: uuid.UUID, visibility: str | None, title: str | None = None
) -> None:
    await videos.change_video(
        connection, video_id, title=title, description=None, visibility=visibility
    )


async def publish(connection: Connection, video_id: uuid.UUID) -> None:
    await connection.execute("UPDATE videos SET publish_at = now() WHERE id = $1", video_id)
    assert await publications.open_due_video(connection, video_id)


async def withdraw(connection: Connection, video_id: uuid.UUID) -> None:
    await connection.execute("UPDATE videos SET withdraw_at = now() WHERE id = $1", video_id)
    assert await publications.withdraw_due_video(connection, video_id)


async def make_again(connection: Connection, video_id: uuid.UUID) -> None:
    """Make version 2, up to the moment in which it is to play."""
    assert await insert_version(connection, video_id, {}) == 2
    await revise_plan(connection, video_id, {})
    assert await start_version(connection, video_id, 2)
    await set_version_plan(connection, video_id, 2, {})
    assert await set_version_progress(connection, video_id, 2, 0.5)


async def label(connection: Connection, video_id: uuid.UUID) -> None:
    labels = VideoLabels(["walks"], "travel", "en", None)
    await change_labels(connection, video_id, labels)
    await show(connection, video_id, None, title="Another walk")
    await videos.note_left_out(connection, video_id, {"previews": "too_short"})


async def like(connection: Connection, video_id: uuid.UUID) -> None:
    fan_id = await create_owner(connection, "bob")
    assert await add_video_like(connection, video_id, fan_id, LATER)


async def schedule(connection: Connection, video_id: uuid.UUID) -> None:
    publication = publications.Publication(LATER, "public")
    assert await publications.schedule_video(connection, video_id, publication)


async def record_live(connection: Connection, video_id: uuid.UUID) -> None:
    owner_id = await connection.fetchval("SELECT owner_id FROM videos WHERE id = $1", video_id)
    await connection.execute(
        "INSERT INTO recordings "
        "(video_id, live_id, first_number, last_number, is_whole, aac, rungs)"
        " VALUES ($1, $2, 0, 1, false, 'making', 'making')",
        video_id,
        await create_room_row(connection, owner_id),
    )


TOLD: dict[str, Change] = {
    "subtitles": say("en-1.vtt"),
    "other subtitles": say("en-2.vtt"),
    "no subtitles": lambda connection, video_id: remove_subtitles(connection, video_id, "en"),
    "picture": lambda connection, video_id: videos.choose_thumbnail(connection, video_id, "x"),
    "preview": videos.set_preview,
    "hidden": lambda connection, video_id: show(connection, video_id, "followers"),
    "scheduled": schedule,
    "published": publish,
    "withdrawn": withdraw,
    "another version": lambda connection, video_id: swap_version(connection, video_id, 2),
    "one version": lambda connection, video_id: remove_version(connection, video_id, 1, []),
    "aac": lambda connection, video_id: finish_making(connection, video_id, Further.AAC, 9),
    "rungs": lambda connection, video_id: finish_making(connection, video_id, Further.RUNGS, 9),
    "deleted": videos.delete_video,
}
UNTOLD: dict[str, Change] = {
    "labels": label,
    "like": like,
    "time to be withdrawn": lambda connection, video_id: publications.set_withdrawal(
        connection, video_id, LATER + timedelta(days=1)
    ),
    "version in the making": make_again,
    "recording": record_live,
}


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with database.connection() as connection:
        yield connection


async def look(connection: Connection, video_id: uuid.UUID) -> PlaybackRecord:
    """Return what plays, whose version is the one that is told."""
    record = await find_playback(connection, video_id)
    assert record is not None
    changes = await list_access_changes(connection, 60)
    told = {
        change.version for change in changes if (change.kind, change.id) == (PLAYBACK, video_id)
    }
    assert told == ({record.playback_version} if record.playback_version > 1 else set())
    return record


async def test_whatever_changes_what_plays_is_told_and_nothing_else(connection: Connection) -> None:
    owner_id = await create_owner(connection)
    video_id = await create_ready_video(connection, owner_id)
    before = await look(connection, video_id)
    for what, change in UNTOLD.items():
        await change(connection, video_id)
        assert await look(connection, video_id) == before, what
    for what, change in TOLD.items():
        await change(connection, video_id)
        after = await look(connection, video_id)
        assert after.playback_version > before.playback_version, what
        assert msgspec.structs.replace(after, playback_version=before.playback_version) != before
        before = after


async def test_of_a_video_that_is_not_ready_its_own_row_tells_nothing(
    connection: Connection,
) -> None:
    video_id = await create_ready_video(connection, await create_owner(connection))
    await connection.execute("UPDATE videos SET status = 'processing' WHERE id = $1", video_id)
    assert (await look(connection, video_id)).playback_version == 2, "it was ready"
    await show(connection, video_id, "private")
    await videos.choose_thumbnail(connection, video_id, "x")
    assert await videos.finish_video(connection, video_id)
    assert (await look(connection, video_id)).playback_version == 2


async def test_a_deleted_account_is_told_of_its_videos_by_its_own_version(
    connection: Connection,
) -> None:
    owner_id = await create_owner(connection)
    before = await look(connection, video_id := await create_ready_video(connection, owner_id))
    await connection.execute("UPDATE users SET deleted_at = now() WHERE id = $1", owner_id)
    after = await look(connection, video_id)
    assert (before.is_gone, after.is_gone) == (False, True)
    changes = await list_access_changes(connection, 60)
    assert [(change.kind, change.id, change.version) for change in changes] == [
        ("user", owner_id, after.owner_version)
    ]
    assert after.owner_version > before.owner_version
