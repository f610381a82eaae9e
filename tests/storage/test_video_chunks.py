"""Rows of transcoding work: order, retries, and what survives a stopped runner."""

from __future__ import annotations

import uuid

import pytest

from storage import video_chunks, videos
from storage.database import Connection, Database
from storage.video_chunks import NewChunk, Tries
from tests.storage.video_rows import create_owner, create_video_row

pytestmark = pytest.mark.db


async def create_chunks(connection: Connection) -> uuid.UUID:
    video_id = await create_video_row(connection, await create_owner(connection))
    pieces = [NewChunk("rest", 2, {"kind": "chunk"}), NewChunk("audio", 0, {"kind": "audio"})]
    await video_chunks.insert_chunks(connection, video_id, pieces)
    await video_chunks.insert_chunks(connection, video_id, [*pieces, NewChunk("first", 1, {})])
    await connection.execute("UPDATE videos SET status = 'processing' WHERE id = $1", video_id)
    return video_id


async def test_pieces_come_in_the_order_of_their_positions_and_once_each(database: Database):
    async with database.transaction() as connection:
        video_id = await create_chunks(connection)
        chunks = await video_chunks.list_chunks(connection, video_id)
    assert [chunk.name for chunk in chunks] == ["audio", "first", "rest"]
    assert {chunk.state for chunk in chunks} == {"pending"}


async def test_a_result_is_kept_and_read_back_as_it_was(database: Database):
    record = {"task_id": "audio", "tracks": [{"segments": [1, 2]}]}
    async with database.transaction() as connection:
        video_id = await create_chunks(connection)
        assert await video_chunks.start_chunk(connection, video_id, "audio")
        await video_chunks.finish_chunk(connection, video_id, "audio", record)
        assert not await video_chunks.start_chunk(connection, video_id, "audio")
        assert await video_chunks.list_results(connection, video_id) == [record]
        chunk = await video_chunks.find_chunk(connection, video_id, "audio")
    assert chunk is not None
    assert (chunk.state, chunk.result) == ("done", record)


async def test_tries_are_kept_and_the_last_one_ends_the_piece(database: Database):
    counts = [Tries(losses=1, steps=4), Tries(attempts=1, losses=1, steps=4)]
    async with database.transaction() as connection:
        video_id = await create_chunks(connection)
        states = []
        for tries in counts:
            await video_chunks.start_chunk(connection, video_id, "rest")
            await video_chunks.save_tries(
                connection, (video_id, "rest"), tries, "worker lost", is_last=tries is counts[-1]
            )
            assert await video_chunks.lock_tries(connection, video_id, "rest") == tries
            chunk = await video_chunks.find_chunk(connection, video_id, "rest")
            assert chunk is not None
            states.append((chunk.state, chunk.attempts, chunk.losses))
    assert states == [("pending", 0, 1), ("failed", 1, 1)]


async def test_a_piece_that_is_done_is_counted_no_more(database: Database):
    async with database.transaction() as connection:
        video_id = await create_chunks(connection)
        await video_chunks.finish_chunk(connection, video_id, "rest", {})
        assert await video_chunks.lock_tries(connection, video_id, "rest") is None
        await video_chunks.save_tries(
            connection, (video_id, "rest"), Tries(attempts=1), "late", is_last=True
        )
        chunk = await video_chunks.find_chunk(connection, video_id, "rest")
    assert chunk is not None
    assert (chunk.state, chunk.attempts) == ("done", 0)


async def test_a_video_tried_again_has_all_its_tries(database: Database):
    async with database.transaction() as connection:
        video_id = await create_chunks(connection)
        await video_chunks.save_tries(
            connection, (video_id, "rest"), Tries(2, 16, 4), "worker lost", is_last=True
        )
        await video_chunks.renew_failed_chunks(connection, video_id)
        tries = await video_chunks.lock_tries(connection, video_id, "rest")
    assert tries == Tries(steps=4)


async def test_a_stopped_runner_costs_its_pieces_no_attempt(database: Database):
    async with database.transaction() as connection:
        video_id = await create_chunks(connection)
        await video_chunks.start_chunk(connection, video_id, "audio")
        await video_chunks.reset_running_chunks(connection, video_id)
        chunk = await video_chunks.find_chunk(connection, video_id, "audio")
    assert chunk is not None
    assert (chunk.state, chunk.attempts) == ("pending", 0)


async def test_pieces_of_a_deleted_video_do_not_start(database: Database):
    async with database.transaction() as connection:
        video_id = await create_chunks(connection)
        await videos.delete_video(connection, video_id)
        assert not await video_chunks.start_chunk(connection, video_id, "audio")
        assert await video_chunks.find_chunk(connection, video_id, "audio") is None
