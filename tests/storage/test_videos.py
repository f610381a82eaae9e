"""Rows of videos: who sees them, how their state may move."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from storage import videos
from storage.database import Database
from storage.video_lists import list_channel_videos, list_owned_videos, list_public_videos
from storage.video_playback import find_playback
from tests.storage.video_rows import create_owner, create_video_row
from tests.storage.waiting import wait_until_blocked

pytestmark = pytest.mark.db


async def test_a_video_goes_from_upload_to_ready_in_order(database: Database):
    async with database.transaction() as connection:
        video_id = await create_video_row(connection, await create_owner(connection))
        assert not await videos.start_processing(connection, video_id)
        assert not await videos.finish_video(connection, video_id)
        assert await videos.queue_video(connection, video_id)
        assert not await videos.queue_video(connection, video_id)
        assert await videos.start_processing(connection, video_id)
        assert await videos.finish_video(connection, video_id)
        assert not await videos.fail_video(connection, video_id, "late", "Too late to fail.")
        video = await videos.find_video(connection, video_id)
    assert video is not None
    assert (video.status, video.progress, video.error_code) == ("ready", 1.0, None)
    assert video.playable_at is not None
    assert video.owner_username == "ada"


async def test_a_failed_video_says_why(database: Database):
    async with database.transaction() as connection:
        video_id = await create_video_row(connection, await create_owner(connection))
        assert await videos.fail_video(connection, video_id, "media_unreadable", "Not a video.")
        video = await videos.find_video(connection, video_id)
    assert video is not None
    assert (video.status, video.error_code, video.error_message) == (
        "failed",
        "media_unreadable",
        "Not a video.",
    )


async def test_progress_never_goes_back_and_playable_is_said_once(database: Database):
    async with database.transaction() as connection:
        video_id = await create_video_row(connection, await create_owner(connection))
        await videos.queue_video(connection, video_id)
        await videos.start_processing(connection, video_id)
        await videos.set_progress(connection, video_id, 0.5, is_playable=True)
        first = await videos.find_video(connection, video_id)
        await videos.set_progress(connection, video_id, 0.3, is_playable=True)
        second = await videos.find_video(connection, video_id)
    assert first is not None
    assert second is not None
    assert second.progress == pytest.approx(0.5)
    assert second.playable_at == first.playable_at


async def test_another_visibility_ends_the_grants_that_were_given(database: Database):
    async with database.transaction() as connection:
        video_id = await create_video_row(connection, await create_owner(connection))
        await videos.change_video(
            connection, video_id, title="A run", description=None, visibility="public"
        )
        same = await videos.find_video(connection, video_id)
        await videos.change_video(
            connection, video_id, title=None, description=None, visibility="private"
        )
        other = await videos.find_video(connection, video_id)
    assert same is not None
    assert other is not None
    assert (same.title, same.access_version) == ("A run", 1)
    assert (other.title, other.access_version, other.visibility) == ("A run", 2, "private")


async def test_a_deleted_video_is_gone_for_every_reader_but_playback(database: Database):
    async with database.transaction() as connection:
        owner_id = await create_owner(connection)
        video_id = await create_video_row(connection, owner_id)
        assert not await videos.remove_deleted_video(connection, video_id)
        assert await videos.delete_video(connection, video_id)
        assert not await videos.delete_video(connection, video_id)
        assert await videos.find_video(connection, video_id) is None
        assert await videos.list_videos(connection, [video_id]) == []
        owned = await list_owned_videos(connection, owner_id, before=None, limit=10)
        assert owned == []
        record = await find_playback(connection, video_id)
        assert record is not None
        assert record.is_gone
        assert record.access_version == 2
        assert await videos.remove_deleted_video(connection, video_id)
        assert await find_playback(connection, video_id) is None


SOURCE = videos.VideoSource("videos/x/source", b"x" * 32, 40)


async def list_duplicates(database: Database, *video_ids: uuid.UUID) -> list[uuid.UUID | None]:
    """Of which other video each is a duplicate."""
    async with database.connection() as connection:
        found = [await videos.find_duplicate(connection, video_id) for video_id in video_ids]
    return [None if video is None else video.id for video in found]


async def take_in(database: Database, video_id: uuid.UUID) -> None:
    async with database.transaction() as connection:
        await videos.set_source(connection, video_id, SOURCE)


async def test_of_equal_files_the_one_that_was_whole_first_is_no_duplicate(database: Database):
    async with database.transaction() as connection:
        owner_id = await create_owner(connection)
        early, late, third = [await create_video_row(connection, owner_id) for _ in range(3)]
        other_id = await create_video_row(connection, await create_owner(connection, "bob"))
    await take_in(database, other_id)
    await take_in(database, late)
    assert await list_duplicates(database, late) == [None]
    await take_in(database, early)
    await take_in(database, third)
    assert await list_duplicates(database, late, early, third) == [None, late, late]
    async with database.transaction() as connection:
        await videos.delete_video(connection, late)
    assert await list_duplicates(database, early, third) == [None, early]


async def test_of_equal_files_that_become_whole_at_once_just_one_is_a_duplicate(database: Database):
    async with database.transaction() as connection:
        owner_id = await create_owner(connection)
        first, second = [await create_video_row(connection, owner_id) for _ in range(2)]
    async with database.transaction() as connection:
        await videos.set_source(connection, second, SOURCE)
        other = asyncio.create_task(take_in(database, first))
        await wait_until_blocked(database)
    await other
    assert await list_duplicates(database, first, second) == [second, None]


async def test_lists_page_backwards_and_show_strangers_only_what_is_ready_and_open(
    database: Database,
):
    async with database.transaction() as connection:
        owner_id = await create_owner(connection)
        made: list[uuid.UUID] = []
        for visibility in ("public", "private", "public", "public"):
            video_id = await create_video_row(connection, owner_id, visibility=visibility)
            made.append(video_id)
        for video_id in made[:3]:
            await videos.queue_video(connection, video_id)
            await videos.start_processing(connection, video_id)
            await videos.finish_video(connection, video_id)
        newest = await list_public_videos(connection, before=None, limit=1)
        last = (newest[0].listed_at, newest[0].id)
        older = await list_public_videos(connection, before=last, limit=5)
        owned = await list_owned_videos(connection, owner_id, before=None, limit=10)
        shown = await list_channel_videos(connection, owner_id, ["public"], before=None, limit=10)
    assert [video.id for video in newest] == [made[2]]
    assert [video.id for video in older] == [made[0]]
    assert [video.id for video in owned] == made[::-1]
    assert [video.id for video in shown] == [made[2], made[0]]
