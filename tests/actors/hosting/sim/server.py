"""PostgreSQL as the hosting protocol sees it, in memory: rows, row locks, commits, restarts.

Statements are generators: they yield the row lock they need or the time they take, and change rows
only at the end, when they commit. The contract tests hold this against the real functions of
storage/hosts.py, placements.py and rooms.py. True time is the server's clock.
"""

from __future__ import annotations

import bisect
import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from actors.hosting.core import HostRef, ObjectKey, TickOutcome
from actors.hosting.entries import Batch, Entry, Known, Repeats, Sender
from storage.database import SequenceTaken
from storage.hosts import LATE_S, HostEntry
from storage.placements import Placement
from tests.actors.hosting.sim.engine import Engine, Statement
from tests.actors.hosting.sim.loop import Timeline


@dataclass
class HostRow:
    """A row of `hosts`, and who holds it locked."""

    id: str
    incarnation: int
    node: str
    expires_at_s: float
    steady_since_s: float
    state: str = "draining"
    address: str = ""


@dataclass
class ObjectRow:
    """An object with its entries in the order of their numbers, and what changed with them."""

    facts: Any
    needs_owner: Callable[[], bool] = lambda: False
    entries: list[Entry] = field(default_factory=list)
    senders: dict[Sender | None, Entry] = field(default_factory=dict)
    changes: list[Any] = field(default_factory=list)

    def find(self, seq: int) -> Entry | None:
        """Return the entry of this number."""
        place = bisect.bisect_left(self.entries, seq, key=_seq_of)
        if place < len(self.entries) and self.entries[place].seq == seq:
            return self.entries[place]
        return None


class Witness(Protocol):
    """Who sees every commit, for judging afterwards."""

    def on_host(self, host: HostRef, state: str, *, was_expired: bool = False) -> None:
        """An incarnation began ("draining"), opened ("live") or ended ("fenced")."""
        ...

    def on_placed(self, key: ObjectKey, host: HostRef | None) -> None:
        """An object has this owner now; None: it was released."""
        ...

    def on_moved(self, key: ObjectKey, host: HostRef) -> None:
        """An owner hands an object over; who has it now follows."""
        ...

    def on_written(self, host: HostRef, lines: Sequence[tuple[ObjectKey, Entry]]) -> None:
        """A tick was committed."""
        ...


