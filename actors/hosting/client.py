"""The way to hosted objects for edges and the API: links to hosts, kept open, moved when they die.

An object that is followed stays followed: when its host is lost the host is fenced, the object
placed anew, and what was missed delivered, so the listener sees every entry once and in order.
Requests in flight are sent again as they are. Each request has a deadline. Kinds wrap it with
words of their own (`live_room/client.py`).
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from typing import Any, Protocol, TypeVar

from actors.hosting.core import HostRef, ObjectKey
from actors.hosting.directory import Directory
from actors.hosting.effects import ObjectMoved
from actors.hosting.followed import RETRIED, Followed, Request, RequestFailed
from actors.hosting.messages import (
    HOST,
    Answered,
    Ask,
    Denied,
    Done,
    Entries,
    EntryLine,
    Gone,
    HistoryAsk,
    HistoryPage,
    Measure,
    Measured,
    Move,
    Opened,
    Refused,
    Shown,
    Signalled,
    Stored,
    Survey,
    SurveyPage,
    Unsure,
    accept_from_host,
)
from actors.hosting.ports import ClientPorts, HostLink
from actors.link.frames import LinkGone, LinkLost, LinkPeer, LinkRefused, LinkUnproven
from kit.errors import AppError, Unavailable
from kit.logs import get_log
from storage.hosts import HostEntry
from storage.placements import Placement

log = get_log("host_client")

REQUEST_TIMEOUT_S = 8.0
OPEN_TIMEOUT_S = 3.0
SURVEY_TIMEOUT_S = 3.0
DOUBT_TIMEOUT_S = 5.0
RETRY_FIRST_S = 0.02
RETRY_MAX_S = 1.0
REQUESTS_PER_OBJECT_MAX = 500
ANSWERS = (Stored, Done, Denied, Answered, HistoryPage, SurveyPage, Measured)
Answer = TypeVar("Answer")


class ObjectUnanswered(Unavailable):
    """No answer in time: it may or may not have been done. Ask again with the same client_id."""

    code, message = "object_unanswered", "There was no answer in time; try again."


class Listener(Protocol):
    """Who hears of followed objects; called on the event loop, and must not block."""

    def on_opened(self, opened: Opened) -> None:
        """The object is (again) open; not `is_complete`: begin anew at its head."""
        ...

    def on_entries(self, key: ObjectKey, entries: list[EntryLine]) -> None:
        """Entries in order, each once."""
        ...

    def on_shown(self, key: ObjectKey, kind: str, data: bytes) -> None:
        """A latest state, as JSON."""
        ...

    def on_signal(self, key: ObjectKey, signal: Any) -> None:
        """Something of the object's kind for this process alone."""
        ...


