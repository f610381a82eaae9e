"""The way to rooms for edges and the API: links to their hosts, kept open and moved when they die.

A room that was opened stays open: when its host is lost the host is fenced, the room placed anew,
and what was missed delivered, so the listener sees every entry once and in order. Requests in
flight are sent again with the same client_id. Each request has a deadline.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections import Counter
from typing import Any, Protocol, TypeVar

from actors.link.frames import LinkLost, LinkPeer, LinkRefused, LinkTerms, LinkUnproven
from actors.link.link import Link
from actors.link.opening import open_link
from actors.live_room.client_room import RETRIED, ClientRoom, Request, RequestFailed
from actors.live_room.directory import RoomDirectory
from actors.live_room.entries import Speaker
from actors.live_room.messages import (
    FROM_HOST,
    HOST,
    ChatSend,
    ChatStored,
    EntryLine,
    HistoryAsk,
    HistoryPage,
    LiveEnd,
    PublisherFact,
    RequestDone,
    RequestRefused,
    RoomEntries,
    RoomGone,
    RoomOpened,
    RoomRefused,
    RoomShow,
    SessionEnd,
    TypingSend,
)
from kit.errors import AppError, Unavailable
from kit.logs import get_log
from storage.database import LOST_CONNECTION
from storage.placements import Placement

log = get_log("room_client")

REQUEST_TIMEOUT_S = 8.0
OPEN_TIMEOUT_S = 3.0
RETRY_FIRST_S = 0.02
RETRY_MAX_S = 1.0
REQUESTS_PER_ROOM_MAX = 500
JITTER = random.SystemRandom()
Answer = TypeVar("Answer")


class RoomUnanswered(Unavailable):
    """No answer in time: it may or may not have been done. Ask again with the same client_id."""

    code, message = "room_unanswered", "The room did not answer in time; try again."


class RoomListener(Protocol):
    """Who hears of opened rooms; called on the event loop, and must not block."""

    def on_room_opened(self, opened: RoomOpened) -> None:
        """The room is (again) open; not `is_complete`: begin anew at its head."""
        ...

    def on_room_entries(self, room_id: uuid.UUID, entries: list[EntryLine]) -> None:
        """Entries in order, each once."""
        ...

    def on_room_show(self, room_id: uuid.UUID, kind: str, data: bytes) -> None:
        """A latest state."""
        ...

    def on_session_end(self, room_id: uuid.UUID, session_id: str) -> None:
        """Close this media session."""
        ...


class RoomClient:
    """All rooms this process follows or asks."""

    def __init__(
        self, me: LinkPeer, key: str, directory: RoomDirectory, listener: RoomListener | None = None
    ) -> None:
        self._terms = LinkTerms(me, key, {HOST: FROM_HOST})
        self._directory = directory
        self._listener = listener
        self._rooms: dict[uuid.UUID, ClientRoom] = {}
        self._links: dict[LinkPeer, Link] = {}
        self._opening: dict[LinkPeer, asyncio.Task[Link]] = {}
        self._requests: dict[int, Request] = {}
        self._waiting: Counter[uuid.UUID] = Counter()
        self._numbers = itertools.count(1)
        self._closing: set[asyncio.Task[None]] = set()

    # For the edge and the API

    def open_room(self, room_id: uuid.UUID) -> ClientRoom:
        """Follow a room from now on; the listener hears when it is open. Opening twice is fine."""
        room = self._rooms.get(room_id)
        if room is None:
            room = self._rooms[room_id] = ClientRoom(room_id)
            room.keeper = asyncio.create_task(self._keep_open(room), name="room-keeper")
        return room

    def close_room(self, room_id: uuid.UUID) -> None:
        """Stop following a room."""
        room = self._rooms.pop(room_id, None)
        if room is None:
            return
        room.say_goodbye()
        if room.keeper is not None:
            room.keeper.cancel()
            self._closing.add(room.keeper)
            room.keeper.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End every link and fail what is in flight."""
        for room_id in list(self._rooms):
            self.close_room(room_id)
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)
        for link in list(self._links.values()):
            await link.close()

    async def send_chat(
        self, room_id: uuid.UUID, speaker: Speaker, client_id: str, text: str
    ) -> ChatStored:
        """Write a line; returns once it is stored. Raises RequestFailed or RoomUnanswered."""
        number = next(self._numbers)
        message = ChatSend(number, room_id, speaker, client_id, text)
        return await self._ask(Request(number, room_id, message), ChatStored)

    async def read_history(self, room_id: uuid.UUID, seq: int, limit: int) -> list[EntryLine]:
        """Return entries after `seq`, oldest first, at most one page."""
        number = next(self._numbers)
        message = HistoryAsk(number, room_id, seq, limit)
        return (await self._ask(Request(number, room_id, message), HistoryPage)).entries

    async def end_live(self, room_id: uuid.UUID) -> None:
        """End a broadcast; returns once that is stored."""
        number = next(self._numbers)
        message = LiveEnd(number, room_id, "ended_by_owner")
        await self._ask(Request(number, room_id, message), RequestDone)

    def send_typing(self, room_id: uuid.UUID, speaker: Speaker) -> None:
        """Show that somebody is writing, when the room is open."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.try_send(TypingSend(room_id, speaker))

    def report_viewers(self, room_id: uuid.UUID, viewers: int) -> None:
        """Say how many distinct watchers this edge has in an opened room."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.report_viewers(viewers)

    def report_publisher(self, room_id: uuid.UUID, publisher: PublisherFact) -> None:
        """Say that media enters an opened room here."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.report_publisher(publisher)

    def report_publisher_lost(self, room_id: uuid.UUID, session_id: str, reason: str) -> None:
        """Say that this media session ended."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.report_publisher_lost(session_id, reason)

    # Links

    def on_link_open(self, link: Link) -> None:
        """Remember the link."""
        self._links[link.peer] = link

    def on_link_lost(self, link: Link, reason: str) -> None:
        """Wake every room that lived there."""
        log.info("room_client.link_lost", host=link.peer.name, reason=reason)
        if self._links.get(link.peer) is link:
            del self._links[link.peer]
        for room in self._rooms.values():
            room.lose_link(link)
        for request in self._requests.values():
            request.lose_link(link)

    def on_link_messages(self, link: Link, messages: list[Any]) -> None:
        """Hand over what hosts send; what comes from a former owner is dropped."""
        for message in messages:
            if isinstance(message, ChatStored | RequestDone | RequestRefused | HistoryPage):
                request = self._requests.get(message.request_id)
                if request is not None:
                    request.answer(message)
                continue
            room = self._rooms.get(message.room_id)
            if room is not None and room.link is link:
                self._hear(room, message)

    def _hear(self, room: ClientRoom, message: Any) -> None:
        listener = self._listener
        if isinstance(message, RoomRefused | RoomGone):
            room.be_refused(message.code if isinstance(message, RoomRefused) else "gone")
        elif listener is None:
            return
        elif isinstance(message, RoomOpened):
            missed = room.be_opened(message)
            listener.on_room_opened(message)
            if missed:
                listener.on_room_entries(room.id, missed)
        elif not room.is_open:
            return  # what comes before the answer to our opening is in that answer
        elif isinstance(message, RoomEntries):
            fresh = room.take_fresh(message.entries)
            if fresh:
                listener.on_room_entries(room.id, fresh)
        elif isinstance(message, RoomShow):
            listener.on_room_show(room.id, message.kind, message.data)
        elif isinstance(message, SessionEnd):
            listener.on_session_end(room.id, message.session_id)

    # Keeping rooms open

    async def _keep_open(self, room: ClientRoom) -> None:
        """Open the room, and open it again after every loss, until cancelled."""
        wait_s = RETRY_FIRST_S
        while True:
            try:
                await self._open_once(room)
                wait_s = RETRY_FIRST_S
                await room.wait_lost()
                log.info("room.lost", room_id=str(room.id))
            except (AppError, *LOST_CONNECTION) as error:
                log.info("room.not_opened", room_id=str(room.id), error=repr(error)[:200])
            except Exception as error:  # a room that is not kept open would stay silent for good
                log.exception("room.keeper_failed", error=type(error).__name__)
            else:
                continue
            await asyncio.sleep(wait_s * JITTER.uniform(0.5, 1.5))
            wait_s = min(wait_s * 2, RETRY_MAX_S)

    async def _open_once(self, room: ClientRoom) -> None:
        placement = await self._directory.get_owner(room.id)
        link = await self._reach(placement)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await room.ask_to_open(link)
        except TimeoutError as error:
            room.lose_link(link)
            raise RoomUnanswered from error
        except (LinkLost, RequestFailed):
            self._directory.forget(placement)
            raise

    async def _reach(self, placement: Placement) -> Link:
        """Return an open link to the owner; one that cannot be reached is fenced."""
        peer = LinkPeer(HOST, placement.host_id, placement.incarnation)
        link = self._links.get(peer)
        if link is not None and link.is_open:
            return link
        task = self._opening.get(peer)
        if task is None:
            task = asyncio.create_task(
                open_link(placement.address, self._terms, peer, self), name="room-link"
            )
            self._opening[peer] = task
            task.add_done_callback(lambda _task: self._opening.pop(peer, None))
        try:
            return await asyncio.shield(task)
        except LinkUnproven:
            log.exception("link.unproven", host=placement.host_id)
            raise
        except LinkRefused:
            await self._directory.fence_owner(placement)
            raise

    # Requests

    async def _ask(self, request: Request, kind: type[Answer]) -> Answer:
        """Send a request until it is answered; raises RequestFailed or RoomUnanswered."""
        if self._waiting[request.room_id] >= REQUESTS_PER_ROOM_MAX:
            raise RoomUnanswered("Too much is waiting for this room.", retry_after_s=1)
        self._requests[request.number] = request
        self._waiting[request.room_id] += 1
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                answer = await self._ask_until_answered(request)
        except TimeoutError as error:
            raise RoomUnanswered from error
        finally:
            del self._requests[request.number]
            self._waiting[request.room_id] -= 1
            if not self._waiting[request.room_id]:
                del self._waiting[request.room_id]
        assert isinstance(answer, kind), "hosts answer a request in its own kind"
        return answer

    async def _ask_until_answered(self, request: Request) -> Any:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                room = self._rooms.get(request.room_id)
                if room is not None:
                    link = await room.wait_open()
                else:
                    link = await self._reach(await self._directory.get_owner(request.room_id))
                return await request.ask(link)
            except RequestFailed as failure:
                if failure.refusal.code not in RETRIED:
                    raise
            except (AppError, *LOST_CONNECTION) as error:
                log.info("room.request_retried", error=type(error).__name__)
            self._directory.forget_room(request.room_id)
            await asyncio.sleep(wait_s * JITTER.uniform(0.5, 1.5))
            wait_s = min(wait_s * 2, RETRY_MAX_S)
