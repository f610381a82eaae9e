"""How the simulated PostgreSQL executes: row locks in order, commits, restarts.

A statement is a generator that yields the row lock it needs or the time it takes, and changes rows
only at its end, when it commits. `server.py` has the statements.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from storage.database import SequenceTaken
from tests.actors.hosting.sim.loop import Timeline

LOCK_TIMEOUT_S = 2.0
Need = tuple[str, object] | float
"""("share" | "exclusive", what): a lock until the commit, on a host's row or on an entry of a
unique index; or seconds of work."""
Statement = Generator[Need, None, Any]


@dataclass
class RowLock:
    """Who holds a row, and who waits for it."""

    shares: set[Call] = field(default_factory=set)
    exclusive: Call | None = None
    waiting: deque[tuple[str, Call]] = field(default_factory=deque)


class LockNotGot(Exception):
    """A row stayed locked for longer than `lock_timeout`; nothing was written."""


class Call(msgspec.Struct, eq=False):
    """One statement on its way through the server."""

    statement: Statement
    answer: Callable[[Any, Exception | None], None]
    held: list[RowLock] = []
    waits_for: RowLock | None = None
    is_over: bool = False


class Engine:
    """Runs statements and keeps their locks."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.on_the_way = 0
        """Statements and reads that were sent and have not arrived."""
        self._locks: dict[object, RowLock] = {}
        self._calls: dict[Call, None] = {}

    def run(self, statement: Statement, answer: Callable[[Any, Exception | None], None]) -> Call:
        """Execute; `answer(result, error)` is called at the commit or when it is refused."""
        call = Call(statement, answer)
        self._calls[call] = None
        self.step(call)
        return call

    @property
    def is_busy(self) -> bool:
        """Whether a statement is on its way, or being executed."""
        return bool(self.on_the_way or self._calls)

    def restart(self) -> None:
        """Lose what was not committed, as a crash does."""
        for call in list(self._calls):
            self._finish(call, None, ConnectionResetError("the server restarted"))
        self._locks.clear()

    def step(self, call: Call) -> None:
        """Go on with a statement until it waits or ends."""
        while not call.is_over:
            try:
                need = next(call.statement)
            except StopIteration as done:
                self._finish(call, done.value, None)
                return
            except SequenceTaken as refusal:
                self._finish(call, None, refusal)
                return
            if isinstance(need, tuple):
                if not self._lock(call, *need):
                    return
            elif need > 0:
                self.timeline.after(need, self.step, call)
                return

    def _finish(self, call: Call, result: Any, error: Exception | None) -> None:
        if call.is_over:
            return
        call.is_over = True
        call.statement.close()
        self._calls.pop(call, None)
        if call.waits_for is not None:
            call.waits_for.waiting = deque(
                (kind, other) for kind, other in call.waits_for.waiting if other is not call
            )
        call.answer(result, error)
        for lock in call.held:
            lock.shares.discard(call)
            if lock.exclusive is call:
                lock.exclusive = None
            if lock.waiting:
                self._grant(lock)

    def _lock(self, call: Call, kind: str, what: object) -> bool:
        lock = self._locks.get(what)
        if lock is None:
            lock = self._locks[what] = RowLock()
        if call in lock.shares or lock.exclusive is call:
            return True
        if _may_hold(lock, kind):
            _hold(lock, kind, call)
            return True
        lock.waiting.append((kind, call))
        call.waits_for = lock
        self.timeline.after(LOCK_TIMEOUT_S, self._give_up_lock, call, lock)
        return False

    def _give_up_lock(self, call: Call, lock: RowLock) -> None:
        if call.waits_for is lock:
            self._finish(call, None, LockNotGot())

    def _grant(self, lock: RowLock) -> None:
        while lock.waiting and _may_hold(lock, lock.waiting[0][0]):
            kind, call = lock.waiting.popleft()
            call.waits_for = None
            _hold(lock, kind, call)
            self.step(call)


def _may_hold(lock: RowLock, kind: str) -> bool:
    return lock.exclusive is None and (kind == "share" or not lock.shares)


def _hold(lock: RowLock, kind: str, call: Call) -> None:
    if kind == "share":
        lock.shares.add(call)
    else:
        lock.exclusive = call
    call.held.append(lock)
