"""Listed segments: only the publisher that was granted last lists any, each once."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import msgspec
import pytest

from storage.database import Connection, Database
from storage.live_segments import (
    LISTING_S,
    SegmentRange,
    StoredSegment,
    StoredTrack,
    close_origin,
    delete_segments,
    find_origin,
    insert_segment,
    list_newest_segments,
    list_segments,
    list_sent_segments,
    open_origin,
)
from storage.quota import sum_used_bytes
from storage.recordings import (
    Further,
    RecordedVideo,
    finish_making,
    insert_recording,
    leave_out,
    list_unneeded,
)
from tests.storage.live_rows import create_room_row, create_user_row

pytestmark = pytest.mark.db

MOMENT = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)
TRACK = StoredTrack("init0.mp4", "avc1.42c00d", 90_000, 0, 180_000, 5000, 320, 180)


def make_segment(live_id: uuid.UUID, number: int, origin_gen: int) -> StoredSegment:
    return StoredSegment(live_id, number, origin_gen, MOMENT, 2000, False, {"source": TRACK})


async def grant(connection: Connection, live_id: uuid.UUID, session: str, gen: int) -> None:
    """Make a session the live's publisher, as its room does."""
    await connection.execute(
        "UPDATE lives SET status = 'live', origin = $2, origin_gen = $3 WHERE id = $1",
        live_id,
        {"session": session},
        gen,
    )


async def test_a_later_publisher_ends_what_an_earlier_one_may_list(database: Database) -> None:
    async with database.connection() as connection:
        live_id = await create_room_row(connection, await create_user_row(connection, "ada"))
        assert await open_origin(connection, live_id, "first") is None  # nobody was granted yet
        await grant(connection, live_id, "first", 1)
        assert await open_origin(connection, live_id, "first") == 1
        assert await open_origin(connection, live_id, "other") is None
        assert await insert_segment(connection, make_segment(live_id, 0, 1))
        assert await insert_segment(connection, make_segment(live_id, 0, 1))  # again: no harm

        await grant(connection, live_id, "second", 2)
        assert await insert_segment(connection, make_segment(live_id, 1, 1))  # not yet taken over
        assert await open_origin(connection, live_id, "second") == 2
        assert not await insert_segment(connection, make_segment(live_id, 2, 1))
        assert not await insert_segment(connection, make_segment(live_id, 1, 2))  # taken
        assert await insert_segment(connection, make_segment(live_id, 2, 2))

        found = await list_segments(connection, SegmentRange(live_id, 1, 9))
        assert [(row.number, row.origin_gen) for row in found] == [(1, 1), (2, 2)]
        assert found[0].tracks == {"source": TRACK}
        assert found[0].started_at == MOMENT

        async def is_listing(ended_at: str) -> bool:
            await connection.execute(f"UPDATE lives SET status = 'ended', ended_at = {ended_at}")
            origin = await find_origin(connection, live_id)
            assert origin is not None
            return origin.is_listing

        assert await is_listing("now()")
        assert not await is_listing(f"now() - interval '{LISTING_S + 1} seconds'")
        await close_origin(connection, live_id, 2)
        assert not await is_listing("now()")
        assert not await insert_segment(connection, make_segment(live_id, 3, 2))
        assert not await delete_segments(connection, live_id, [0, 1])
        assert await delete_segments(connection, live_id, [2])
        assert await list_segments(connection, SegmentRange(live_id, 0, 9)) == []


async def test_slates_are_listed_but_no_video_names_them(database: Database) -> None:
    async with database.connection() as connection:
        owner_id = await create_user_row(connection, "ada")
        live_id = await create_room_row(connection, owner_id)
        await grant(connection, live_id, "first", 1)
        assert await open_origin(connection, live_id, "first") == 1
        slate = msgspec.structs.replace(TRACK, is_slate=True)
        for number in range(3):
            row = make_segment(live_id, number, 1)
            if number == 1:
                row = msgspec.structs.replace(row, tracks={"source": slate, "audio": slate})
            assert await insert_segment(connection, row)

        wanted = SegmentRange(live_id, 0, 9)
        assert [row.number for row in await list_segments(connection, wanted)] == [0, 1, 2]
        assert [row.number for row in await list_sent_segments(connection, wanted)] == [0, 2]
        newest = await list_newest_segments(connection, live_id, 2)
        assert [row.number for row in newest] == [0, 2]

        video = RecordedVideo(uuid.uuid4(), owner_id, "Kept", "public", 4000, 320, 180, True, True)
        assert await insert_recording(connection, video, SegmentRange(live_id, 0, 2))
        unneeded = await list_unneeded(connection, live_id, deleted_for_s=0)
        assert [row.number for row in unneeded] == [1]
        clip = RecordedVideo(uuid.uuid4(), owner_id, "Clip", "public", 2000, 320, 180, False, True)
        assert await insert_recording(connection, clip, SegmentRange(live_id, 0, 0))
        assert await sum_used_bytes(connection, owner_id) == 2 * TRACK.size_bytes
        aac = Further.AAC
        made = [await finish_making(connection, it.id, aac, 1000) for it in (video, video, clip)]
        assert made == [True, False, True]
        assert await sum_used_bytes(connection, owner_id) == 2 * (TRACK.size_bytes + 1000)
        assert not await leave_out(connection, clip.id, aac), "it is there"
        assert not await finish_making(connection, video.id, Further.RUNGS, 1), "none are wanted"
