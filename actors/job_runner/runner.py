"""Runs queued jobs and delivers outbox events, through restarts of PostgreSQL and of itself.

A plain class: the shell starts it, tests drive it. A job that fails is tried again with growing
pauses and held after its last try; one that a stopped runner left behind is found by its stale
heartbeat. It knows no handler's content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from pgqueuer.core.qm import QueueManager
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from actors.job_runner.delivery import Delivery
from actors.job_runner.ports import JobHandler, JobPorts, JobSpec, Listener
from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import JOBS_FINISHED
from storage.jobs import QueueDriver

log = get_log("runner")

RESTART_PAUSE_S = 1.0


@dataclass(frozen=True)
class RunnerOptions:
    """Patience and bounds of a runner."""

    heartbeat_timeout_s: float = 8.0
    """A job whose runner was silent for so long is taken over."""
    poll_every_s: float = 2.0
    jobs_max: int = 16
    batch: int = 4
    retry_first_s: float = 1.0
    retry_max_s: float = 300.0
    listener_poll_s: float = 1.0


class JobRunner:
    """Owns the queue loop, one loop per listener, and every job in work."""

    def __init__(
        self,
        ports: JobPorts,
        handlers: Mapping[str, JobHandler | JobSpec],
        listeners: Mapping[str, Listener],
        options: RunnerOptions | None = None,
    ) -> None:
        self._ports = ports
        self._specs = {name: _as_spec(handler) for name, handler in handlers.items()}
        self._options = options or RunnerOptions()
        self._delivery = Delivery(ports, dict(listeners), self._options.listener_poll_s)
        self._driver = QueueDriver(ports.settings.database.url)
        self._queue: QueueManager | None = None
        self._stopping = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._in_work: dict[asyncio.Task[None], str] = {}
        self._finished: dict[str, int] = {"done": 0, "retried": 0, "held": 0, "interrupted": 0}

    async def start(self) -> None:
        """Begin; returns at once, also while PostgreSQL is away."""
        await self._driver.open()
        self._loops.append(asyncio.create_task(self._run_queue(), name="job-queue"))
        self._loops.append(asyncio.create_task(self._delivery.run(), name="event-delivery"))

    async def drain(self, deadline_s: float) -> None:
        """Take no more work, wait for what runs, then hand the rest back to the queue."""
        self._stopping.set()
        self._delivery.stop()
        if self._queue is not None:
            self._queue.shutdown.set()
        if self._loops:
            await asyncio.wait(self._loops, timeout=deadline_s / 2)
        self._driver.stop_waiting()
        for task in list(self._in_work):
            task.cancel()
        if self._loops:
            _done, late = await asyncio.wait(self._loops, timeout=deadline_s / 2)
            for loop in late:
                loop.cancel()
            await asyncio.gather(*self._loops, return_exceptions=True)
        await self._driver.close()

    def describe(self) -> dict[str, Any]:
        """Return what `status` shows: is the queue reachable, what runs, what came of it."""
        return {
            "healthy": self._driver.is_connected and all(not loop.done() for loop in self._loops),
            "jobs_running": sorted(self._in_work.values()),
            "jobs": dict(self._finished),
            "listeners": sorted(self._delivery.listeners),
            "events": {"delivered": self._delivery.delivered, "failed": self._delivery.failed},
        }

    async def _run_queue(self) -> None:
        """Keep a pgqueuer loop going until drained."""
        while not self._stopping.is_set():
            self._queue = self._build_queue()
            try:
                await self._queue.run(
                    dequeue_timeout=timedelta(seconds=self._options.poll_every_s),
                    batch_size=self._options.batch,
                    max_concurrent_tasks=self._options.jobs_max,
                    heartbeat_timeout=timedelta(seconds=self._options.heartbeat_timeout_s),
                )
            except Exception:
                log.exception("runner.queue_failed")
                await asyncio.sleep(RESTART_PAUSE_S)

    def _build_queue(self) -> QueueManager:
        queue = QueueManager(Queries(self._driver))
        for name, spec in self._specs.items():
            register = queue.entrypoint(
                name,
                concurrency_limit=spec.concurrency_max,
                accepts_context=False,
                on_failure="hold",
            )
            register(partial(self._run_job, spec))
        return queue

    async def _run_job(self, spec: JobSpec, job: Job) -> None:
        """Run one job in a task of its own: pgqueuer drops a job that it sees cancelled."""
        name = str(job.entrypoint)
        task = asyncio.create_task(_call(spec, self._ports, job), name=f"job-{name}")
        self._in_work[task] = name
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise self._interrupted(name) from None
        finally:
            self._in_work.pop(task, None)
        if task.cancelled():
            raise self._interrupted(name)
        error = task.exception()
        if error is None:
            self._count(name, "done")
        elif isinstance(error, Exception):
            await self._retry_or_hold(spec, job, error)
        else:
            raise error

    async def _retry_or_hold(self, spec: JobSpec, job: Job, error: Exception) -> None:
        name, attempts = str(job.entrypoint), job.attempts + 1
        code = error.code if isinstance(error, AppError) else type(error).__name__
        if attempts < spec.attempts_max:
            pause_s = min(
                self._options.retry_first_s * 2 ** (attempts - 1), self._options.retry_max_s
            )
            log.warning("job.retried", job=name, attempts=attempts, code=code, exc_info=error)
            self._count(name, "retried")
            raise RetryRequested(delay=timedelta(seconds=pause_s), reason=code) from error
        log.error("job.held", job=name, attempts=attempts, code=code, exc_info=error)
        if spec.give_up is not None:
            await spec.give_up(self._ports, job.payload or b"", error)
        self._count(name, "held")
        raise error

    def _interrupted(self, name: str) -> RetryRequested:
        self._count(name, "interrupted")
        return RetryRequested(reason="the runner stopped")

    def _count(self, name: str, outcome: str) -> None:
        self._finished[outcome] += 1
        JOBS_FINISHED.labels(name, outcome).inc()


def _as_spec(handler: JobHandler | JobSpec) -> JobSpec:
    return handler if isinstance(handler, JobSpec) else JobSpec(handler)


async def _call(spec: JobSpec, ports: JobPorts, job: Job) -> None:
    await spec.handle(ports, job.payload or b"")
