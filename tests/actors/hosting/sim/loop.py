"""Virtual time for several simulated processes, each with an event loop of its own.

A `Timeline` holds every due callback of the world in one heap; nothing waits for real time. A
`ProcessLoop` is what asyncio sees inside one process: it can be paused (SIGSTOP), continued and
killed (kill -9), and its clock may run fast or slow. The same seed gives the same order of
callbacks: timers are late by a seeded moment, tasks hash by number and not by address.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import itertools
import random
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from typing import Any

import msgspec

LATENESS_MAX_S = 0.002
"""How late a timer may fire: enough to shuffle those that fall together."""
TURNS_MAX = 50_000
"""Callbacks of one process at one moment; more is a loop that never waits."""


class ProcessSpins(Exception):
    """A process keeps itself busy and never waits."""


class Timer(msgspec.Struct, eq=False):
    """What `call_at` returns: something due that may be called off."""

    loop: ProcessLoop
    callback: Callable[..., Any]
    args: tuple[Any, ...]
    when_s: float
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True
        self.args = ()

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self.loop.read_clock_s(self.when_s)


Callback = Callable[..., Any] | None
"""What is due; None: the one argument is a `Timer`, which may have been cancelled."""
Due = tuple[float, int, "ProcessLoop | None", Callback, Any]
"""When, in which order, in which process (None: outside of all), what, and its arguments."""


class Timeline:
    """The world's clock, and everything that is due."""

    def __init__(self, seed: int) -> None:
        self.now_s = 0.0
        self.random = random.Random(seed)
        self.turns = 0
        self.due: list[Due] = []
        """A heap, to which processes add."""
        self.numbers = itertools.count()
        self.inside: ProcessLoop | None = None
        """The process whose callbacks ran last: asyncio is told when it is another one."""
        self.task_numbers = itertools.count()
        self.is_stopped = False
        """Nothing more need happen."""

    def at(self, when_s: float, callback: Callable[..., Any], *args: Any) -> None:
        """Call at a true moment, outside of every process: a wire, the server, a fault."""
        heappush(self.due, (when_s, next(self.numbers), None, callback, args))

    def after(self, delay_s: float, callback: Callable[..., Any], *args: Any) -> None:
        """Call after a true delay, outside of every process."""
        heappush(self.due, (self.now_s + delay_s, next(self.numbers), None, callback, args))

    def run(self, until_s: float, is_over: Callable[[], bool] | None = None) -> None:
        """Let time pass until a moment, or until `is_over()` holds between two callbacks.

        `is_stopped` ends it too.
        """
        outside = asyncio._get_running_loop()
        self.inside = None
        LISTED_TASKS.add = _list_real_task  # type: ignore[method-assign, assignment]
        try:
            self._run(until_s, is_over)
        finally:
            del LISTED_TASKS.add
            asyncio._set_running_loop(outside)

    def _run(self, until_s: float, is_over: Callable[[], bool] | None) -> None:
        due = self.due
        while due and due[0][0] <= until_s:
            when_s, _, loop, callback, args = heappop(due)
            if callback is None and args.is_cancelled:
                continue
            if when_s > self.now_s:
                self.now_s = when_s
            if loop is not None:
                loop.wake(callback, args)
            elif callback is not None:
                callback(*args)
            self.turns += 1
            if self.is_stopped or (is_over is not None and is_over()):
                return
        self.now_s = max(self.now_s, until_s)


class NumberedTask(asyncio.Task[Any]):
    """A task that hashes the same in every run, so that sets of tasks keep their order."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], loop: ProcessLoop, name: str) -> None:
        self.number = next(loop.timeline.task_numbers)
        super().__init__(coroutine, loop=loop, name=name)

    def __hash__(self) -> int:
        return self.number


LISTED_TASKS: weakref.WeakSet[asyncio.Task[Any]] = asyncio.tasks._all_tasks  # type: ignore[attr-defined]
"""Asyncio's set of all tasks."""


def _list_real_task(task: asyncio.Task[Any]) -> None:
    """List no simulated task: those of other worlds have the same numbers, and it takes long."""
    if not isinstance(task, NumberedTask):
        weakref.WeakSet.add(LISTED_TASKS, task)


