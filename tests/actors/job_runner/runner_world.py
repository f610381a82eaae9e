"""Ports for tests of the job runner."""

from __future__ import annotations

from typing import Any

from actors.job_runner.media_queue import MediaQueue, OnProgress
from actors.job_runner.ports import JobPorts
from kit.clock import SystemClock
from kit.settings import Settings
from storage.cache import Cache
from storage.database import Database
from storage.objects import ObjectStore
from tests.actors.user_session.people import HeardPeople


class NoMedia:
    """A pool that no test here uses."""

    async def run(
        self, task_name: str, payload: Any, *, on_progress: OnProgress | None = None
    ) -> Any:
        raise AssertionError(f"{task_name} was not expected")


def make_ports(settings: Settings, database: Database, objects: ObjectStore) -> JobPorts:
    return JobPorts(
        settings=settings,
        database=database,
        cache=Cache(settings.cache.url or "redis://127.0.0.1:1"),
        objects=objects,
        media=MediaQueue(NoMedia(), 1),
        clock=SystemClock(),
        people=HeardPeople(),
    )
