"""What writers left half written is removed four times a day, and nothing that is in use."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from kit.clock import ManualClock
from kit.settings import Settings
from serve_apps.objects.jobs import (
    STALE_S,
    SWEEP_EVERY_S,
    SWEEP_JOB,
    SweepJob,
    begin_sweeping,
    decide_slot,
    sweep_staging,
)
from storage.cache import Cache
from storage.database import Database
from storage.durable_files import STAGING_FOLDER
from storage.objects import ObjectStore
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld

pytestmark = pytest.mark.db


async def list_runs(database: Database) -> list[tuple[int, datetime]]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT payload, execute_after FROM pgqueuer WHERE entrypoint = $1 ORDER BY id",
            SWEEP_JOB,
        )
    return [
        (msgspec.json.decode(row["payload"], type=SweepJob).slot, row["execute_after"])
        for row in rows
    ]


async def test_runners_that_begin_at_once_queue_one_run(database: Database):
    now = datetime.now(UTC)
    async with database.transaction() as connection:
        assert await begin_sweeping(connection, now)
        assert not await begin_sweeping(connection, now)
    assert [slot for slot, _at in await list_runs(database)] == [decide_slot(now)]


async def test_a_run_removes_what_is_stale_and_queues_the_next_one_once(
    settings: Settings, database: Database, cache: Cache, objects: ObjectStore
):
    ports = VideoWorld(settings, database, cache, objects).ports(InlineMedia(objects))
    folder = objects.local_path("videos")
    assert folder is not None
    left = folder.with_name(STAGING_FOLDER) / "dead"
    left.write_bytes(b"half")
    clock = ManualClock(datetime.now(UTC) + timedelta(hours=1))
    payload = msgspec.json.encode(SweepJob(decide_slot(clock.now())))
    with objects.write_sync("videos/v/source") as sink:
        sink.write(b"0123")
        await sweep_staging(replace(ports, clock=clock), payload)
        assert left.exists()
    assert await objects.get("videos/v/source") == b"0123"
    clock.advance(STALE_S)
    for _time in range(2):
        await sweep_staging(replace(ports, clock=clock), payload)
    assert not left.exists()
    _before, (slot, at) = await list_runs(database)
    assert slot == decide_slot(clock.now()) + 1
    assert timedelta() < at - datetime.now(UTC) <= timedelta(seconds=SWEEP_EVERY_S)
