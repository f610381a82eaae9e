"""Runs rooms: one incarnation of one host, with its lease, its links and its ticks.

The shell (or a test) starts it and begins a fresh one when `wait_over()` returns. Rooms decide;
this carries out. Without its lease, or with PostgreSQL away, it refuses what must be stored and
goes on showing what need not be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import Coroutine
from typing import Any

from actors.link.frames import LinkLost, LinkPeer, LinkTerms
from actors.link.link import Link
from actors.link.server import LinkServer
from actors.live_room.activation import load_room
from actors.live_room.entries import (
    ChatCommand,
    Effect,
    Origin,
    Refuse,
    Requester,
    RoomMoved,
    RoomTerms,
    StorageAway,
)
from actors.live_room.followers import HostedRoom, HostPorts, name_link, read_missed, send_page
from actors.live_room.lease import Lease, LeaseTerms
from actors.live_room.messages import (
    API,
    EDGE,
    FROM_API,
    FROM_EDGE,
    HOST,
    ChatSend,
    HistoryAsk,
    LiveEnd,
    PublisherDown,
    PublisherFact,
    PublisherUp,
    RoomClose,
    RoomGone,
    RoomOpen,
    RoomRefused,
    TypingSend,
    ViewersReport,
)
from actors.live_room.room import Room
from actors.live_room.takeover import take_over
from actors.live_room.ticks import TickPorts, TickWriter
from kit.errors import AppError
from kit.ids import make_id
from kit.logs import get_log
from kit.metrics import CHAT_REFUSALS, ROOM_ACTIVATIONS
from storage.database import LOST_CONNECTION
from storage.hosts import (
    announce_host,
    drain_host,
    fence_host,
    register_host,
)
from storage.placements import ROOM, release_placement, release_placements

log = get_log("room_host")

TIME_EVERY_S = 0.25
SWEEP_EVERY_S = 2.0
IDLE_MAX_S = 60.0
ROOMS_MAX = 10_000
VITAL_TASKS = {"host-lease", "host-ticks", "host-time", "host-sweep"}
"""A host without one of these ends, and is rebuilt from storage."""


class RoomHost:
    """One incarnation of a host; it ends when fenced, drained or closed."""

    def __init__(self, host_id: str, ports: HostPorts) -> None:
        self.host_id = host_id
        self.incarnation = 0
        self._ports = ports
        self._rooms: dict[uuid.UUID, HostedRoom] = {}
        self._activating: dict[uuid.UUID, asyncio.Task[HostedRoom | None]] = {}
        self._links: dict[str, Link] = {}
        self._opening: dict[tuple[str, uuid.UUID], RoomOpen] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = asyncio.Event()
        self._is_draining = False
        limits = ports.settings.limits
        self._terms = RoomTerms(
            ports.clock, make_id, limits.chat_chars_max, limits.chat_per_10_s_max
        )
        self._server: LinkServer | None = None
        self._lease: Lease | None = None
        self._ticks: TickWriter | None = None

    # Life

    async def start(self) -> None:
        """Take a fresh incarnation, listen for links, and open for placements."""
        settings, database = self._ports.settings, self._ports.database
        async with database.connection() as connection:
            self.incarnation = await register_host(
                connection, self.host_id, node=self._ports.node, ttl_s=settings.hosts.lease_ttl_s
            )
        me = LinkPeer(HOST, self.host_id, self.incarnation)
        terms = LinkTerms(me, settings.cluster.key, {EDGE: FROM_EDGE, API: FROM_API})
        path = settings.run_folder / f"{self.host_id}-{self.incarnation}.sock"
        self._server = LinkServer(path, terms, self)
        await self._server.start()
        self._lease = Lease(
            database,
            self._ports.clock,
            LeaseTerms(
                self.host_id,
                self.incarnation,
                settings.hosts.lease_ttl_s,
                settings.hosts.renew_every_s,
            ),
        )
        await self._lease.renew()
        ports = TickPorts(
            database, self._lease, self._host, self._find_core, self._apply, self._put_away
        )
        self._ticks = TickWriter(ports)
        async with database.connection() as connection:
            await announce_host(connection, self.host_id, self.incarnation, self._server.address)
        self._own(self._lease.run(self._over.set), "host-lease")
        self._own(self._ticks.run(), "host-ticks")
        self._own(self._repeat(TIME_EVERY_S, self._pass_time), "host-time")
        self._own(self._repeat(SWEEP_EVERY_S, self._sweep), "host-sweep")
        log.info("host.started", host=self.host_id, incarnation=self.incarnation, pid=os.getpid())

    async def wait_over(self) -> None:
        """Return once this incarnation is over: fenced, drained or failed."""
        await self._over.wait()

    async def drain(self, deadline_s: float) -> None:
        """Finish what is being written, give every room up, and end."""
        self._is_draining = True
        with contextlib.suppress(AppError, *LOST_CONNECTION):
            async with asyncio.timeout(deadline_s):
                async with self._ports.database.connection() as connection:
                    await drain_host(connection, self.host_id, self.incarnation)
                if self._ticks is not None:
                    await self._ticks.wait_quiet()
                async with self._ports.database.connection() as connection:
                    await release_placements(connection, self.host_id, self.incarnation)
                for room_id in list(self._rooms):
                    self._put_away(room_id)
        await self.close()

    async def close(self) -> None:
        """End at once; what was not acknowledged may or may not be stored."""
        self._over.set()
        with contextlib.suppress(AppError, *LOST_CONNECTION):
            async with asyncio.timeout(1.0), self._ports.database.connection() as connection:
                await fence_host(connection, self.host_id, self.incarnation)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.close()
        self._rooms.clear()

    def describe(self) -> dict[str, Any]:
        """Return what an operator wants to see."""
        return {
            "host": self.host_id,
            "incarnation": self.incarnation,
            "pid": os.getpid(),
            "health": "ok" if self._may_store() else "storage_away",
            "rooms": len(self._rooms),
            "links": len(self._links),
            "ticks": 0 if self._ticks is None else self._ticks.ticks,
            "is_draining": self._is_draining,
        }

    def list_counts(self) -> dict[uuid.UUID, int]:
        """Return the present viewers of every running room."""
        return {key: hosted.room.get_counts()["viewers"] for key, hosted in self._rooms.items()}

    # Links

    def on_link_open(self, link: Link) -> None:
        """Welcome a peer; an older link of the same one is over."""
        name = name_link(link)
        previous = self._links.get(name)
        if previous is not None:
            previous.end("replaced")
        self._links[name] = link

    def on_link_lost(self, link: Link, reason: str) -> None:
        """Forget a peer: its viewers do not count any more."""
        if self._server is not None:
            self._server.forget(link)
        name = name_link(link)
        if self._links.get(name) is not link:
            return
        del self._links[name]
        self._opening = {key: ask for key, ask in self._opening.items() if key[0] != name}
        for hosted in self._rooms.values():
            if hosted.followers.pop(name, None) is not None:
                hosted.touched_s = self._ports.clock.monotonic_s()
                self._apply(hosted.room, hosted.room.forget_link(name))
        log.info("host.link_lost", peer=link.peer.name, reason=reason)

    def on_link_messages(self, link: Link, messages: list[Any]) -> None:
        """Act on what an edge or the API sent, in order."""
        for message in messages:
            hosted = self._rooms.get(message.room_id)
            if isinstance(message, RoomOpen):
                self._opening[name_link(link), message.room_id] = message
                self._own(self._open_room(link, message), "host-open-room")
            elif isinstance(message, LiveEnd):
                self._own(self._end_live(link, message), "host-end-live")
            elif isinstance(message, HistoryAsk):
                self._own(send_page(self._ports.database, hosted, link, message), "host-history")
            elif isinstance(message, ChatSend):
                self._send_chat(link, hosted, message)
            else:
                self._act(link, hosted, message)

    # Within

    @property
    def _host(self) -> tuple[str, int]:
        return (self.host_id, self.incarnation)

    def _own(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._drop_task)

    def _drop_task(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("host.task_failed", task=task.get_name(), exc_info=error)
            if task.get_name() in VITAL_TASKS:
                self._over.set()

    def _find_core(self, room_id: uuid.UUID) -> Room | None:
        hosted = self._rooms.get(room_id)
        return None if hosted is None else hosted.room

    def _may_store(self) -> bool:
        is_held = self._lease is not None and self._lease.is_held
        return is_held and self._ticks is not None and not self._ticks.is_storage_away

    def _apply(self, room: Room, effects: list[Effect]) -> None:
        """Carry out what a room decided."""
        hosted = self._rooms.get(room.id)
        if hosted is None:
            return
        for effect in effects:
            if isinstance(effect, Refuse):
                CHAT_REFUSALS.labels(effect.error.code).inc()
            hosted.carry_out(effect, self._links)
        if room.has_work and self._ticks is not None:
            self._ticks.note(room.id)

    def _send_chat(self, link: Link, hosted: HostedRoom | None, message: ChatSend) -> None:
        requester = Requester(name_link(link), message.request_id)
        if hosted is None or self._over.is_set():
            HostedRoom.refuse(link, message.request_id, RoomMoved())
            return
        if not self._may_store():
            HostedRoom.refuse(link, message.request_id, StorageAway(retry_after_s=1))
            return
        command = ChatCommand(requester, message.speaker, message.client_id, message.text)
        self._apply(hosted.room, hosted.room.send_chat(command))

    def _act(self, link: Link, hosted: HostedRoom | None, message: Any) -> None:
        """Act on a message of an edge that follows the room."""
        name = name_link(link)
        if isinstance(message, RoomClose):
            self._opening.pop((name, message.room_id), None)
        if hosted is None or name not in hosted.followers:
            return
        room = hosted.room
        if isinstance(message, RoomClose):
            del hosted.followers[name]
            hosted.touched_s = self._ports.clock.monotonic_s()
            self._apply(room, room.forget_link(name))
        elif isinstance(message, TypingSend):
            self._apply(room, room.type(message.speaker))
        elif isinstance(message, ViewersReport):
            self._apply(room, room.report_viewers(name, message.viewers))
        elif isinstance(message, PublisherUp):
            self._connect_publisher(name, room, message.publisher)
        elif isinstance(message, PublisherDown):
            self._apply(room, room.lose_publisher(name, message.session_id, message.reason))

    def _connect_publisher(self, name: str, room: Room, publisher: PublisherFact) -> None:
        origin = Origin(name, publisher.session_id, publisher.edge)
        self._apply(room, room.connect_publisher(origin))

    async def _open_room(self, link: Link, message: RoomOpen) -> None:
        """Let an edge follow a room, loading it first when it sleeps."""
        try:
            hosted = await self._activate(message.room_id)
            if hosted is None:
                link.send(RoomRefused(message.room_id, "not_owner"))
                return
            missed = await read_missed(self._ports.database, hosted, message)
        except (AppError, *LOST_CONNECTION):
            with contextlib.suppress(LinkLost):
                link.send(RoomRefused(message.room_id, StorageAway.code))
            return
        name = name_link(link)
        if self._opening.get((name, message.room_id)) is not message:
            return  # closed, or asked for again, meanwhile
        del self._opening[name, message.room_id]
        if self._links.get(name) is not link or self._rooms.get(message.room_id) is not hosted:
            return
        with contextlib.suppress(LinkLost):
            hosted.admit(link, missed)
        self._apply(hosted.room, hosted.room.report_viewers(name, message.viewers))
        if message.publisher is not None:
            self._connect_publisher(name, hosted.room, message.publisher)

    async def _end_live(self, link: Link, message: LiveEnd) -> None:
        error: AppError = RoomMoved()
        try:
            hosted = await self._activate(message.room_id)
        except (AppError, *LOST_CONNECTION):
            hosted, error = None, StorageAway(retry_after_s=1)
        if hosted is None:
            HostedRoom.refuse(link, message.request_id, error)
            return
        requester = Requester(name_link(link), message.request_id)
        self._apply(hosted.room, hosted.room.end(message.reason, requester))

    async def _activate(self, room_id: uuid.UUID) -> HostedRoom | None:
        """Return the running room, loading it once whoever asks; None: not ours."""
        hosted = self._rooms.get(room_id)
        if hosted is not None:
            return hosted
        if self._is_draining or self._over.is_set() or len(self._rooms) >= ROOMS_MAX:
            return None
        task = self._activating.get(room_id)
        if task is None:
            task = asyncio.create_task(self._load(room_id), name="host-activation")
            self._activating[room_id] = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _load(self, room_id: uuid.UUID) -> HostedRoom | None:
        try:
            room = await load_room(self._ports.database, self._host, room_id, self._terms)
            if room is None or self._over.is_set():
                return None
            ROOM_ACTIVATIONS.inc()
            hosted = HostedRoom(room, self._ports.clock.monotonic_s())
            self._rooms[room_id] = hosted
            return hosted
        finally:
            del self._activating[room_id]

    def _put_away(self, room_id: uuid.UUID) -> None:
        """Stop a room that is not ours (any more) and tell its edges to look elsewhere."""
        hosted = self._rooms.pop(room_id, None)
        if hosted is None:
            return
        for link in hosted.followers.values():
            with contextlib.suppress(LinkLost):
                link.send(RoomGone(room_id))

    # Time

    async def _repeat(self, every_s: float, work: Any) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await work()
            except (AppError, *LOST_CONNECTION) as error:
                log.info("host.work_postponed", error=type(error).__name__)

    async def _pass_time(self) -> None:
        """Let rooms act on time, and put away those nobody has followed for a minute."""
        limit_s = self._ports.clock.monotonic_s() - IDLE_MAX_S
        for hosted in list(self._rooms.values()):
            self._apply(hosted.room, hosted.room.pass_time())
            if not hosted.followers and hosted.touched_s < limit_s and hosted.room.is_idle:
                del self._rooms[hosted.room.id]
                async with self._ports.database.connection() as connection:
                    await release_placement(connection, ROOM, hosted.room.id, self._host)

    async def _sweep(self) -> None:
        """Fence hosts whose lease lapsed, and take over rooms on air that nobody owns."""
        if self._is_draining or not self._may_store():
            return
        ttl_s = self._ports.settings.hosts.lease_ttl_s
        for room_id in await take_over(self._ports.database, self._host, ttl_s):
            await self._activate(room_id)
