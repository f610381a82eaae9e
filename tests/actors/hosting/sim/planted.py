"""Faults planted on purpose: each breaks one promise, and the simulation must notice.

Storage that forgets a rule, a log that forgets one, a lease without its margin. They go in where
the product's own parts go in.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from actors.feed_ranker.kind import FEED_KIND, make_ranker
from actors.hosting.client import HostClient
from actors.hosting.core import Core, CoreTerms, HostRef, Kind, Loaded, ObjectKey
from actors.hosting.effects import Acknowledge, Effect, Requester, StorageAway
from actors.hosting.entries import Batch, Entry, Repeats
from actors.hosting.followed import Followed
from actors.hosting.lease import MARGIN_S
from actors.hosting.log import Log
from actors.live_room.kind import ROOM_KIND, make_room
from actors.live_room.messages import ChatSend
from actors.live_room.room import Room
from actors.user_session.kind import USER_KIND, make_session
from actors.user_session.messages import Deliver
from actors.user_session.session import UserSession
from kit.errors import AppError
from storage.placements import Placement
from tests.actors.hosting.sim.engine import Statement
from tests.actors.hosting.sim.server import Server
from tests.actors.hosting.sim.site import Parts
from tests.actors.hosting.sim.store import SimStore

# Storage


class UnfencedWrites(Server):
    """The write looks neither at the host's row nor at the placements."""

    def may_write(self, host: HostRef) -> bool:
        return True

    def list_placed(self, host: HostRef, keys: Iterable[ObjectKey]) -> list[ObjectKey]:
        return list(keys)


class WritesBlindToFences(Server):
    """The write looks at placements alone."""

    def may_write(self, host: HostRef) -> bool:
        return True


class WritesWithoutLock(Server):
    """The write looks at the host's row and does not lock it."""

    def write(
        self, kind: str, host: HostRef, batches: Mapping[uuid.UUID, Batch], work_s: float = 0
    ) -> Statement:
        statement = super().write(kind, host, batches, work_s)
        try:
            while True:
                need = next(statement)
                if not (isinstance(need, tuple) and need[0] == "share"):
                    yield need
        except StopIteration as done:
            return done.value
        finally:
            statement.close()


class NumbersNotUnique(Server):
    """No unique index on the numbers."""

    def check_unique(self, lines: Sequence[tuple[ObjectKey, Entry]]) -> None: ...


class SendersNotUnique(NumbersNotUnique):
    """Neither an index on senders nor a look for repeats."""

    def find_repeats(
        self, kind: str, batches: Mapping[uuid.UUID, Batch]
    ) -> dict[uuid.UUID, Repeats]:
        return {}


class TakeoverByExpiry(Server):
    """A lapsed owner is replaced without being fenced."""

    def is_lapsed(self, host: HostRef) -> bool:
        row = self.hosts[host[0]]
        return row.incarnation == host[1] and row.expires_at_s < self.timeline.now_s

    def find_placement(self, key: ObjectKey) -> Placement | None:
        found = super().find_placement(key)
        if found is None or not self.is_lapsed((found.host_id, found.incarnation)):
            return found
        return msgspec.structs.replace(found, is_live=False)

    def may_replace(self, owner: HostRef) -> bool:
        return super().may_replace(owner) or self.is_lapsed(owner)


class LeaseWithoutMargin(SimStore):
    """The database lets the lease lapse when its holder does, and not a second later."""

    async def renew(self, host: HostRef, ttl_s: float) -> bool:
        return await super().renew(host, ttl_s - MARGIN_S)


# Rooms and their logs


class EagerRoom(Room):
    """Acknowledges before anything is stored."""

    def handle(self, requester: Requester, line: Any) -> list[Effect]:
        effects = super().handle(requester, line)
        if effects or not isinstance(line, ChatSend):
            return effects
        draft = self.log._waiting[line.speaker.user_id, line.client_id]
        return [Acknowledge(requester, draft.id, self.log.head + self.log.depth)]


class ResolveSkipped(Log):
    """After an unknown outcome it takes for granted that nothing was stored."""

    def resolve(self, stored: Sequence[Entry]) -> list[Effect]:
        return self.revert(StorageAway(retry_after_s=1))


