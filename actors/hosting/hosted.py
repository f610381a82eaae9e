"""One running object and the peers that follow it: what they missed, what they are sent.

`roster.py` keeps these; the rules are in the object's core.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from actors.hosting.core import Core, Kind, ObjectKey
from actors.hosting.effects import (
    Acknowledge,
    Answer,
    Finish,
    Publish,
    Refuse,
    Show,
    Signal,
    Telling,
)
from actors.hosting.entries import Entry
from actors.hosting.messages import (
    Answered,
    Denied,
    Done,
    Entries,
    EntryLine,
    HistoryAsk,
    HistoryPage,
    ObjectFacts,
    Open,
    Opened,
    Shown,
    Signalled,
    Stored,
)
from actors.hosting.ports import HostLink, HostStore
from actors.hosting.rates import RateMeter
from actors.link.frames import LinkLost
from kit.errors import AppError
from kit.metrics import FANOUT_MESSAGES, OBJECT_RESUMES, label

MISSED_MAX = 2000
PAGE_MAX = 200
JSON = msgspec.json.Encoder()


@dataclass
class Hosted:
    """A running object, and its followers by the name of their link."""

    kind: Kind
    core: Core
    placement: int
    """The number under which this host owns it."""
    touched_s: float
    followers: dict[str, HostLink] = field(default_factory=dict)
    is_stopped: bool = False
    """It is leaving: nothing more is accepted."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a stopped object has nothing left to store."""
    rate: RateMeter = field(default_factory=RateMeter)
    consulting: int = 0
    """Questions to the kind's port that are not answered yet."""

    def __post_init__(self) -> None:
        self.key = ObjectKey(self.kind.name, self.core.id)
        self.epoch = str(self.core.epoch)

    def admit(self, link: HostLink, number: int, missed: list[Entry] | None) -> None:
        """Begin telling a peer of the object: first what it missed (None: it must begin anew)."""
        core = self.core
        self.followers[name_link(link)] = link
        link.send(
            Opened(
                number=number,
                key=self.key,
                epoch=self.epoch,
                head=core.log.head,
                facts=core.describe(),
                missed=self._write_lines(missed or []),
                is_complete=missed is not None,
            )
        )
        for show in core.snapshot():
            link.send(Shown(self.key, show.kind, JSON.encode(show.data)))

    def survey(self, now_s: float) -> ObjectFacts:
        """Return what an operator wants to see."""
        core = self.core
        return ObjectFacts(
            id=core.id,
            epoch=self.epoch,
            head=core.log.head,
            followers=len(self.followers),
            mailbox=core.log.depth,
            entries_per_min=round(self.rate.read_per_min(now_s), 1),
            facts=core.describe(),
            shown={show.kind: show.data for show in core.snapshot()},
        )

    def carry_out(self, effect: Telling, links: Mapping[str, HostLink]) -> None:
        """Send what an effect says to whom it concerns; lost links are passed over."""
        if isinstance(effect, Publish):
            self._tell(Entries(self.key, self._write_lines(effect.entries)))
        elif isinstance(effect, Show):
            self._tell(Shown(self.key, effect.kind, JSON.encode(effect.data)))
        elif isinstance(effect, Signal):
            send_to(links.get(effect.link), Signalled(self.key, effect.message))
        elif effect.requester.request_id:
            link = links.get(effect.requester.link)
            self._answer(link, effect.requester.request_id, effect)

    def _answer(
        self, link: HostLink | None, request_id: int, effect: Acknowledge | Finish | Answer | Refuse
    ) -> None:
        if isinstance(effect, Acknowledge):
            entry_id = str(effect.entry_id)
            send_to(link, Stored(request_id, entry_id, self.epoch, effect.seq, effect.kind))
        elif isinstance(effect, Finish):
            send_to(link, Done(request_id))
        elif isinstance(effect, Answer):
            send_to(link, Answered(request_id, effect.message))
        else:
            deny(link, request_id, effect.error)

    async def read_missed(self, store: HostStore, ask: Open) -> list[Entry] | None:
        """Return what a peer missed, from memory or storage; None when it must begin anew.

        The answer is complete at the moment it is returned: call `admit` before awaiting again.
        """
        source, missed = await self._find_missed(store, ask)
        label(OBJECT_RESUMES, self.kind.name, source).inc()
        return missed

    async def _find_missed(self, store: HostStore, ask: Open) -> tuple[str, list[Entry] | None]:
        """Return what a peer missed, and where that was found; nothing is awaited afterwards."""
        log = self.core.log
        if ask.epoch is None:
            return "fresh", []
        if ask.epoch != self.epoch or ask.seq > log.head:
            return "reload", None
        entries = log.find_entries_after(ask.seq)
        if entries is not None:
            return "memory", entries
        if log.head - ask.seq > MISSED_MAX:
            return "reload", None
        stored = await store.read_after(self.key, ask.seq, MISSED_MAX)
        if stored and stored[0].seq != ask.seq + 1:
            return "reload", None  # what came between was purged
        older = [entry for entry in stored if entry.seq <= log.head]
        newer = log.find_entries_after(older[-1].seq if older else ask.seq)
        return ("reload", None) if newer is None else ("storage", older + newer)

    async def read_page(self, store: HostStore, ask: HistoryAsk) -> HistoryPage:
        """Return the page of entries a peer asked for; raises when storage is away."""
        log, limit = self.core.log, max(1, min(ask.limit, PAGE_MAX))
        entries = log.find_entries_after(ask.seq)
        if entries is None:
            stored = await store.read_after(self.key, ask.seq, limit)
            entries = [entry for entry in stored if entry.seq <= log.head]
        return HistoryPage(ask.request_id, self._write_lines(entries[:limit]))

    def _write_lines(self, entries: Sequence[Entry]) -> list[EntryLine]:
        """Write entries as links carry them: their data as JSON, once for everybody."""
        describe = self.kind.describe_entry
        return [
            EntryLine(entry.seq, entry.kind, JSON.encode(describe(self.core.id, entry)))
            for entry in entries
        ]

    def _tell(self, message: Entries | Shown) -> None:
        label(FANOUT_MESSAGES, self.kind.name).inc(len(self.followers))
        for link in list(self.followers.values()):
            send_to(link, message)


def deny(link: HostLink | None, request_id: int, error: AppError) -> None:
    """Answer a request with an error."""
    details = {key: value for key, value in error.details.items() if isinstance(value, int)}
    send_to(link, Denied(request_id, error.code, error.text, error.retryable, details))


def name_link(link: HostLink) -> str:
    """Return the name under which a host knows a peer: another incarnation is another peer."""
    return f"{link.peer.role}/{link.peer.name}/{link.peer.incarnation}"


def send_to(link: HostLink | None, message: msgspec.Struct) -> None:
    """Send, passing over a link that is lost."""
    if link is not None:
        with contextlib.suppress(LinkLost):
            link.send(message)
