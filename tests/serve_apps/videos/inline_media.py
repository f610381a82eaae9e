"""Media tasks run in threads of the test's own process: the pool's shape without Ray."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

from actors.job_runner.media_queue import OnProgress
from media.pool import MEDIA_TASKS, MediaTaskCancelled, Task, task_key
from media.vod.records import Progress
from storage.objects import ObjectStore

Before = Callable[[str, Any], Awaitable[None]]


async def go_ahead(_task_name: str, _payload: Any) -> None:
    """Let the task run."""


class Halting:
    """A task that waits behind each step until it may go on, for the jobs it is `meant` for."""

    def __init__(self, task: Task, meant: Callable[[Any], bool] = lambda _job: True) -> None:
        self._task = task
        self._meant = meant
        self.has_begun = threading.Event()
        self.may_go_on = threading.Event()

    def run(self, job: Any, store: ObjectStore) -> Generator[Progress, None, Any]:
        steps = self._task(job, store)
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                return end.value
            yield progress
            if self._meant(job):
                self.has_begun.set()
                assert self.may_go_on.wait(60)


class InlineMedia:
    """Runs the real tasks; `before` is awaited ahead of each and may raise what a worker would."""

    def __init__(
        self,
        objects: ObjectStore,
        before: Before = go_ahead,
        tasks: Mapping[str, Task] = MEDIA_TASKS,
    ) -> None:
        self._objects = objects
        self._tasks = tasks
        self.before = before
        self._stopped: set[str] = set()
        self.started: list[str] = []
        """Task ids (or names) in the order they were begun."""
        self._working: set[threading.Event] = set()
        self.is_stopping = asyncio.Event()
        """Set once a task is to be stopped."""

    async def run(
        self, task_name: str, payload: Any, *, on_progress: OnProgress | None = None
    ) -> Any:
        self.started.append(getattr(payload, "task_id", task_name))
        await self.before(task_name, payload)
        loop, key = asyncio.get_running_loop(), task_key(payload, task_name)

        def work() -> Any:
            outcome = self._tasks[task_name](payload, self._objects)
            if not isinstance(outcome, Generator):
                return outcome
            while True:
                if key in self._stopped:
                    self._stopped.discard(key)
                    raise MediaTaskCancelled
                try:
                    progress = next(outcome)
                except StopIteration as end:
                    return end.value
                if on_progress is not None:
                    loop.call_soon_threadsafe(on_progress, progress)

        def work_to_its_end() -> Any:
            ended = threading.Event()
            self._working.add(ended)
            try:
                return work()
            finally:
                ended.set()

        return await asyncio.to_thread(work_to_its_end)

    async def wait_ended(self) -> None:
        """Return when nothing works any more: who waited may have gone before."""
        for ended in list(self._working):
            assert await asyncio.to_thread(ended.wait, 60)

    async def cancel(self, key: str) -> bool:
        self._stopped.add(key)
        self.is_stopping.set()
        return True
