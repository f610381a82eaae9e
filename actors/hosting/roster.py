"""The objects that run on one host: loaded on first use, put away when idle, displaced or broken.

`host.py` owns one roster per incarnation. Objects decide; this carries out what they decided and
tells the writer of their kind when something waits for storage. An object that breaks an invariant
is put away and rebuilt from storage when it is next asked for, five times a minute at most.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actors.hosting.core import Core, CoreTerms, HostRef, Kind, ObjectKey
from actors.hosting.effects import (
    Consult,
    Consulted,
    Effect,
    Leaving,
    ObjectMoved,
    Publish,
    Refuse,
    Requester,
)
from actors.hosting.hosted import Hosted, deny, send_to
from actors.hosting.messages import Gone, ObjectFacts
from actors.hosting.ports import HostLink, HostPace, HostStore
from actors.hosting.supervision import FailureBook, Guard, ObjectFailing
from actors.hosting.timetable import Timetable
from kit.errors import AppError, Unavailable
from kit.logs import get_log
from kit.metrics import (
    ACTIVATIONS,
    COMMANDS_REFUSED,
    OBJECTS_FAILED,
    OBJECTS_RUNNING,
    PASSIVATIONS,
    label,
)
from storage.placements import Placement

log = get_log("host")

OBJECTS_MAX = 50_000
DUE_PER_ROUND_MAX = 2_000
DOUBT_S = 30.0
"""For how long a statement whose sender gave up may still be executed."""


class Why(enum.StrEnum):
    """Why an object does not run here any more."""

    IDLE = "idle"
    MOVED = "moved"
    DRAINED = "drained"
    DISPLACED = "displaced"
    BROKEN = "broken"


class HostFull(Unavailable):
    """The host runs as many objects of this kind as it may."""

    code, message = "host_full", "Too much is open at the moment; try again soon."


@dataclass(frozen=True)
class RosterPorts:
    """What the roster needs of its host."""

    kinds: Mapping[str, Kind]
    store: HostStore
    host: HostRef
    terms: CoreTerms
    pace: HostPace
    links: Mapping[str, HostLink]
    """Open links by name; the host changes it."""
    note_work: Callable[[ObjectKey], None]
    wait_written: Callable[[ObjectKey], Awaitable[None]]
    """Return when nothing of the object is being written."""
    start: Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]
    """Run a task that the host owns."""
    on_failed: Callable[[], None]
    """An object broke."""


class Roster:
    """Running objects by key."""

    def __init__(self, ports: RosterPorts) -> None:
        self._ports = ports
        self._clock = ports.terms.clock
        self._objects: dict[ObjectKey, Hosted] = {}
        self._counts: Counter[str] = Counter()
        """Running objects by kind."""
        self._activating: dict[ObjectKey, asyncio.Task[Hosted | None]] = {}
        self._leaving: dict[ObjectKey, asyncio.Task[None]] = {}
        self._doubtful: dict[ObjectKey, float] = {}
        """Objects that a late statement may still give up or move, and until when."""
        self._timetable = Timetable()
        self._failures = FailureBook(ports.pace.object_intensity, self._clock)
        self.is_closed = False
        """Nothing is activated any more."""

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Hosted]:
        return iter(list(self._objects.values()))

    def find(self, key: ObjectKey) -> Hosted | None:
        """Return a running object."""
        return self._objects.get(key)

    def find_core(self, key: ObjectKey) -> Core | None:
        """Return a running object's core."""
        hosted = self._objects.get(key)
        return None if hosted is None else hosted.core

    def list_cores(self, kind: str) -> list[Core]:
        """Return the running objects of a kind."""
        return [hosted.core for hosted in self if hosted.kind.name == kind]

    # Coming

    async def activate(self, key: ObjectKey) -> Hosted | None:
        """Return the object, loading it once whoever asks; None: not ours, or no room.

        Raises when storage is away, HostFull, and ObjectFailing when it broke too often.
        """
        hosted = self._objects.get(key)
        if hosted is not None:
            return hosted
        leaving = self._leaving.get(key)
        if leaving is not None:
            await asyncio.shield(leaving)
            return None  # it was given up: it is placed anew, here or elsewhere
        if self.is_closed:
            await self._send_away(key)
            return None
        if key.kind not in self._ports.kinds or len(self._objects) >= OBJECTS_MAX:
            return None
        if self._counts[key.kind] >= self._ports.kinds[key.kind].objects_max:
            raise HostFull(retry_after_s=1)
        pause_s = self._failures.find_pause_s(key)
        if pause_s is not None:
            raise ObjectFailing(retry_after_s=max(1, round(pause_s)))
        task = self._activating.get(key)
        if task is None:
            task = self._ports.start(self._load(key), "host-activation")
            self._activating[key] = task
        return await asyncio.shield(task)

    async def _load(self, key: ObjectKey) -> Hosted | None:
        ports, kind = self._ports, self._ports.kinds[key.kind]
        core = None
        try:
            await ports.wait_written(key)
            if not await self._settle_doubt(key):
                return None
            with self.guard(key, AppError) as guard:
                loaded = await ports.store.load(key, ports.host)
                if loaded is not None:
                    core = kind.make_core(loaded, ports.terms)
            if guard.is_broken:
                raise ObjectFailing(retry_after_s=1)
            if core is None or loaded is None or self.is_closed:
                return None
        finally:
            del self._activating[key]
        hosted = Hosted(kind, core, loaded.placement, self._clock.monotonic_s())
        label(ACTIVATIONS, kind.name).inc()
        label(OBJECTS_RUNNING, kind.name).inc()
        self._objects[key] = hosted
        self._counts[key.kind] += 1
        self._schedule(hosted)
        return hosted

    # Acting

    def act(
        self,
        key: ObjectKey,
        step: Callable[[Core], list[Effect]],
        requester: Requester | None = None,
    ) -> bool:
        """Take the object a step on and carry out what it decided; False: it broke, or is gone.

        The `requester` hears when it breaks, and need not try the same at once.
        """
        hosted = self._objects.get(key)
        if hosted is None:
            return False
        with Guard(lambda error: self._break(key, error, requester)) as guard:
            for effect in step(hosted.core):
                self._count(hosted, effect)
                if isinstance(effect, Consult):
                    hosted.consulting += 1
                    self._ports.start(self._consult(hosted, effect), "host-consult")
                else:
                    hosted.carry_out(effect, self._ports.links)
        if guard.is_broken:
            return False
        if hosted.core.log.has_work:
            self._ports.note_work(key)
        if hosted.is_stopped and hosted.core.log.depth == 0:
            hosted.settled.set()
        self._schedule(hosted)
        return True

    def _count(self, hosted: Hosted, effect: Effect) -> None:
        if isinstance(effect, Refuse):
            label(COMMANDS_REFUSED, hosted.kind.name, effect.error.code).inc()
        elif isinstance(effect, Publish):
            hosted.rate.count(len(effect.entries), self._clock.monotonic_s())

    def survey(self, kind: str, after: uuid.UUID | None, limit: int) -> list[ObjectFacts]:
        """Return facts of running objects of a kind, in order of ids, after this one."""
        keys = [key for key in self._objects if key.kind == kind]
        ids = heapq.nsmallest(limit, (key.id for key in keys if after is None or key.id > after))
        now_s = self._clock.monotonic_s()
        return [self._objects[ObjectKey(kind, object_id)].survey(now_s) for object_id in ids]

    def _break(self, key: ObjectKey, error: Exception, requester: Requester | None) -> None:
        if requester is not None:
            link = self._ports.links.get(requester.link)
            deny(link, requester.request_id, ObjectFailing(retry_after_s=1))
        self.fail(key, error)

    def guard(self, key: ObjectKey, *passing: type[Exception]) -> Guard:
        """Return what puts the object away when it breaks: its memory cannot be trusted then."""
        return Guard(lambda error: self.fail(key, error), *passing)

    def touch(self, hosted: Hosted) -> None:
        """Note that somebody wanted the object just now."""
        hosted.touched_s = self._clock.monotonic_s()

    async def _consult(self, hosted: Hosted, effect: Consult) -> None:
        """Ask the kind's port and tell the core; a port that fails or is slow answers None."""
        consult = hosted.kind.consult
        assert consult is not None, "a core consults only the port that its kind has"
        answer: Any = None
        try:
            async with asyncio.timeout(effect.timeout_s):
                answer = await consult(effect.question)
        except TimeoutError:
            log.warning("host.port_slow", kind=hosted.kind.name, timeout_s=effect.timeout_s)
        except Exception as error:  # whatever a port does, the object goes on
            log.exception("host.port_failed", kind=hosted.kind.name, error=type(error).__name__)
        finally:
            hosted.consulting -= 1
        heard = Consulted(effect.question, answer)
        if self._objects.get(hosted.key) is hosted and not hosted.is_stopped:
            self.act(hosted.key, lambda core: core.handle(Requester(""), heard))

    def abandon_questions(self, hosted: Hosted) -> None:
        """Let an object that is leaving refuse what waits for its port: here no answer counts."""
        if hosted.consulting:
            self.act(hosted.key, lambda core: core.handle(Requester(""), Leaving()))

    def forget_link(self, name: str) -> None:
        """A peer is gone: it follows nothing any more."""
        for hosted in self:
            self.drop_follower(hosted, name)

    def drop_follower(self, hosted: Hosted, name: str) -> None:
        """A peer does not follow this object any more."""
        if hosted.followers.pop(name, None) is not None:
            self.touch(hosted)
            self.act(hosted.key, lambda core: core.forget_link(name))

    async def wait_due(self) -> None:
        """Return when an object may be due, at the latest after two seconds."""
        await self._timetable.wait_due(self._clock.monotonic_s())

    def pass_time(self) -> None:
        """Let objects act that are due, and give up those nobody wanted for a minute."""
        now_s = self._clock.monotonic_s()
        for key in self._timetable.take_due(now_s, DUE_PER_ROUND_MAX):
            hosted = self._objects.get(key)
            if hosted is None or hosted.is_stopped:
                continue
            due_s = hosted.core.due_s
            if due_s is not None and due_s <= now_s and not self.act(key, _pass_time):
                continue
            if not hosted.followers and hosted.touched_s + self._ports.pace.idle_max_s <= now_s:
                if hosted.core.is_idle:
                    self.give_up(hosted)
                    continue
                self.touch(hosted)
            self._schedule(hosted)
        self._failures.tidy()
        for key in [key for key, until_s in self._doubtful.items() if until_s <= now_s]:
            del self._doubtful[key]

    def resume(self, hosted: Hosted) -> None:
        """Go on with an object that was stopped in vain."""
        hosted.is_stopped = False
        self._schedule(hosted)

    def _schedule(self, hosted: Hosted) -> None:
        due_s = hosted.core.due_s
        if not hosted.followers:
            idle_s = hosted.touched_s + self._ports.pace.idle_max_s
            due_s = idle_s if due_s is None else min(due_s, idle_s)
        self._timetable.set_due(hosted.key, due_s)

    # Going

    def fail(self, key: ObjectKey, error: BaseException) -> None:
        """The object broke: put it away; it is rebuilt from storage when it is next asked for."""
        self._note_failure(key, error)
        self.put_away(key, Why.BROKEN)

    def put_away(self, key: ObjectKey, why: Why, moved_to: Placement | None = None) -> None:
        """Stop an object; tell its followers, and who waits for an answer, to look elsewhere."""
        hosted = self._objects.get(key)
        if hosted is None:
            return
        hosted.is_stopped = True
        if why is not Why.BROKEN:
            self.abandon_questions(hosted)
        if self._objects.pop(key, None) is None:
            return  # it broke just now, and was put away for that
        self._counts[key.kind] -= 1
        label(OBJECTS_RUNNING, key.kind).dec()
        label(PASSIVATIONS, key.kind, why).inc()
        hosted.settled.set()
        self._timetable.set_due(key, None)
        for requester in hosted.core.log.list_requesters():
            if requester.request_id:
                deny(self._ports.links.get(requester.link), requester.request_id, ObjectMoved())
        for link in hosted.followers.values():
            send_to(link, Gone(key, moved_to))

    def give_up(self, hosted: Hosted) -> None:
        """Stop an object and its ownership; whoever asks for it next places it anew."""
        key = hosted.key
        self.put_away(key, Why.IDLE)
        self._leaving[key] = self._ports.start(self._release(hosted), "host-release")

    async def _release(self, hosted: Hosted) -> None:
        key = hosted.key
        try:
            await self._ports.store.release(key, self._ports.host, hosted.placement)
        except AppError:
            self.doubt(key)
            raise
        finally:
            del self._leaving[key]

    async def _send_away(self, key: ObjectKey) -> None:
        """Nothing is activated here any more: give up what was placed here and does not run."""
        placement = await self._ports.store.find_placement(key)
        if placement is not None and (placement.host_id, placement.incarnation) == self._ports.host:
            await self._ports.store.release(key, self._ports.host, placement.number)

    def doubt(self, key: ObjectKey) -> None:
        """Nobody knows whether the object is still ours, or will be once a late statement came."""
        self._doubtful[key] = self._clock.monotonic_s() + DOUBT_S

    async def _settle_doubt(self, key: ObjectKey) -> bool:
        """Have what was asked of an object and may still come take no effect; False: not ours."""
        if key in self._doubtful:
            if await self._ports.store.renumber(key, self._ports.host) is None:
                return False
            self._doubtful.pop(key, None)
        return True

    def clear(self) -> None:
        """Forget everything."""
        for key in self._objects:
            label(OBJECTS_RUNNING, key.kind).dec()
        self._objects.clear()
        self._counts.clear()

    def _note_failure(self, key: ObjectKey, error: BaseException) -> None:
        label(OBJECTS_FAILED, key.kind).inc()
        is_paused = self._failures.note(key)
        log.error(
            "object.failed",
            kind=key.kind,
            object_id=str(key.id),
            is_paused=is_paused,
            exc_info=error,
        )
        self._ports.on_failed()


def _pass_time(core: Core) -> list[Effect]:
    return core.pass_time()
