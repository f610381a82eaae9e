"""When segments of a live go, and what may still be made of them: who is faster changes nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid

import httpx
import msgspec
import pytest

from kit.clock import ManualClock
from kit.events import Event, EventName
from kit.settings import Settings
from serve_apps.http.state import ApiPorts
from serve_apps.live.jobs import (
    HANDLERS,
    LAST_SEGMENT_WAIT_S,
    LiveStillListed,
    forget_taken_down,
    keep_or_forget,
)
from serve_apps.live.recording import LiveJob
from storage.database import Database
from storage.events import append_event
from storage.live_segments import SegmentRange, list_segments
from storage.lives import delete_live
from storage.objects import ObjectStore
from storage.recordings import PURGE_SEGMENTS_JOB
from tests.serve_apps.api_client import Person, deliver_all
from tests.serve_apps.live.ended_live import MOMENT, Ended

pytestmark = pytest.mark.media


@pytest.fixture
def ended(ada: Person, ports: ApiPorts, settings: Settings, client: httpx.AsyncClient) -> Ended:
    return Ended(ada, ports, settings, client)


async def count_stored(database: Database, live_id: uuid.UUID) -> int:
    async with database.connection() as connection:
        rows = await list_segments(connection, SegmentRange(live_id, 0, 999))
    return sum(bool(row.tracks) for row in rows)


class HastyClock(ManualClock):
    """Time flies: each look at it is as late as one waits for a last segment."""

    def monotonic_s(self) -> float:
        self.advance(LAST_SEGMENT_WAIT_S)
        return super().monotonic_s()


async def test_a_recording_waits_for_what_its_edge_still_stores(
    ended: Ended, database: Database
) -> None:
    live_id = await ended.announce(2)
    async with database.connection() as connection:
        await connection.execute("UPDATE lives SET status = 'ended', ended_at = now()")
    jobs = dataclasses.replace(ended.jobs, clock=HastyClock())
    event = Event(ended.event_id, EventName.STREAM_ENDED, live_id, None, {}, MOMENT)
    with pytest.raises(LiveStillListed):
        await keep_or_forget(jobs, event)
    assert (await ended.ada.get(f"/v1/live/{live_id}"))["recording_id"] is None
    async with database.connection() as connection:
        await connection.execute("UPDATE live_origins SET closed_at = now()")
    await keep_or_forget(jobs, event)
    assert (await ended.ada.get(f"/v1/live/{live_id}"))["recording_id"] is not None


async def test_segments_stay_until_it_is_decided_what_becomes_of_the_live(
    ended: Ended, ports: ApiPorts, database: Database
) -> None:
    live_id = await ended.announce(4)
    async with database.transaction() as connection:
        await append_event(connection, EventName.STREAM_ENDED, subject_id=live_id)
    await ended.write_end(live_id)
    # Somebody's clip was deleted long ago: its time comes now.
    await ended.run(PURGE_SEGMENTS_JOB, LiveJob(live_id))
    assert await count_stored(database, live_id) == 4
    await deliver_all(ports)
    assert (await ended.ada.get(f"/v1/live/{live_id}"))["recording_id"] is not None
    await ended.run(PURGE_SEGMENTS_JOB, LiveJob(live_id))
    assert await count_stored(database, live_id) == 4


class SlowStore(ObjectStore):
    """A store that removes nothing until it is told to go on."""

    reached: asyncio.Event
    may_go: asyncio.Event

    async def delete(self, key: str) -> None:
        self.reached.set()
        await self.may_go.wait()
        await super().delete(key)


async def test_no_clip_is_made_of_segments_that_go(
    ended: Ended, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    live_id = await ended.announce(4, record=False)
    await ended.end(live_id)
    store = SlowStore.open(f"file://{tmp_path_factory.mktemp('slow')}")
    store.reached, store.may_go = asyncio.Event(), asyncio.Event()
    jobs = dataclasses.replace(ended.jobs, objects=store)
    payload = msgspec.json.encode(LiveJob(live_id))
    purging = asyncio.create_task(HANDLERS[PURGE_SEGMENTS_JOB].handle(jobs, payload))
    await store.reached.wait()
    path = f"/v1/live/{live_id}/clips"
    answer = await ended.ada.call("POST", path, json={"seconds": 5})
    assert (answer.status_code, answer.json()["error"]) == (409, "nothing_to_clip")
    store.may_go.set()
    await purging
    async with database.connection() as connection:
        assert not await list_segments(connection, SegmentRange(live_id, 0, 999))


async def test_segments_go_with_a_live_whose_room_did_not_live_to_end_it(
    ended: Ended, database: Database
) -> None:
    live_id = await ended.announce(2)
    async with database.transaction() as connection:
        await delete_live(connection, live_id, takedown_reason="Shows a film of others.")
    event = Event(ended.event_id, EventName.STREAM_TAKEN_DOWN, live_id, None, {}, MOMENT)
    for _ in range(2):
        await forget_taken_down(ended.jobs, event)
    async with database.connection() as connection:
        jobs = await connection.fetch(
            "SELECT payload FROM pgqueuer WHERE entrypoint = $1", PURGE_SEGMENTS_JOB
        )
    (job,) = jobs
    await HANDLERS[PURGE_SEGMENTS_JOB].handle(ended.jobs, job["payload"])
    assert await count_stored(database, live_id) == 0
