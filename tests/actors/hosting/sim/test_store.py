"""The simulated server keeps the contract that PostgreSQL keeps, and breaks as it does."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.hosting.core import HostRef, ObjectKey
from actors.hosting.entries import Batch, Entry
from actors.hosting.ports import HostStore
from storage.database import DatabaseBusy, WriteOutcomeUnknown
from storage.placements import ROOM
from tests.actors.hosting.sim import contract_of_ownership, contract_of_writes, store_stage
from tests.actors.hosting.sim.kinds import make_room_row, read_room_facts
from tests.actors.hosting.sim.loop import ProcessLoop, Timeline
from tests.actors.hosting.sim.server import Server
from tests.actors.hosting.sim.store import SimStore, Wire
from tests.actors.hosting.sim.store_contract import CASES
from tests.actors.hosting.sim.store_stage import Cast, StoreStage, gather, set_up

pytestmark = pytest.mark.unit


class Nobody:
    """A witness that remembers nothing."""

    def on_host(self, host: HostRef, state: str, *, was_expired: bool = False) -> None: ...

    def on_placed(self, key: ObjectKey, host: HostRef | None) -> None: ...
    def on_moved(self, key: ObjectKey, host: HostRef) -> None: ...

    def on_written(self, host: HostRef, lines: Sequence[tuple[ObjectKey, Entry]]) -> None: ...


class SimStage:
    """A simulated server with one process that uses it."""

    def __init__(self) -> None:
        self.timeline = Timeline(1)
        self.loop = ProcessLoop(self.timeline, "p")
        self.server = Server(self.timeline, Nobody())
        self.store = SimStore(self.server, self.loop, Wire(), read_room_facts)
        self.user_id = uuid.UUID(int=1)

    async def make_room(self) -> ObjectKey:
        key = ObjectKey(ROOM, uuid.UUID(int=100 + len(self.server.objects)))
        self.server.objects[key] = make_room_row(key)
        return key

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait_until_blocked(self) -> None:
        await asyncio.sleep(0.2)

    @asynccontextmanager
    async def hold_write(
        self, host: HostRef, batches: Mapping[uuid.UUID, Batch]
    ) -> AsyncIterator[None]:
        call = self.server.run(
            self.server.write(ROOM, host, batches, work_s=1e6), lambda _result, _error: None
        )
        yield
        self.server.step(call)  # the work is done: commit

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        task = self.loop.spawn(work, "case")
        self.timeline.run(self.timeline.now_s + 120, task.done)
        assert task.done(), "the case waits for ever"
        return task.result()


def test_the_contract_asks_for_everything_that_a_store_does() -> None:
    cases = "".join(
        map(inspect.getsource, (contract_of_ownership, contract_of_writes, store_stage))
    )
    methods = {name for name in vars(HostStore) if not name.startswith("_")}
    assert {name for name in methods if f"store.{name}(" not in cases} == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_simulated_server_keeps_the_contract(
    case: Callable[[StoreStage], Awaitable[None]],
) -> None:
    stage = SimStage()
    stage.run(case(stage))


def test_a_statement_whose_answer_was_lost_is_executed_afterwards() -> None:
    stage = SimStage()
    cast: Cast = stage.run(set_up(stage))
    stage.store.wire = Wire(lost_answer_p=1.0, late_max_s=30)
    with pytest.raises(WriteOutcomeUnknown):
        stage.run(cast.write(cast.a, cast.line(0, 1, "x")))
    stage.timeline.run(stage.timeline.now_s + 30)
    assert [entry.seq for entry in stage.server.objects[cast.rooms[0]].entries] == [1]


def test_a_statement_that_was_lost_on_its_way_is_never_executed() -> None:
    stage = SimStage()
    cast: Cast = stage.run(set_up(stage))
    stage.store.wire = Wire(lost_question_p=1.0)
    with pytest.raises(WriteOutcomeUnknown):
        stage.run(cast.write(cast.a, cast.line(0, 1, "x")))
    with pytest.raises(DatabaseBusy):
        stage.run(stage.store.renew(cast.a, 30))
    stage.timeline.run(stage.timeline.now_s + 30)
    assert stage.server.objects[cast.rooms[0]].entries == []


def test_a_restart_loses_what_was_not_committed_and_gives_grace() -> None:
    stage = SimStage()
    cast: Cast = stage.run(set_up(stage))
    errors: list[Exception | None] = []
    write = stage.server.write(ROOM, cast.a, gather(cast.line(0, 1, "x")), work_s=1.0)
    stage.server.run(write, lambda _result, error: errors.append(error))
    stage.run(stage.store.renew(cast.b, -1))
    stage.server.restart()
    assert isinstance(errors[0], ConnectionResetError)
    assert stage.server.objects[cast.rooms[0]].entries == []
    assert stage.run(stage.store.renew(cast.a, 1000))
    stage.timeline.run(stage.timeline.now_s + 50)
    assert stage.run(stage.store.fence_expired(100)) == []
    stage.timeline.run(stage.timeline.now_s + 51)
    assert stage.run(stage.store.fence_expired(100)) == ["b"]
