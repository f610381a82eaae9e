"""Rows of uploads: locks lapse, parts are written by the lock's owner alone."""

from __future__ import annotations

import uuid

import pytest

from kit.ids import make_id
from storage import quota, uploads, videos
from storage.database import Connection, Database
from storage.uploads import LockTerms, UploadPart
from tests.storage.video_rows import create_owner, create_upload_row, create_video_row

pytestmark = pytest.mark.db

LONG_S = 3600.0
"""A lock that no test outlives, however busy the machine."""


async def create_upload(connection: Connection, *, expires_s: int = 3600) -> uuid.UUID:
    owner_id = await create_owner(connection)
    video_id = await create_video_row(connection, owner_id)
    return await create_upload_row(connection, video_id, owner_id, 100, expires_s=expires_s)


async def test_the_offset_is_the_end_of_the_acknowledged_parts(database: Database):
    owner = make_id()
    async with database.transaction() as connection:
        upload_id = await create_upload(connection)
        fresh = await uploads.find_upload(connection, upload_id)
        await uploads.lock_upload(connection, upload_id, owner, 10)
        parts = [UploadPart(0, 40), UploadPart(40, 20)]
        assert await uploads.insert_parts(connection, upload_id, LockTerms(owner, 10, 60), parts)
        grown = await uploads.find_upload(connection, upload_id)
        assert await uploads.list_parts(connection, upload_id) == parts
    assert fresh is not None
    assert grown is not None
    assert (fresh.offset_bytes, fresh.is_locked) == (0, False)
    assert (grown.offset_bytes, grown.is_locked) == (60, True)


async def test_a_second_writer_is_refused_until_the_lock_lapses(database: Database):
    first, second = make_id(), make_id()
    async with database.connection() as connection:
        upload_id = await create_upload(connection)
        assert await uploads.lock_upload(connection, upload_id, first, LONG_S) is not None
        assert await uploads.lock_upload(connection, upload_id, second, LONG_S) is None
        await connection.execute("UPDATE uploads SET lock_until = clock_timestamp()")
        lost = LockTerms(first, 10, 7200)
        assert await uploads.renew_lock(connection, upload_id, lost) is None
        assert await uploads.lock_upload(connection, upload_id, second, LONG_S) is not None
        terms = LockTerms(first, 10, 60)
        assert not await uploads.insert_parts(connection, upload_id, terms, [UploadPart(0, 10)])
        await uploads.unlock_upload(connection, upload_id, first)
        assert await uploads.renew_lock(connection, upload_id, LockTerms(second, 10, None))


async def test_an_expired_upload_takes_no_lock_and_can_be_ended(database: Database):
    async with database.connection() as connection:
        upload_id = await create_upload(connection, expires_s=0)
        assert await uploads.lock_upload(connection, upload_id, make_id(), 10) is None
        assert await uploads.terminate_upload(connection, upload_id, only_expired=True)
        assert not await uploads.terminate_upload(connection, upload_id)


async def test_an_upload_that_still_has_time_is_not_ended_as_expired(database: Database):
    async with database.connection() as connection:
        upload_id = await create_upload(connection)
        assert not await uploads.terminate_upload(connection, upload_id, only_expired=True)
        assert await uploads.finish_upload(connection, upload_id)
        assert not await uploads.finish_upload(connection, upload_id)


async def test_only_open_uploads_count_against_a_person(database: Database):
    async with database.transaction() as connection:
        owner_id = await create_owner(connection)
        for expires_s in (3600, 3600, 0):
            video_id = await create_video_row(connection, owner_id)
            upload_id = await create_upload_row(
                connection, video_id, owner_id, 10, expires_s=expires_s
            )
        assert await quota.count_open_uploads(connection, owner_id) == 2
        upload = await uploads.find_upload_of_video(connection, video_id)
    assert upload is not None
    assert upload.id == upload_id
    assert uploads.make_part_key(upload_id, 5) == f"uploads/{upload_id}/0000000000000005"