class ProcessLoop(asyncio.AbstractEventLoop):
    """The event loop of one simulated process."""

    def __init__(
        self, timeline: Timeline, name: str, *, rate: float = 1.0, offset_s: float = 0.0
    ) -> None:
        self.timeline = timeline
        self.name = name
        self.errors: list[dict[str, Any]] = []
        self.pauses = 0
        """How often the process stood still until now."""
        self._rate = rate
        self._offset_s = offset_s
        self._ready: deque[tuple[Callback, Any]] = deque()
        self._held: list[tuple[Callback, Any]] = []
        self._tasks: list[NumberedTask] = []
        self._is_paused = False
        self._is_dead = False
        # In C, without a frame of Python: there are hundreds in a site.
        self.create_future = functools.partial(asyncio.Future, loop=self)  # type: ignore[method-assign]

    # What the world does to the process

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    @property
    def is_dead(self) -> bool:
        return self._is_dead

    def pause(self) -> None:
        """Stop the process where it stands; its clock goes on."""
        self._is_paused = True
        self.pauses += 1

    def resume(self) -> None:
        """Let it go on: what fell due meanwhile comes at once, in the order it was due."""
        self._is_paused = False
        held, self._held = self._held, []
        timeline = self.timeline
        for callback, args in held:
            heappush(timeline.due, (timeline.now_s, next(timeline.numbers), self, callback, args))

    def kill(self) -> None:
        """End the process: nothing of it runs any more, not even what cleans up."""
        self._is_dead = True
        self._ready.clear()
        self._held.clear()

    def count_pending(self, name: str) -> int:
        """Return how many tasks of this name are not over."""
        return sum(task.get_name() == name and not task.done() for task in self._tasks)

    def bury(self) -> None:
        """Drop what a dead or finished process left; its coroutines unwind into nothing."""
        self._is_dead = True
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coroutine = task.get_coro()
                if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                    coroutine.close()
        self._tasks.clear()

    def deliver(self, when_s: float, callback: Callable[..., Any], *args: Any) -> None:
        """Hand something from outside to the process at a true moment."""
        timeline = self.timeline
        heappush(timeline.due, (when_s, next(timeline.numbers), self, callback, args))

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a coroutine in the process, from outside of it."""
        task = self.create_task(work, name=name)
        self.deliver(self.timeline.now_s, _do_nothing)
        return task

    def wake(self, callback: Callback, args: Any) -> None:
        """Run something that is due, and all that becomes ready through it."""
        if self._is_dead:
            return
        if self._is_paused:
            self._held.append((callback, args))
            return
        ready, timeline = self._ready, self.timeline
        if timeline.inside is not self:
            timeline.inside = self
            asyncio._set_running_loop(self)
        turns = 0
        while True:
            if callback is not None:
                callback(*args)
            elif not args.is_cancelled:
                args.callback(*args.args)
            if not ready:
                break
            callback, args = ready.popleft()
            turns += 1
            if turns > TURNS_MAX:
                raise ProcessSpins(self.name)
        timeline.turns += turns

    def run_soon(self, callback: Callable[[], None]) -> None:
        """Call after what runs now, in the process that is awake."""
        self._ready.append((callback, ()))

    def read_clock_s(self, true_s: float) -> float:
        """Return what this process's clock shows at a true moment."""
        return self._offset_s + true_s * self._rate

    # What asyncio asks of a loop

    def time(self) -> float:
        return self._offset_s + self.timeline.now_s * self._rate

    def call_soon(
        self,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        if context is not None:
            # A future or a task, which asks for no handle. Nothing here looks at its context.
            if not self._is_dead:
                self._ready.append((callback, args))
            return None
        timer = Timer(self, callback, args, self.timeline.now_s)
        if not self._is_dead:
            self._ready.append((None, timer))
        return timer

    def call_soon_threadsafe(
        self,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        raise AssertionError("a simulated process has no threads")

    def call_at(
        self,
        when: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        return self._set_timer((when - self._offset_s) / self._rate, callback, args)

    def call_later(
        self,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        return self._set_timer(self.timeline.now_s + delay / self._rate, callback, args)

    def _set_timer(
        self, true_s: float, callback: Callable[..., Any], args: tuple[Any, ...]
    ) -> Timer:
        timeline = self.timeline
        when_s = max(true_s, timeline.now_s) + timeline.random.random() * LATENESS_MAX_S
        timer = Timer(self, callback, args, when_s)
        heappush(timeline.due, (when_s, next(timeline.numbers), self, None, timer))
        return timer

    def create_task(
        self,
        coro: Any,
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        task = NumberedTask(coro, self, name or "task")
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    get_debug: Any = staticmethod(bool)
    """False, without a call into Python: every future asks."""

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False


def _do_nothing() -> None:
    """Wake a process for what is ready in it."""
