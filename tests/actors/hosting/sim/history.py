"""The judge: sees every commit, acknowledgement and delivery, and says at once what is wrong.

It keeps its own account of leases and placements from what was committed, so that a server or a
host that breaks the protocol does not judge itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from actors.hosting.core import HostRef, ObjectKey
from actors.hosting.entries import Entry, Sender
from storage.placements import USER

ONLINE = "online"
"""What whoever follows a person hears in the end: whoever follows says that they are there."""


class ProtocolBroken(AssertionError):
    """The protocol's promise was broken; the message says which and how."""


@dataclass
class Written:
    """What was committed to one object."""

    entries: list[Entry] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """Of the entries, as followers are told them."""
    senders: dict[Sender, Entry] = field(default_factory=dict)


NOTHING = Written()
"""What was committed to an object before anything was; read only."""


@dataclass
class Follower:
    """What one listener of one object was told: `head` is the number it has reached."""

    head: int | None = None
    presence: str = ""
    """What was last said of a person."""


class History:
    """Everything that can be seen from outside of the hosts."""

    def __init__(self, note: Callable[[str], None] | None) -> None:
        self._note = note
        self._over: set[HostRef] = set()
        self._owner: dict[ObjectKey, HostRef | None] = {}
        self.written: dict[ObjectKey, Written] = {}
        self.acknowledged: dict[tuple[ObjectKey, Sender], tuple[str, int]] = {}
        self.followers: dict[tuple[str, ObjectKey], Follower] = {}
        self.broken: str | None = None
        self.on_broken: Callable[[], None] = lambda: None
        self.believes_lease: Callable[[HostRef], bool] = lambda _host: False
        """Whether a host holds its lease by its own clock; the world answers."""

    def fail(self, fault: str) -> NoReturn:
        """Say what is wrong; whoever catches the exception does not make it right."""
        self.broken = self.broken or fault
        self.on_broken()
        raise ProtocolBroken(fault)

    # From the database

    def on_host(self, host: HostRef, state: str, *, was_expired: bool = False) -> None:
        if self._note is not None:
            self._note(f"db: {_name(host)} is {state}{' (lapsed)' if was_expired else ''}")
        if state == "fenced":
            self._over.add(host)
        if was_expired and self.believes_lease(host):
            self.fail(f"{_name(host)} was fenced as lapsed and believes in its lease")

    def on_placed(self, key: ObjectKey, host: HostRef | None) -> None:
        if self._note is not None:
            what = f"is placed on {_name(host)}" if host else "is given up"
            self._note(f"db: {_call(key)} {what}")
        owner = self._owner.get(key)
        if host is not None and owner is not None and owner not in self._over:
            self.fail(f"{_call(key)} was taken from {_name(owner)}, which is not over")
        self._owner[key] = host

    def on_moved(self, key: ObjectKey, host: HostRef) -> None:
        if self._owner.get(key) == host:
            self._owner[key] = None

    def on_written(self, host: HostRef, lines: Sequence[tuple[ObjectKey, Entry]]) -> None:
        for key, entry in lines:
            if self._note is not None:
                self._note(f"db: {_name(host)} wrote {_call(key)} #{entry.seq} {entry.client_id}")
            if host in self._over:
                self.fail(f"{_name(host)} wrote {_call(key)} after it was fenced")
            if self._owner.get(key) != host:
                self.fail(f"{_name(host)} wrote {_call(key)}, which it does not own")
            written = self.written.get(key)
            if written is None:
                written = self.written[key] = Written()
            due = len(written.entries) + 1
            if entry.seq < due:
                self.fail(f"{_call(key)} #{entry.seq} was given twice")
            if entry.seq > due:
                self.fail(f"{_call(key)} #{due} was skipped")
            if entry.sender is not None:
                if entry.sender in written.senders:
                    self.fail(f"{entry.client_id} is stored twice")
                written.senders[entry.sender] = entry
            written.entries.append(entry)
            written.ids.append(str(entry.id))

    # From senders

    def on_acknowledged(self, key: ObjectKey, sender: Sender, answer: tuple[str, int]) -> None:
        """A sender was told that its line is stored under this id and number."""
        if self._note is not None:
            self._note(f"ack: {_call(key)} {sender[1]} #{answer[1]}")
        entry = self.written.get(key, NOTHING).senders.get(sender)
        if entry is None:
            self.fail(f"{sender[1]} was acknowledged and is not stored")
        if (str(entry.id), entry.seq) != answer:
            self.fail(f"{sender[1]} was acknowledged as #{answer[1]} and is #{entry.seq}")
        self.acknowledged[key, sender] = answer

    # From listeners

    def on_opened(self, name: str, key: ObjectKey, head: int, *, is_complete: bool) -> None:
        """A listener was told that the object is (again) open."""
        written = self.written.get(key, NOTHING)
        if head > len(written.entries):
            self.fail(f"{name} was told of {_call(key)} #{head}, which is not stored")
        follower = self.followers.setdefault((name, key), Follower())
        if self._note is not None:
            self._note(f"{name}: {_call(key)} open at #{head}{'' if is_complete else ' anew'}")
        if follower.head is None or not is_complete:
            follower.head = head

    def on_entries(
        self, name: str, key: ObjectKey, lines: Sequence[tuple[int, str | None]]
    ) -> None:
        """A listener was handed entries: their numbers, and the ids their data tell."""
        follower = self.followers[name, key]
        assert follower.head is not None, "opened before anything is delivered"
        ids = self.written[key].ids if key in self.written else ()
        for seq, told_id in lines:
            if self._note is not None:
                self._note(f"{name}: {_call(key)} #{seq}")
            if seq != follower.head + 1:
                self.fail(f"{name} was handed {_call(key)} #{seq} after #{follower.head}")
            if seq > len(ids):
                self.fail(f"{name} was handed {_call(key)} #{seq}, which is not stored")
            if told_id is not None and told_id != ids[seq - 1]:
                self.fail(f"{name} was handed {_call(key)} #{seq} with other content")
            follower.head = seq

    def on_presence(self, name: str, key: ObjectKey, status: str) -> None:
        """A listener was told whether a person is there."""
        if self._note is not None:
            self._note(f"{name}: {_call(key)} is {status}")
        self.followers.setdefault((name, key), Follower()).presence = status

    def forget_listener(self, name: str, key: ObjectKey) -> None:
        """A listener follows no more; when it does again, it begins anew."""
        self.followers.pop((name, key), None)

    # At the end

    def list_behind(self, expected: Iterable[tuple[str, ObjectKey]]) -> list[str]:
        """Return which listeners have not been handed everything stored."""
        behind = []
        for name, key in expected:
            follower = self.followers.get((name, key))
            stored = len(self.written.get(key, NOTHING).entries)
            if follower is None or follower.head is None:
                behind.append(f"{name} never opened {_call(key)}")
            elif follower.head < stored:
                behind.append(f"{name} is at {_call(key)} #{follower.head} of {stored}")
            elif key.kind == USER and follower.presence != ONLINE:
                behind.append(f"{name} was told that {_call(key)} is {follower.presence or '?'}")
        return behind


def _name(host: HostRef) -> str:
    return f"{host[0]}/{host[1]}"


def _call(key: ObjectKey) -> str:
    return f"{key.kind} {name_id(key.id)}"


def name_id(object_id: uuid.UUID) -> str:
    """Return a short name for a numbered id."""
    return str(object_id.int & 0xFFFF)