class HostClient:
    """All objects this process follows or asks."""

    def __init__(self, me: LinkPeer, ports: ClientPorts, listener: Listener | None = None) -> None:
        self._me = me
        self._ports = ports
        self._accepted = accept_from_host(ports.kinds)
        self._directory = Directory(ports.store, ports.clock, ports.node)
        self._listener = listener
        self._followed: dict[ObjectKey, Followed] = {}
        self._links: dict[LinkPeer, HostLink] = {}
        self._opening: dict[LinkPeer, asyncio.Task[HostLink]] = {}
        self._requests: dict[int, Request] = {}
        self._waiting: dict[ObjectKey, int] = {}
        self._numbers = itertools.count(1)
        self._closing: set[asyncio.Task[None]] = set()
        self._doubted: set[LinkPeer] = set()
        """Hosts that are being asked for in storage."""

    # For kinds' clients

    def follow(self, key: ObjectKey) -> Followed:
        """Follow an object from now on; the listener hears when it is open. Twice is fine."""
        followed = self._followed.get(key)
        if followed is None:
            followed = self._followed[key] = Followed(key)
            followed.keeper = asyncio.create_task(self._keep_open(followed), name="object-keeper")
        return followed

    def find_followed(self, key: ObjectKey) -> Followed | None:
        """Return a followed object."""
        return self._followed.get(key)

    def unfollow(self, key: ObjectKey) -> None:
        """Stop following an object."""
        followed = self._followed.pop(key, None)
        if followed is None:
            return
        followed.say_goodbye()
        if followed.keeper is not None:
            followed.keeper.cancel()
            self._closing.add(followed.keeper)
            followed.keeper.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End every link and fail what is in flight."""
        for key in list(self._followed):
            self.unfollow(key)
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for link in list(self._links.values()):
            await link.close()

    async def ask(self, key: ObjectKey, command: Any, kind: type[Answer]) -> Answer:
        """Have a command done; returns its answer. Raises RequestFailed or ObjectUnanswered."""
        number = next(self._numbers)
        return await self._ask(key, Request(number, Ask(number, key, command)), kind)

    async def read_history(self, key: ObjectKey, seq: int, limit: int) -> list[EntryLine]:
        """Return entries after `seq`, oldest first, at most one page."""
        number = next(self._numbers)
        request = Request(number, HistoryAsk(number, key, seq, limit))
        return (await self._ask(key, request, HistoryPage)).entries

    # For operators

    async def move_object(self, key: ObjectKey, target: str) -> None:
        """Have the owner hand an object to another host; returns once it has."""
        number = next(self._numbers)
        await self._ask(key, Request(number, Move(number, key, target)), Done)

    async def survey_host(
        self, host: HostEntry, kind: str, *, after: uuid.UUID | None, limit: int
    ) -> SurveyPage:
        """Return what runs on a host, in order of ids; raises LinkRefused or ObjectUnanswered."""
        number = next(self._numbers)
        return await self._ask_host(host, Survey(number, kind, after, limit), SurveyPage)

    async def measure_hosts(self) -> dict[str, bytes]:
        """Return what each living host counted, as Prometheus's text; silent ones are left out.

        Raises DatabaseBusy when nobody knows which hosts live.
        """

        async def measure(host: HostEntry) -> tuple[str, bytes] | None:
            try:
                answer = await self._ask_host(host, Measure(next(self._numbers)), Measured)
            except AppError as error:
                log.info("host_client.not_measured", host=host.id, error=type(error).__name__)
                return None
            return host.id, answer.text

        hosts = await self._ports.store.list_live_hosts()
        answers = await asyncio.gather(*(measure(host) for host in hosts))
        return dict(answer for answer in answers if answer is not None)

    async def _ask_host(
        self, host: HostEntry, message: Survey | Measure, kind: type[Answer]
    ) -> Answer:
        """Ask a host of itself; raises LinkRefused or ObjectUnanswered."""
        request = Request(message.request_id, message)
        self._requests[request.number] = request
        try:
            async with asyncio.timeout(SURVEY_TIMEOUT_S):
                link = await self._open_link((host.id, host.incarnation), host.address)
                answer = await request.ask(link)
        except TimeoutError as error:
            raise ObjectUnanswered(retry_after_s=1) from error
        finally:
            del self._requests[request.number]
        assert isinstance(answer, kind), "hosts answer a request in its own kind"
        return answer

    # Links

    def on_link_open(self, link: HostLink) -> None:
        """Remember the link."""
        self._links[link.peer] = link

    def on_link_lost(self, link: HostLink, reason: str) -> None:
        """Wake every object that lived there."""
        log.info("host_client.link_lost", host=link.peer.name, reason=reason)
        if self._links.get(link.peer) is link:
            del self._links[link.peer]
        for followed in self._followed.values():
            followed.lose_link(link)
        for request in self._requests.values():
            request.lose_link(link)

    def on_link_messages(self, link: HostLink, messages: list[Any]) -> None:
        """Hand over what hosts send; what comes from a former owner is dropped."""
        for message in messages:
            if isinstance(message, ANSWERS):
                request = self._requests.get(message.request_id)
                if request is not None:
                    request.answer(message)
                continue
            if isinstance(message, Unsure):
                self._doubt(link)
                continue
            followed = self._followed.get(message.key)
            if followed is not None and followed.link is link:
                self._hear(followed, message)

    def _hear(self, followed: Followed, message: Any) -> None:
        listener = self._listener
        if isinstance(message, Opened | Refused) and message.number != followed.number:
            return  # to a question that nobody asks any more
        if isinstance(message, Refused):
            followed.be_refused(message.code)
        elif isinstance(message, Gone):
            self._directory.note_move(followed.key, message.moved_to)
            followed.be_refused(ObjectMoved.code)
        elif isinstance(message, Opened):
            self._take_opened(followed, message)
        elif listener is None or not followed.is_open:
            return  # what comes before the answer to our opening is in that answer
        elif isinstance(message, Entries):
            fresh = followed.take_fresh(message.entries)
            if fresh:
                listener.on_entries(followed.key, fresh)
        elif isinstance(message, Shown):
            listener.on_shown(followed.key, message.kind, message.data)
        elif isinstance(message, Signalled):
            listener.on_signal(followed.key, message.signal)

    def _take_opened(self, followed: Followed, message: Opened) -> None:
        missed = followed.be_opened(message)
        if self._listener is not None:
            self._listener.on_opened(message)
            if missed:
                self._listener.on_entries(followed.key, missed)

    def _doubt(self, link: HostLink) -> None:
        """A host says that its lease lapsed: see whether another one took over."""
        if link.peer not in self._doubted:
            self._doubted.add(link.peer)
            task = asyncio.create_task(self._settle_doubt(link), name="host-doubt")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _settle_doubt(self, link: HostLink) -> None:
        """Leave a host whose incarnation is over; its objects are opened at their next owners.

        Away from storage ourselves we stay, as everybody does while PostgreSQL is away.
        """
        peer = link.peer
        try:
            async with asyncio.timeout(DOUBT_TIMEOUT_S):
                is_over = await self._ports.store.fence_late((peer.name, peer.incarnation))
        except (AppError, TimeoutError) as error:
            log.info("host_client.doubt_stays", host=peer.name, error=type(error).__name__)
        else:
            if is_over:
                self._directory.forget_host((peer.name, peer.incarnation))
                link.end("lease lapsed")
        finally:
            self._doubted.discard(peer)

    # Keeping objects open

    async def _keep_open(self, followed: Followed) -> None:
        """Open the object, and open it again after every loss, until cancelled."""
        wait_s = RETRY_FIRST_S
        while True:
            try:
                await self._open_once(followed)
                wait_s = RETRY_FIRST_S
                await followed.wait_lost()
                log.info("object.lost", kind=followed.key.kind, object_id=str(followed.key.id))
            except AppError as error:
                if isinstance(error, RequestFailed) and error.refusal.code not in RETRIED:
                    followed.end_waiting(error.refusal)
                log.info(
                    "object.not_opened",
                    kind=followed.key.kind,
                    object_id=str(followed.key.id),
                    error=repr(error)[:200],
                )
            except Exception as error:  # an object that is not kept open would stay silent for good
                log.exception("object.keeper_failed", error=type(error).__name__)
            else:
                continue
            wait_s = await self._pause(wait_s)

    async def _open_once(self, followed: Followed) -> None:
        placement = await self._directory.get_owner(followed.key)
        link = await self._reach(followed.key, placement)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await followed.ask_to_open(link, next(self._numbers))
        except TimeoutError as error:
            followed.lose_link(link)
            raise ObjectUnanswered(retry_after_s=1) from error
        except (LinkLost, RequestFailed):
            self._directory.forget(followed.key, placement)
            raise

    async def _reach(self, key: ObjectKey, placement: Placement) -> HostLink:
        """Return an open link to the owner; one that cannot be reached is fenced."""
        host = (placement.host_id, placement.incarnation)
        try:
            return await self._open_link(host, placement.address)
        except LinkUnproven:
            log.exception("link.unproven", host=placement.host_id)
            raise
        except LinkRefused as refusal:
            is_gone = isinstance(refusal, LinkGone)
            await self._directory.fence_owner(key, placement, is_gone=is_gone)
            raise

    async def _open_link(self, host: HostRef, address: str) -> HostLink:
        """Return an open link to a host; raises LinkRefused."""
        peer = LinkPeer(HOST, *host)
        link = self._links.get(peer)
        if link is not None and link.is_open:
            return link
        task = self._opening.get(peer)
        if task is None:
            opening = self._ports.transport.open(address, (self._me, peer), self._accepted, self)
            task = self._opening[peer] = asyncio.create_task(opening, name="host-link")
            task.add_done_callback(lambda _task: self._opening.pop(peer, None))
        return await asyncio.shield(task)

    # Requests

    async def _ask(self, key: ObjectKey, request: Request, kind: type[Answer]) -> Answer:
        """Send a request until it is answered; raises RequestFailed or ObjectUnanswered."""
        waiting = self._waiting.get(key, 0)
        if waiting >= REQUESTS_PER_OBJECT_MAX:
            raise ObjectUnanswered("Too much is waiting here.", retry_after_s=1)
        self._requests[request.number] = request
        self._waiting[key] = waiting + 1
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                answer = await self._ask_until_answered(key, request)
        except TimeoutError as error:
            raise ObjectUnanswered(retry_after_s=1) from error
        finally:
            del self._requests[request.number]
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]
        assert isinstance(answer, kind), "hosts answer a request in its own kind"
        return answer

    async def _ask_until_answered(self, key: ObjectKey, request: Request) -> Any:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                return await request.ask(await self._find_way(key))
            except RequestFailed as failure:
                if failure.refusal.code not in RETRIED:
                    raise
            except AppError as error:
                log.info("object.request_retried", error=type(error).__name__)
            self._directory.forget_object(key)
            wait_s = await self._pause(wait_s)

    async def _find_way(self, key: ObjectKey) -> HostLink:
        """Return the link to the owner; a followed object is waited for."""
        followed = self._followed.get(key)
        if followed is not None:
            return await followed.wait_open()
        return await self._reach(key, await self._directory.get_owner(key))

    async def _pause(self, wait_s: float) -> float:
        """Wait about so long; return how long to wait the next time."""
        await asyncio.sleep(wait_s * self._ports.jitter.uniform(0.5, 1.5))
        return min(wait_s * 2, RETRY_MAX_S)
