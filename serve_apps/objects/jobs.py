"""Removes what dead writers left: a job that queues its next run, four times a day.

That is what is half written, and what came behind the end of its upload. The runner calls
`HANDLERS` and, when it begins, `begin_sweeping`. What a writer still has open is never touched: it
was written or linked within a day, and none lives that long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from actors.job_runner.ports import JobPorts, JobSpec
from kit.errors import AppError
from kit.ids import parse_id
from kit.logs import get_log
from kit.metrics import OBJECTS_SWEPT
from storage.database import Connection
from storage.jobs import enqueue_job
from storage.uploads import UPLOADS_FOLDER, list_needed, make_parts_prefix

log = get_log("objects")

SWEEP_JOB = "objects.sweep_staging"
SWEEP_EVERY_S = 6 * 3600
STALE_S = 86_400
"""A media task has half an hour, a piece of an upload minutes."""
UPLOADS_AT_A_TIME = 1000


class SweepJob(msgspec.Struct, frozen=True):
    """Payload: which quarter of a day it is, counted from 1970."""

    slot: int


async def begin_sweeping(connection: Connection, now: datetime) -> bool:
    """Have this quarter's run done, and so all later ones; False when it is queued already."""
    return await _enqueue(connection, decide_slot(now), now)


def decide_slot(now: datetime) -> int:
    """Which run a moment belongs to."""
    return int(now.timestamp()) // SWEEP_EVERY_S


async def sweep_staging(ports: JobPorts, payload: bytes) -> None:
    """Remove stale staged files, or a bucket's stale uploads, and queue the next run.

    Also what a writer put behind the end of its upload, and did not live to remove.
    """
    slot = msgspec.json.decode(payload, type=SweepJob).slot
    now = ports.clock.now()
    count = await asyncio.to_thread(
        ports.objects.sweep_staging_sync, older_than_s=STALE_S, now_s=now.timestamp()
    )
    try:
        count += await _sweep_ended_uploads(ports, before_s=now.timestamp() - STALE_S)
    except AppError as error:
        log.warning("objects.ended_uploads_not_swept", code=error.code)
    if count:
        OBJECTS_SWEPT.inc(count)
        log.info("objects.swept", count=count)
    async with ports.database.transaction() as connection:
        await _enqueue(connection, max(slot, decide_slot(now)) + 1, now)


async def _sweep_ended_uploads(ports: JobPorts, *, before_s: float) -> int:
    """Remove the objects of uploads that need none, where the last came before this Unix time."""
    names = await asyncio.to_thread(ports.objects.list_folders_sync, UPLOADS_FOLDER)
    known = [found for name in names if (found := parse_id(name)) is not None]
    count = 0
    for start in range(0, len(known), UPLOADS_AT_A_TIME):
        some = known[start : start + UPLOADS_AT_A_TIME]
        async with ports.database.statement(writes=False) as connection:
            needed = await list_needed(connection, some)
        for upload_id in set(some) - needed:
            prefix = make_parts_prefix(upload_id)
            entries = await ports.objects.list(prefix)
            if all(entry.written_s < before_s for entry in entries):
                count += await ports.objects.delete_prefix(prefix)
    return count


async def _enqueue(connection: Connection, slot: int, now: datetime) -> bool:
    return await enqueue_job(
        connection,
        SWEEP_JOB,
        SweepJob(slot),
        dedupe_key=f"{SWEEP_JOB}:{slot}",
        delay_s=max(0.0, slot * SWEEP_EVERY_S - now.timestamp()),
    )


HANDLERS: Mapping[str, JobSpec] = MappingProxyType(
    {SWEEP_JOB: JobSpec(sweep_staging, concurrency_max=1)}
)