async def test_each_acknowledged_part_begins_the_uploads_time_anew_and_never_shortens_it(
    database: Database,
):
    owner = make_id()
    async with database.connection() as connection:
        upload_id = await create_upload(connection)
        await connection.execute(
            "UPDATE uploads SET expires_at = clock_timestamp() - interval '1 s'"
        )
        await connection.execute(
            "UPDATE uploads SET lock_owner = $1, lock_until = now() + interval '1 hour'", owner
        )
        shown = []
        for start, expires_s in ((0, 3600.0), (10, 60.0)):
            terms, parts = LockTerms(owner, LONG_S, expires_s), [UploadPart(start, 10)]
            shown.append(await uploads.insert_parts(connection, upload_id, terms, parts))
        upload = await uploads.find_upload(connection, upload_id)
        assert upload is not None
        assert shown == [upload.expires_at] * 2
        assert not upload.is_expired
        assert 3000 < upload.left_s <= 3600


async def test_a_complete_part_is_ended_unless_it_was_joined(database: Database):
    async with database.connection() as connection:
        owner_id = await create_owner(connection)
        ids = [await create_upload_row(connection, None, owner_id, 10) for _ in range(2)]
        for upload_id in ids:
            await uploads.finish_upload(connection, upload_id)
        await uploads.take_finished_parts(connection, owner_id, ids[:1])
        ended = [await uploads.terminate_upload(connection, upload_id) for upload_id in ids]
        assert ended == [False, True]
        assert await uploads.take_finished_parts(connection, owner_id, ids) == []


async def test_an_uploads_bytes_are_needed_until_it_ends_or_they_are_a_source(database: Database):
    source = videos.VideoSource("videos/x/source", b"x" * 32, 10)
    async with database.transaction() as connection:
        owner_id = await create_owner(connection)

        async def create_ended(state: str, *, is_part: bool = False) -> uuid.UUID:
            video_id = None if is_part else await create_video_row(connection, owner_id)
            made = await create_upload_row(connection, video_id, owner_id, 10)
            await connection.execute("UPDATE uploads SET state = $2 WHERE id = $1", made, state)
            return made

        async def create_joined() -> tuple[uuid.UUID, uuid.UUID]:
            part = await create_ended("joined", is_part=True)
            await connection.execute(
                "INSERT INTO upload_parts (upload_id, offset_bytes, size_bytes) VALUES ($1, 0, 10)",
                part,
            )
            final = await create_ended("finished")
            await connection.execute("UPDATE uploads SET concat = 'final;' WHERE id = $1", final)
            await uploads.join_uploads(connection, final, [part])
            return part, final

        async def make_source(upload_id: uuid.UUID) -> None:
            upload = await uploads.find_upload(connection, upload_id)
            assert upload is not None
            assert upload.video_id is not None
            await videos.set_source(connection, upload.video_id, source)

        needed = {
            await create_ended("open"),
            await create_ended("finished"),
            await create_ended("finished", is_part=True),
            *await create_joined(),
        }
        part, final = await create_joined()
        made = await create_ended("finished")
        for upload_id in (final, made):
            await make_source(upload_id)
        others = {part, final, made, await create_ended("terminated"), make_id()}
        assert await uploads.list_needed(connection, [*needed, *others]) == needed


async def test_a_file_counts_against_the_quota_from_its_first_byte_until_its_bytes_are_gone(
    database: Database,
):
    lock_owner = make_id()
    async with database.connection() as connection:
        owner_id = await create_owner(connection)
        video_id = await create_video_row(connection, owner_id)
        upload_id = await create_upload_row(connection, video_id, owner_id, None)
        assert await quota.sum_used_bytes(connection, owner_id) == 0
        await uploads.lock_upload(connection, upload_id, lock_owner, 10)
        terms = LockTerms(lock_owner, 10, 60)
        await uploads.insert_parts(connection, upload_id, terms, [UploadPart(0, 40)])
        assert await quota.sum_used_bytes(connection, owner_id) == 40
        assert await quota.sum_used_bytes(connection, owner_id, apart_from=upload_id) == 0
        await uploads.set_size(connection, upload_id, 40)
        await uploads.finish_upload(connection, upload_id)
        assert await quota.sum_used_bytes(connection, owner_id) == 40
        source = videos.VideoSource("videos/x/source", b"x" * 32, 40)
        await videos.set_source(connection, video_id, source)
        assert await quota.sum_used_bytes(connection, owner_id) == 40
        assert await quota.sum_deleted_bytes(connection, owner_id) == 0
        await videos.delete_video(connection, video_id)
        assert await quota.sum_used_bytes(connection, owner_id) == 40
        assert await quota.sum_deleted_bytes(connection, owner_id) == 40
        await videos.remove_deleted_video(connection, video_id)
        assert await quota.sum_used_bytes(connection, owner_id) == 0
