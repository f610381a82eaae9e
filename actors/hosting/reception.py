"""What peers ask of a host: follow, stop following, commands, history.

`host.py` owns one and hands it the messages of each link in order. What must be stored is refused
while nothing can be stored; everything else goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from actors.hosting.core import HostRef, ObjectKey
from actors.hosting.effects import CommandUnknown, ObjectMoved, Requester, StorageAway
from actors.hosting.entries import Entry
from actors.hosting.hosted import Hosted, deny, name_link, send_to
from actors.hosting.messages import (
    Ask,
    Close,
    Done,
    HistoryAsk,
    Measure,
    Measured,
    Move,
    Open,
    Refused,
    Survey,
    SurveyPage,
    Tell,
)
from actors.hosting.mover import Mover
from actors.hosting.ports import HostLink, HostStore
from actors.hosting.roster import Roster
from actors.hosting.supervision import ObjectFailing
from actors.link.frames import LinkLost
from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import write_metrics

log = get_log("host")

SURVEY_MAX = 200


@dataclass(frozen=True)
class ReceptionPorts:
    """What the reception needs of its host."""

    roster: Roster
    mover: Mover
    store: HostStore
    host: HostRef
    may_store: Callable[[str], bool]
    """Whether objects of a kind can be stored right now."""
    is_linked: Callable[[HostLink], bool]
    is_over: Callable[[], bool]
    """Whether this incarnation owns nothing any more."""
    start: Callable[[Coroutine[Any, Any, Any], str], object]
    """Run a task that the host owns."""


class Reception:
    """Acts on what peers send."""

    def __init__(self, ports: ReceptionPorts) -> None:
        self._ports = ports
        self._opening: dict[tuple[str, ObjectKey], Open] = {}

    def hear(self, link: HostLink, message: Any) -> None:
        """Act on one message."""
        if isinstance(message, Open):
            self._opening[name_link(link), message.key] = message
            self._ports.start(self._open(link, message), "host-open")
        elif isinstance(message, Close):
            self._close(link, message)
        elif isinstance(message, Tell):
            self._be_told(link, message)
        elif isinstance(message, Ask):
            hosted = self._ports.roster.find(message.key)
            if hosted is not None:
                self._act(link, hosted, message)
            else:
                self._ports.start(self._wake_and_act(link, message), "host-wake")
        elif isinstance(message, HistoryAsk):
            self._ports.start(self._send_page(link, message), "host-history")
        elif isinstance(message, Move):
            self._ports.start(self._move(link, message), "host-move")
        elif isinstance(message, Survey):
            self._send_survey(link, message)
        elif isinstance(message, Measure):
            send_to(link, Measured(message.request_id, write_metrics()))

    def forget_link(self, name: str) -> None:
        """A peer is gone: what it was opening is forgotten."""
        self._opening = {key: ask for key, ask in self._opening.items() if key[0] != name}

    # Following

    async def _open(self, link: HostLink, message: Open) -> None:
        """Let a peer follow an object, loading it first when it sleeps."""
        key, name = message.key, name_link(link)
        try:
            hosted = await self._ports.roster.activate(key)
            if hosted is None:
                send_to(link, Refused(message.number, key, ObjectMoved.code))
                return
            missed = await hosted.read_missed(self._ports.store, message)
        except AppError as error:
            send_to(link, Refused(message.number, key, error.code))
            return
        if self._opening.get((name, key)) is not message:
            return  # closed, or asked for again, meanwhile
        del self._opening[name, key]
        if not self._ports.is_linked(link):
            return
        # What the same peer said before it opened anew may not stand any more: it says it again.
        self._ports.roster.drop_follower(hosted, name)
        if self._ports.roster.find(key) is hosted:
            self._admit(link, hosted, message.number, missed)

    def _admit(
        self, link: HostLink, hosted: Hosted, number: int, missed: list[Entry] | None
    ) -> None:
        with contextlib.suppress(LinkLost), self._ports.roster.guard(hosted.key, LinkLost):
            hosted.admit(link, number, missed)

    def _close(self, link: HostLink, message: Close) -> None:
        self._opening.pop((name_link(link), message.key), None)
        hosted = self._ports.roster.find(message.key)
        if hosted is not None:
            self._ports.roster.drop_follower(hosted, name_link(link))

    # Commands

    def _be_told(self, link: HostLink, message: Tell[Any]) -> None:
        """Act on what a follower says; from anybody else it is out of date."""
        hosted = self._ports.roster.find(message.key)
        if hosted is None or name_link(link) not in hosted.followers:
            return
        if not hosted.kind.may_send(link.peer.role, message.command):
            log.warning("host.command_unknown", peer=link.peer.name, kind=message.key.kind)
            return
        if not hosted.is_stopped:
            requester = Requester(name_link(link))
            self._ports.roster.act(
                message.key, lambda core: core.handle(requester, message.command)
            )

    def _act(self, link: HostLink, hosted: Hosted, message: Ask[Any]) -> None:
        kind, command = hosted.kind, message.command
        if not kind.may_send(link.peer.role, command):
            deny(link, message.request_id, CommandUnknown())
        elif hosted.is_stopped or self._ports.is_over():
            deny(link, message.request_id, ObjectMoved())
        elif isinstance(command, kind.durable) and not self._ports.may_store(kind.name):
            deny(link, message.request_id, StorageAway(retry_after_s=1))
        else:
            requester = Requester(name_link(link), message.request_id)
            self._ports.roster.touch(hosted)
            self._ports.roster.act(
                message.key, lambda core: core.handle(requester, command), requester
            )

    async def _wake_and_act(self, link: HostLink, message: Ask[Any]) -> None:
        hosted = await self._wake(link, message.request_id, message.key)
        if hosted is not None:
            self._act(link, hosted, message)

    async def _send_page(self, link: HostLink, message: HistoryAsk) -> None:
        """Answer a peer that wants older entries."""
        hosted = await self._wake(link, message.request_id, message.key)
        if hosted is None:
            return
        try:
            with self._ports.roster.guard(message.key, AppError) as guard:
                page = await hosted.read_page(self._ports.store, message)
        except AppError:
            deny(link, message.request_id, StorageAway(retry_after_s=1))
            return
        if guard.is_broken:
            deny(link, message.request_id, ObjectFailing(retry_after_s=1))
        else:
            send_to(link, page)

    async def _wake(self, link: HostLink, request_id: int, key: ObjectKey) -> Hosted | None:
        """Return the running object, or deny the request and return None."""
        try:
            hosted = await self._ports.roster.activate(key)
        except AppError as error:
            deny(link, request_id, error)
            return None
        if hosted is None:
            deny(link, request_id, ObjectMoved())
        return hosted

    # For operators

    async def _move(self, link: HostLink, message: Move) -> None:
        """Hand an object over to the host that was chosen."""
        hosted = await self._wake(link, message.request_id, message.key)
        if hosted is None:
            return
        try:
            await self._ports.mover.move_to(hosted, message.target)
        except AppError as error:
            deny(link, message.request_id, error)
        else:
            send_to(link, Done(message.request_id))

    def _send_survey(self, link: HostLink, message: Survey) -> None:
        """Tell what runs here, a page at a time."""
        limit = max(1, min(message.limit, SURVEY_MAX))
        objects = self._ports.roster.survey(message.kind, message.after, limit)
        send_to(link, SurveyPage(message.request_id, *self._ports.host, objects))