class Server(Engine):
    """The database: `run()` executes a statement; the rest are the statements."""

    def __init__(self, timeline: Timeline, witness: Witness) -> None:
        super().__init__(timeline)
        self.witness = witness
        self.hosts: dict[str, HostRow] = {}
        self.placements: dict[ObjectKey, HostRef] = {}
        self.numbers: dict[ObjectKey, int] = {}
        """The number of each placement; kept of those that were given up, for they never repeat."""
        self._numbers = itertools.count(1)
        self.objects: dict[ObjectKey, ObjectRow] = {}
        self._incarnations = 0
        self._writes = 0

    # Hosts

    def register_host(self, host_id: str, node: str, ttl_s: float, work_s: float = 0) -> Statement:
        expires_at_s = self.timeline.now_s + ttl_s
        yield ("exclusive", host_id)
        yield work_s
        self._incarnations += 1
        before = self.hosts.get(host_id)
        if before is not None and before.state != "fenced":
            self.witness.on_host((host_id, before.incarnation), "fenced")
        self.hosts[host_id] = HostRow(
            host_id, self._incarnations, node, expires_at_s, self.timeline.now_s
        )
        self.witness.on_host((host_id, self._incarnations), "draining")
        return self._incarnations

    def announce_host(self, host: HostRef, address: str, work_s: float = 0) -> Statement:
        def announce(row: HostRow) -> None:
            row.state, row.address = "live", address

        return self._touch(host, work_s, announce)

    def renew_host(self, host: HostRef, ttl_s: float, work_s: float = 0) -> Statement:
        expires_at_s = self.timeline.now_s + ttl_s

        def renew(row: HostRow) -> None:
            if row.expires_at_s < self.timeline.now_s + ttl_s / 2:
                row.steady_since_s = self.timeline.now_s
            row.expires_at_s = expires_at_s

        return self._touch(host, work_s, renew)

    def drain_host(self, host: HostRef, work_s: float = 0) -> Statement:
        return self._touch(host, work_s, partial(_set_state, "draining"), only={"live"})

    def fence_host(self, host: HostRef, work_s: float = 0) -> Statement:
        return self._touch(host, work_s, partial(_set_state, "fenced"))

    def _touch(
        self,
        host: HostRef,
        work_s: float,
        change: Callable[[HostRow], None],
        *,
        only: Iterable[str] = ("live", "draining"),
    ) -> Statement:
        yield ("exclusive", host[0])
        row = self.hosts.get(host[0])
        if row is None or row.incarnation != host[1] or row.state not in only:
            return False
        yield work_s
        state = row.state
        change(row)
        if row.state != state:
            self.witness.on_host(host, row.state)
        return True

    def fence_late_host(self, host: HostRef, left_s: float = LATE_S) -> Statement:
        yield ("exclusive", host[0])
        row, now_s = self.hosts.get(host[0]), self.timeline.now_s
        if row is None or row.incarnation != host[1] or row.state == "fenced":
            return True
        if row.expires_at_s >= now_s + left_s or not self._is_any_steady(2 * left_s, left_s):
            return False
        row.state = "fenced"
        self.witness.on_host(host, "fenced")
        return True

    def fence_expired_hosts(self, ttl_s: float) -> Statement:
        if not self._is_any_steady(ttl_s):
            return []
        fenced = []
        for host_id in [row.id for row in self.hosts.values() if self._is_expired(row)]:
            yield ("exclusive", host_id)
            row = self.hosts[host_id]
            if self._is_expired(row):
                fenced.append(row)
        for row in fenced:
            row.state = "fenced"
            self.witness.on_host((row.id, row.incarnation), "fenced", was_expired=True)
        return [row.id for row in fenced]

    def _is_any_steady(self, for_s: float, left_s: float = 0.0) -> bool:
        """Whether some host has renewed without a gap for so long, and has so much lease left."""
        now_s = self.timeline.now_s
        return any(
            row.state != "fenced"
            and row.expires_at_s >= now_s + left_s
            and row.steady_since_s <= now_s - for_s
            for row in self.hosts.values()
        )

    def _is_expired(self, row: HostRow) -> bool:
        return row.state != "fenced" and row.expires_at_s < self.timeline.now_s

    def list_live_hosts(self) -> list[HostEntry]:
        counts: dict[HostRef, int] = {}
        for owner in self.placements.values():
            counts[owner] = counts.get(owner, 0) + 1
        entries = [
            HostEntry(row.id, row.incarnation, row.node, row.address, counts.get(_host_of(row), 0))
            for row in self.hosts.values()
            if row.state == "live" and row.expires_at_s > self.timeline.now_s
        ]
        return sorted(entries, key=lambda entry: (entry.objects, entry.id))

    # Placements

    def find_placement(self, key: ObjectKey) -> Placement | None:
        owner = self.placements.get(key)
        if owner is None:
            return None
        row = self.hosts[owner[0]]
        is_live = self.is_standing(owner)
        return Placement(key.id, *owner, row.node, row.address, is_live, self.numbers[key])

    def is_standing(self, host: HostRef) -> bool:
        row = self.hosts.get(host[0])
        return row is not None and row.incarnation == host[1] and row.state != "fenced"

    def insert_placement(self, key: ObjectKey, host: HostRef) -> Statement:
        """The first half of `place_object`; whoever places reads what stands afterwards."""
        yield ("share", host[0])
        row = self.hosts.get(host[0])
        if row is None or row.incarnation != host[1] or row.state != "live":
            return False
        if row.expires_at_s <= self.timeline.now_s:
            return False
        standing = self.placements.get(key)
        if standing is not None and not self.may_replace(standing):
            return False
        self._place(key, host)
        return True

    def _place(self, key: ObjectKey, host: HostRef) -> None:
        self.placements[key], self.numbers[key] = host, next(self._numbers)
        self.witness.on_placed(key, host)

    def owns(self, key: ObjectKey, host: HostRef, number: int) -> bool:
        """Whether this placement of the object is the one that stands."""
        return self.placements.get(key) == host and self.numbers[key] == number

    def may_replace(self, owner: HostRef) -> bool:
        """Whether an object of this owner may be placed elsewhere."""
        return not self.is_standing(owner)

    def move_placement(
        self, key: ObjectKey, host: HostRef, number: int, target: HostRef
    ) -> Statement:
        """Give an object of `host` to `target`; return the placement that stands, or None."""
        yield 0.0
        row = self.hosts.get(target[0])
        if not self.owns(key, host, number) or row is None or row.incarnation != target[1]:
            return None
        if row.state != "live" or row.expires_at_s <= self.timeline.now_s:
            return None
        self.witness.on_moved(key, host)
        self._place(key, target)
        return Placement(key.id, *target, row.node, row.address, True, self.numbers[key])

    def renumber_placement(self, key: ObjectKey, host: HostRef) -> Statement:
        """Give an object of the host's another number."""
        yield 0.0
        if self.placements.get(key) != host:
            return None
        self.numbers[key] = next(self._numbers)
        return self.numbers[key]

    def release_placement(self, key: ObjectKey, host: HostRef, number: int) -> Statement:
        """Delete this placement of an object if it is the host's and stands."""
        yield 0.0
        if not self.owns(key, host, number):
            return False
        del self.placements[key]
        self.witness.on_placed(key, None)
        return True

    # Objects

    def write(
        self, kind: str, host: HostRef, batches: Mapping[uuid.UUID, Batch], work_s: float = 0
    ) -> Statement:
        # What the statement's snapshot shows; the row that is locked is looked at afterwards.
        keys = [ObjectKey(kind, object_id) for object_id in batches]
        placed = self.list_placed(host, keys)
        repeated = self.find_repeats(kind, batches)
        yield ("share", host[0])
        owned = placed if self.may_write(host) else []
        lines = [
            (key, entry)
            for key in owned
            if key.id not in repeated
            for entry in batches[key.id].entries
        ]
        self._writes += 1
        try:
            if work_s or self._writes > 1:
                for index_key in [found for line in lines for found in _list_index_keys(*line)]:
                    yield ("exclusive", index_key)
            self.check_unique(lines)
            yield work_s
        finally:
            self._writes -= 1
        for key, entry in lines:
            row = self.objects[key]
            bisect.insort(row.entries, entry, key=_seq_of)
            if entry.sender is not None:
                row.senders[entry.sender] = entry
        for key in {key: None for key, _ in lines}:
            change = batches[key.id].change
            if change is not None:
                self.objects[key].changes.append(change)
        if lines:
            self.witness.on_written(host, lines)
        fenced = frozenset(batches) - {key.id for key in owned}
        return TickOutcome(fenced, repeated)

    def list_placed(self, host: HostRef, keys: Iterable[ObjectKey]) -> list[ObjectKey]:
        """Return those that are placed on this host."""
        return [key for key in keys if self.placements.get(key) == host]

    def may_write(self, host: HostRef) -> bool:
        """Whether this incarnation is not over: the fence."""
        return self.is_standing(host)

    def check_unique(self, lines: Sequence[tuple[ObjectKey, Entry]]) -> None:
        """Refuse numbers and senders that are taken, in the rows or among these lines."""
        seen: set[object] = set()
        for key, entry in lines:
            row, index_keys = self.objects[key], _list_index_keys(key, entry)
            if row.find(entry.seq) is not None or not seen.isdisjoint(index_keys):
                raise SequenceTaken
            if entry.sender in row.senders:
                raise SequenceTaken
            seen.update(index_keys)

    def find_repeats(
        self, kind: str, batches: Mapping[uuid.UUID, Batch]
    ) -> dict[uuid.UUID, Repeats]:
        repeats: dict[uuid.UUID, Repeats] = {}
        for object_id, batch in batches.items():
            senders = self.objects[ObjectKey(kind, object_id)].senders
            for entry in batch.entries:
                known = senders.get(entry.sender) if entry.sender is not None else None
                if known is not None and entry.sender is not None:
                    repeats.setdefault(object_id, {})[entry.sender] = Known(
                        known.id, known.seq, known.kind
                    )
        return repeats

    def load(self, key: ObjectKey, host: HostRef) -> ObjectRow | None:
        """Return the object if this host owns it."""
        if self.placements.get(key) != host or not self.is_standing(host):
            return None
        return self.objects.get(key)

    def read_after(self, key: ObjectKey, seq: int, limit: int) -> list[Entry]:
        entries = self.objects[key].entries
        first = bisect.bisect_right(entries, seq, key=_seq_of)
        return entries[first : first + limit]

    def list_unowned(self, kind: str, limit: int) -> list[uuid.UUID]:
        found = []
        for key, row in self.objects.items():
            owner = self.placements.get(key)
            is_owned = owner is not None and self.is_standing(owner)
            if key.kind == kind and row.needs_owner() and not is_owned:
                found.append(key.id)
        return found[:limit]


def _host_of(row: HostRow) -> HostRef:
    return (row.id, row.incarnation)


def _set_state(state: str, row: HostRow) -> None:
    row.state = state


def _seq_of(entry: Entry) -> int:
    return entry.seq


def _list_index_keys(key: ObjectKey, entry: Entry) -> list[object]:
    """Return the entries of unique indexes that this row takes."""
    numbered: list[object] = [(key, entry.seq)]
    return numbered if entry.sender is None else [*numbered, (key, entry.sender)]