class ResolveAssumed(Log):
    """After an unknown outcome it takes for granted that all was stored."""

    def resolve(self, stored: Sequence[Entry]) -> list[Effect]:
        return self.confirm()


class NumbersWasted(Log):
    """Numbers that were not stored are not given again."""

    def revert(self, error: AppError) -> list[Effect]:
        self.head += self.depth
        return super().revert(error)


class NumbersReused(Log):
    """After an unknown outcome it numbers from where it was, whatever was stored meanwhile."""

    def resolve(self, stored: Sequence[Entry]) -> list[Effect]:
        head = self.head
        effects = super().resolve(stored)
        self.head = head
        return effects


class MissedForgotten(Log):
    """Leaves out one of the entries that a follower missed."""

    def find_entries_after(self, seq: int) -> list[Entry] | None:
        entries = super().find_entries_after(seq)
        return entries[1:] if entries else entries


class RepeatsTrusted(Log):
    """Takes every repeat for fresh."""

    def find_answer(self, sender: Any, requester: Requester) -> list[Effect] | None:
        return None


# People and their feeds


class EagerSession(UserSession):
    """Acknowledges a notice before it is stored."""

    def deliver(self, requester: Requester, notice: Deliver) -> list[Effect]:
        effects = super().deliver(requester, notice)
        if effects:
            return effects
        draft = self.log._waiting[self.id, str(notice.event_id)]
        return [Acknowledge(requester, draft.id, self.log.head + self.log.depth)]


def make_eager_session(loaded: Loaded, terms: CoreTerms) -> Core:
    """Return such a session."""
    session = make_session(loaded, terms)
    session.__class__ = EagerSession
    return session


def make_forgetful_ranker(loaded: Loaded, terms: CoreTerms) -> Core:
    """Return a ranker that knows nothing of what was shown before it was loaded."""
    return make_ranker(replace(loaded, history=[]), terms)


class SaidOnce(HostClient):
    """Tells of a person's sockets once, and not every later owner."""

    def follow(self, key: ObjectKey) -> Followed:
        followed = super().follow(key)
        tell = followed.tell

        def tell_once(command: Any) -> None:
            followed._standing.clear()
            tell(command)

        followed.tell = tell_once  # type: ignore[method-assign]  # a planted fault
        return followed


def with_log(log: type[Log]) -> Kind:
    """Return rooms that keep their entries in such a log."""

    def make(loaded: Loaded, terms: CoreTerms) -> Core:
        room = make_room(loaded, terms)
        room.log.__class__ = log
        return room

    return replace(ROOM_KIND, make_core=make)


def with_room(kind: type[Room]) -> Kind:
    """Return rooms of such a class."""

    def make(loaded: Loaded, terms: CoreTerms) -> Core:
        room = make_room(loaded, terms)
        room.__class__ = kind
        return room

    return replace(ROOM_KIND, make_core=make)


PLANTED: dict[str, Parts] = {
    "writes without a fence": Parts(server=UnfencedWrites),
    "writes that see placements alone": Parts(server=WritesBlindToFences),
    "writes that take no lock": Parts(server=WritesWithoutLock),
    "numbers that are not unique": Parts(server=NumbersNotUnique),
    "senders that are not unique": Parts(server=SendersNotUnique),
    "takeover of a lapsed host without a fence": Parts(server=TakeoverByExpiry),
    "a lease without its margin": Parts(store=LeaseWithoutMargin),
    "acknowledging before the commit": Parts(kind=with_room(EagerRoom)),
    "an unknown outcome taken for none": Parts(kind=with_log(ResolveSkipped)),
    "an unknown outcome taken for success": Parts(kind=with_log(ResolveAssumed)),
    "numbers wasted": Parts(kind=with_log(NumbersWasted)),
    "numbers given again after an unknown outcome": Parts(kind=with_log(NumbersReused)),
    "a missed entry left out": Parts(kind=with_log(MissedForgotten)),
    "repeats taken for fresh lines": Parts(kind=with_log(RepeatsTrusted)),
    "acknowledging a notice before the commit": Parts(
        others=(replace(USER_KIND, make_core=make_eager_session), FEED_KIND)
    ),
    "rankers that load nothing": Parts(
        others=(USER_KIND, replace(FEED_KIND, make_core=make_forgetful_ranker))
    ),
    "sockets reported to one owner alone": Parts(client=SaidOnce),
}
