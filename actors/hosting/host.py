"""Runs objects: one incarnation of one host, with its lease, its links and its ticks.

The shell (or a test) starts it and begins a fresh one when `wait_over()` returns. Objects decide;
the host carries out. Without its lease, or with storage away, it refuses what must be stored and
goes on showing what need not be.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from actors.hosting.core import Core, CoreTerms, HostRef, ObjectKey, index_kinds
from actors.hosting.effects import ObjectMoved
from actors.hosting.hosted import name_link, send_to
from actors.hosting.lease import Lease, LeaseTerms
from actors.hosting.messages import HOST, Unsure, accept_from_peers
from actors.hosting.mover import Mover, MoverPorts
from actors.hosting.ports import HostLink, HostPorts, LinkListener
from actors.hosting.reception import Reception, ReceptionPorts
from actors.hosting.roster import Roster, RosterPorts, Why
from actors.hosting.supervision import FailureBook
from actors.hosting.ticks import TickPorts, TickWriter
from actors.link.frames import LinkPeer
from kit.errors import AppError
from kit.logs import get_log

log = get_log("host")

TIME_EVERY_S = 0.25
"""Objects that are due act together, so often at most."""
ADOPT_MAX = 50
CLOSE_FENCE_S = 1.0
CANCEL_AGAIN_S = 1.0
VITAL_TASKS = {"host-lease", "host-ticks", "host-time", "host-sweep"}
"""A host without one of these ends, and is rebuilt from storage."""


class Host:
    """One incarnation of a host; it ends when fenced, drained or closed."""

    def __init__(self, host_id: str, ports: HostPorts) -> None:
        self.host_id = host_id
        self.incarnation = 0
        self._ports = ports
        self._kinds = index_kinds(ports.kinds)
        self._links: dict[str, HostLink] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = asyncio.Event()
        self._is_draining = False
        self.has_failed = False
        """Whether it ended because something in it kept breaking."""
        self._failures = FailureBook(ports.pace.host_intensity, ports.clock)
        self._listener: LinkListener | None = None

    # Life

    async def start(self) -> None:
        """Take a fresh incarnation, listen for links, and open for placements."""
        ports, terms = self._ports, self._ports.settings.hosts
        self.incarnation = await ports.store.register(
            self.host_id, node=ports.node, ttl_s=terms.lease_ttl_s
        )
        self._compose()
        me = LinkPeer(HOST, self.host_id, self.incarnation)
        listener = await ports.transport.listen(me, accept_from_peers(ports.kinds), self)
        self._listener = listener
        await self._lease.renew()
        await ports.store.announce(self._host, listener.address)
        self._own(self._lease.run(self._over.set), "host-lease")
        for writer in self._writers.values():
            self._own(writer.run(), "host-ticks")
        self._own(self._pass_time(), "host-time")
        self._own(self._repeat(ports.pace.sweep_every_s, self._sweep), "host-sweep")
        log.info("host.started", host=self.host_id, incarnation=self.incarnation)

    async def wait_over(self) -> None:
        """Return once this incarnation is over: fenced, drained or failed."""
        await self._over.wait()

    async def drain(self, deadline_s: float) -> None:
        """Take nothing new, hand every object over one by one, and end."""
        self._is_draining = self._roster.is_closed = True
        with contextlib.suppress(AppError, TimeoutError):
            async with asyncio.timeout(deadline_s):
                await self._ports.store.drain(self._host)
                await self._mover.move_all()
        await self.close()

    async def close(self) -> None:
        """End at once; what was not acknowledged may or may not be stored."""
        self._over.set()
        if not self.incarnation:
            return  # nothing was made yet
        self._roster.is_closed = True
        with contextlib.suppress(AppError, TimeoutError):
            async with asyncio.timeout(CLOSE_FENCE_S):
                await self._ports.store.fence(self._host)
        # Asked again: a deadline that ends in the same moment may swallow a cancellation.
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=CANCEL_AGAIN_S)
        if self._listener is not None:
            await self._listener.close()
        self._roster.clear()

    def describe(self) -> dict[str, Any]:
        """Return what an operator wants to see."""
        is_well = all(self._may_store(kind) for kind in self._kinds)
        return {
            "host": self.host_id,
            "incarnation": self.incarnation,
            "health": "ok" if is_well else "storage_away",
            "objects": len(self._roster),
            "links": len(self._links),
            "ticks": sum(writer.ticks for writer in self._writers.values()),
            "is_draining": self._is_draining,
        }

    async def move_object(self, key: ObjectKey, target: str) -> None:
        """Hand a running object to another host; raises ObjectMoved, TargetAway, MoveUnsettled."""
        hosted = self._roster.find(key)
        if hosted is None:
            raise ObjectMoved
        await self._mover.move_to(hosted, target)

    @property
    def ref(self) -> HostRef:
        """Under which this incarnation writes."""
        return self._host

    def list_cores(self, kind: str) -> list[Core]:
        """Return the running objects of a kind."""
        return self._roster.list_cores(kind)

    # Links

    def on_link_open(self, link: HostLink) -> None:
        """Welcome a peer; an older link of the same one is over."""
        name = name_link(link)
        previous = self._links.get(name)
        if previous is not None:
            previous.end("replaced")
        self._links[name] = link

    def on_link_lost(self, link: HostLink, reason: str) -> None:
        """Forget a peer: it follows nothing any more."""
        if self._listener is not None:
            self._listener.forget(link)
        name = name_link(link)
        if self._links.get(name) is not link:
            return
        del self._links[name]
        self._reception.forget_link(name)
        self._roster.forget_link(name)
        log.info("host.link_lost", peer=link.peer.name, reason=reason)

    def on_link_messages(self, link: HostLink, messages: list[Any]) -> None:
        """Act on what a peer sent, in order."""
        for message in messages:
            self._reception.hear(link, message)

    # Within

    @property
    def _host(self) -> HostRef:
        return (self.host_id, self.incarnation)

    def _compose(self) -> None:
        """Make the parts of this incarnation; nothing runs yet."""
        ports, settings = self._ports, self._ports.settings
        self._lease = Lease(
            ports.store,
            ports.clock,
            LeaseTerms(self._host, settings.hosts.lease_ttl_s, settings.hosts.renew_every_s),
        )
        self._roster = Roster(
            RosterPorts(
                kinds=self._kinds,
                store=ports.store,
                host=self._host,
                terms=CoreTerms(ports.clock, ports.make_id, settings.limits),
                pace=ports.pace,
                links=self._links,
                note_work=self._note_work,
                wait_written=self._wait_written,
                start=self._own,
                on_failed=self._note_failure,
            )
        )
        self._mover = Mover(MoverPorts(ports.store, self._roster, self._host))
        ticks = TickPorts(
            store=ports.store,
            lease=self._lease,
            host=self._host,
            find_core=self._roster.find_core,
            act=self._roster.act,
            guard=self._roster.guard,
            on_displaced=partial(self._roster.put_away, why=Why.DISPLACED),
            clock=ports.clock,
        )
        self._writers = {kind: TickWriter(kind, ticks) for kind in self._kinds}
        self._reception = Reception(
            ReceptionPorts(
                roster=self._roster,
                mover=self._mover,
                store=ports.store,
                host=self._host,
                may_store=self._may_store,
                is_linked=lambda link: self._links.get(name_link(link)) is link,
                is_over=self._over.is_set,
                start=self._own,
            )
        )

    def _own(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._drop_task)
        return task

    def _drop_task(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if task.get_name() in VITAL_TASKS:
            log.error("host.task_failed", task=task.get_name(), exc_info=error)
            self._end_failed()
        elif not isinstance(error, AppError):
            log.error("host.task_failed", task=task.get_name(), exc_info=error)

    def _note_failure(self) -> None:
        """An object broke; when too many do, this process's memory is what is broken."""
        if self._failures.note(self.host_id):
            log.error("host.objects_keep_failing", host=self.host_id)
            self._end_failed()

    def _end_failed(self) -> None:
        self.has_failed = True
        self._over.set()

    async def _wait_written(self, key: ObjectKey) -> None:
        await self._writers[key.kind].wait_written(key.id)

    def _note_work(self, key: ObjectKey) -> None:
        self._writers[key.kind].note(key.id)

    def _may_store(self, kind: str) -> bool:
        return self._lease.is_held and not self._writers[kind].is_storage_away

    async def _repeat(self, every_s: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await work()
            except (AppError, TimeoutError) as error:
                log.info("host.work_postponed", error=type(error).__name__)

    async def _pass_time(self) -> None:
        """Let objects act when they are due."""
        while True:
            await asyncio.sleep(TIME_EVERY_S)
            await self._roster.wait_due()
            self._roster.pass_time()

    async def _sweep(self) -> None:
        """Fence hosts whose lease lapsed, and take over what needs an owner and has none.

        Objects that somebody follows are placed anew by whoever follows them; others, like a room
        on air that nobody watches, still need an owner who ends them in time.
        """
        if not self._lease.is_held:
            for link in list(self._links.values()):
                send_to(link, Unsure())
        if self._is_draining or not self._lease.is_held:
            return
        store = self._ports.store
        fenced = await store.fence_expired(self._ports.settings.hosts.lease_ttl_s)
        adopted = 0
        for kind in self._kinds:
            if not self._may_store(kind):
                continue
            for object_id in await store.list_unowned(kind, ADOPT_MAX):
                key = ObjectKey(kind, object_id)
                await store.place(key, self._host)
                adopted += await self._roster.activate(key) is not None
        if fenced or adopted:
            log.warning("host.took_over", host=self.host_id, fenced=fenced, objects=adopted)
