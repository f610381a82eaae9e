"""One process's way to the simulated database: delays, outages, and answers that get lost.

A `HostStore` with the errors of the real one. A statement whose sender gave up may still be
executed, even long afterwards.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from actors.hosting.core import HostRef, Loaded, ObjectKey, TickOutcome
from actors.hosting.entries import Batch, Entry
from actors.hosting.log import HISTORY_MAX
from kit.errors import AppError
from storage.database import WRITE_TIMEOUT_S, DatabaseBusy, WriteOutcomeUnknown, WriteRefused
from storage.hosts import LATE_S, HostEntry
from storage.placements import ROOM, Placement
from tests.actors.hosting.sim.engine import LockNotGot
from tests.actors.hosting.sim.loop import ProcessLoop
from tests.actors.hosting.sim.server import ObjectRow, Server

COMMAND_TIMEOUT_S = 10.0
POOL_WAIT_S = 2.0
TRAVEL_S = 0.001
"""The longest way of a statement that nothing delays."""


@dataclass
class Wire:
    """What happens on the way between one process and the database."""

    is_cut: bool = False
    lost_question_p: float = 0.0
    """The connection dies before the statement arrives; the sender sees an error."""
    lost_answer_p: float = 0.0
    """The connection dies with the statement on its way: it is executed, now or much later."""
    delay_p: float = 0.0
    late_max_s: float = 0.0
    """How late a statement may be executed after its sender gave up, or is delayed."""
    slow_commit_p: float = 0.0
    slow_commit_max_s: float = 0.0

    def heal(self) -> None:
        """Delay and lose nothing any more."""
        self.lost_question_p = self.lost_answer_p = self.delay_p = self.slow_commit_p = 0.0


class Question(msgspec.Struct, eq=False):
    """A statement on its way, and the future that awaits its answer."""

    statement: Callable[[], Any]
    future: asyncio.Future[Any]
    has_arrived: bool = False
    is_dropped: bool = False


class Manner(msgspec.Struct, frozen=True):
    """How something is asked, and what its sender hears when it goes wrong."""

    is_statement: bool
    """Otherwise a read, executed at one moment."""
    timeout_s: float
    lost: Callable[[], AppError]
    """The connection died, or the answer did not come in time."""
    locked: Callable[[], AppError]
    """A row stayed locked; nothing was written."""


def _be_busy() -> AppError:
    return DatabaseBusy(retry_after_s=1)


CHANGE = Manner(True, COMMAND_TIMEOUT_S, _be_busy, _be_busy)
"""About leases and placements: whatever goes wrong, the caller asks again."""
READ = Manner(False, COMMAND_TIMEOUT_S, _be_busy, _be_busy)
WRITE = Manner(True, WRITE_TIMEOUT_S, WriteOutcomeUnknown, WriteRefused)


class SimStore:
    """The database as one process reaches it."""

    def __init__(
        self,
        server: Server,
        loop: ProcessLoop,
        wire: Wire,
        read_facts: Callable[[ObjectRow], Any] = lambda row: row.facts,
    ) -> None:
        self._server = server
        self._read_facts = read_facts
        self._loop = loop
        self._timeline = server.timeline
        self._random = server.timeline.random
        self._open: dict[Question, None] = {}
        self.wire = wire

    def cut(self) -> None:
        """Lose every connection; what was asked may or may not have been executed."""
        self.wire.is_cut = True
        questions, self._open = self._open, {}
        for question in questions:
            if not question.has_arrived and self._random.random() < 0.5:
                question.is_dropped = True
            self._fail(question, ConnectionResetError("connection lost"), 0.0)

    def mend(self) -> None:
        """Let connections through again."""
        self.wire.is_cut = False

    # Asking

    async def _ask(self, statement: Callable[[], Any], manner: Manner = CHANGE) -> Any:
        """Send a statement or a read and wait for its answer."""
        wire, draw, timeline = self.wire, self._random.random, self._timeline
        if wire.is_cut:
            await asyncio.sleep(POOL_WAIT_S if draw() < 0.2 else 0.001)
            raise DatabaseBusy(retry_after_s=2)
        question = Question(statement, self._loop.create_future())
        self._open[question] = None
        travel_s = draw() * TRAVEL_S
        fate = draw()
        if fate < wire.lost_question_p:
            question.is_dropped = True
            self._fail(question, ConnectionResetError("connection lost"), travel_s)
        else:
            fate -= wire.lost_question_p
            if fate < wire.lost_answer_p:
                self._fail(question, ConnectionResetError("connection lost"), travel_s)
                late_s = draw() * wire.late_max_s if draw() < 0.5 else draw() * 0.01
            elif fate - wire.lost_answer_p < wire.delay_p:
                late_s = draw() * wire.late_max_s
            else:
                late_s = 0.0
            if late_s or wire.slow_commit_p:
                self._fail(question, TimeoutError, manner.timeout_s)
            execute = self._execute if manner.is_statement else self._read
            self._server.on_the_way += 1
            timeline.after(travel_s + late_s, execute, question)
        try:
            return await question.future
        except OSError as error:
            raise manner.lost() from error
        except LockNotGot as error:
            raise manner.locked() from error
        except asyncio.CancelledError:
            # The driver asks the server to stop; whether that comes in time is open.
            if not question.has_arrived and draw() < 0.5:
                question.is_dropped = True
            raise
        finally:
            self._open.pop(question, None)

    def _execute(self, question: Question) -> None:
        self._server.on_the_way -= 1
        if not question.is_dropped:
            question.has_arrived = True
            self._server.run(
                question.statement(), lambda result, error: self._answer(question, result, error)
            )

    def _read(self, question: Question) -> None:
        self._server.on_the_way -= 1
        if not question.is_dropped:
            question.has_arrived = True
            self._answer(question, question.statement(), None)

    def _answer(self, question: Question, result: Any, error: Exception | None) -> None:
        if question in self._open:
            when_s = self._timeline.now_s + self._random.random() * TRAVEL_S
            self._loop.deliver(when_s, _settle, question.future, result, error)

    def _fail(self, question: Question, error: Exception | type[Exception], after_s: float) -> None:
        when_s = self._timeline.now_s + after_s
        self._loop.deliver(when_s, _settle, question.future, None, error)

    def _draw_work_s(self) -> float:
        wire = self.wire
        if wire.slow_commit_p and self._random.random() < wire.slow_commit_p:
            return self._random.random() * wire.slow_commit_max_s
        return 0.0

    # What hosts ask

    async def register(self, host_id: str, *, node: str, ttl_s: float) -> int:
        work_s = self._draw_work_s()
        incarnation: int = await self._ask(
            lambda: self._server.register_host(host_id, node, ttl_s, work_s)
        )
        return incarnation

    async def announce(self, host: HostRef, address: str) -> bool:
        work_s = self._draw_work_s()
        return bool(await self._ask(lambda: self._server.announce_host(host, address, work_s)))

    async def renew(self, host: HostRef, ttl_s: float) -> bool:
        work_s = self._draw_work_s()
        return bool(await self._ask(lambda: self._server.renew_host(host, ttl_s, work_s)))

    async def drain(self, host: HostRef) -> bool:
        work_s = self._draw_work_s()
        return bool(await self._ask(lambda: self._server.drain_host(host, work_s)))

    async def fence(self, host: HostRef) -> bool:
        work_s = self._draw_work_s()
        return bool(await self._ask(lambda: self._server.fence_host(host, work_s)))

    async def fence_late(self, host: HostRef, left_s: float = LATE_S) -> bool:
        return bool(await self._ask(lambda: self._server.fence_late_host(host, left_s)))

    async def fence_expired(self, ttl_s: float) -> list[str]:
        fenced: list[str] = await self._ask(lambda: self._server.fence_expired_hosts(ttl_s))
        return fenced

    async def list_live_hosts(self) -> list[HostEntry]:
        hosts: list[HostEntry] = await self._ask(self._server.list_live_hosts, READ)
        return hosts

    async def find_placement(self, key: ObjectKey) -> Placement | None:
        found: Placement | None = await self._ask(lambda: self._server.find_placement(key), READ)
        return found

    async def place(self, key: ObjectKey, host: HostRef) -> Placement | None:
        is_placed = await self._ask(lambda: self._server.insert_placement(key, host))
        standing = await self.find_placement(key)
        if not is_placed and (standing is None or not standing.is_live):
            return None
        return standing

    async def release(self, key: ObjectKey, host: HostRef, number: int) -> bool:
        return bool(await self._ask(lambda: self._server.release_placement(key, host, number)))

    async def renumber(self, key: ObjectKey, host: HostRef) -> int | None:
        number: int | None = await self._ask(lambda: self._server.renumber_placement(key, host))
        return number

    async def move(
        self, key: ObjectKey, host: HostRef, number: int, target: HostRef
    ) -> Placement | None:
        moved: Placement | None = await self._ask(
            lambda: self._server.move_placement(key, host, number, target)
        )
        return moved

    async def list_unowned(self, kind: str, limit: int) -> list[uuid.UUID]:
        if kind != ROOM:
            return []  # PostgresStore asks for no other kind
        found: list[uuid.UUID] = await self._ask(
            lambda: self._server.list_unowned(kind, limit), READ
        )
        return found

    async def load(self, key: ObjectKey, host: HostRef) -> Loaded | None:
        found = await self._ask(lambda: self._load_facts(key, host), READ)
        if found is None:
            return None
        facts, number = found
        history = await self._ask(lambda: self._server.objects[key].entries[-HISTORY_MAX:], READ)
        return Loaded(facts, history, number)

    def _load_facts(self, key: ObjectKey, host: HostRef) -> tuple[Any, int] | None:
        row = self._server.load(key, host)
        return None if row is None else (self._read_facts(row), self._server.numbers[key])

    async def write(
        self, kind: str, host: HostRef, batches: Mapping[uuid.UUID, Batch]
    ) -> TickOutcome:
        work_s = self._draw_work_s()
        outcome: TickOutcome = await self._ask(
            lambda: self._server.write(kind, host, batches, work_s), WRITE
        )
        return outcome

    async def read_after(self, key: ObjectKey, seq: int, limit: int) -> list[Entry]:
        entries: list[Entry] = await self._ask(
            lambda: self._server.read_after(key, seq, limit), READ
        )
        return entries


def _settle(
    future: asyncio.Future[Any], result: Any, error: Exception | type[Exception] | None
) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
