"""Snapshot and the events since give the new snapshot, for every command, whatever storage does."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.hosting.effects import Consulted, Publish, Requester, StorageAway
from actors.hosting.entries import Entry
from actors.live_room.chat_state import ChatState
from actors.live_room.entries import describe_entry
from actors.live_room.events import ROOM_EVENTS
from actors.live_room.messages import (
    Announce,
    ChatSend,
    HeldDecide,
    LineDelete,
    LinePin,
    LineRef,
    MemberAct,
    MemberChange,
    RaidArrive,
    RaidStart,
    RulesChange,
)
from actors.live_room.review import Verdict
from kit.clock import ManualClock
from tests.actors.live_room.chat_stage import ADA, BOB, CYD, ROOM_ID, ChatStage

pytestmark = pytest.mark.unit

PEOPLE = (ADA, ADA, BOB, CYD)
RULES: tuple[dict[str, Any], ...] = (
    {"slow_mode_s": 5},
    {"slow_mode_s": 0},
    {"held_words": ["hm"]},
    {"held_words": []},
    {"blocked_words": ["no"]},
    {"holds_links": True},
    {"subscribers_only": True},
)
KINDS = (
    *["say"] * 4,
    *["storage"] * 5,
    *("delete", "pin", "pin", "unpin", "act", "rules", "judge", "verdict", "verdict"),
    *("announce", "raid", "pass", "join", "takeover"),
)
CHOICES: dict[str, tuple[Any, ...]] = {
    "say": ("hi", "hm", "no", "www.x"),
    "storage": ("ok", "ok", "ok", "no", "lost", "kept", "silent"),
    "act": tuple(MemberAct),
    "rules": RULES,
    "pass": (3.0,),
    "announce": ("hear",),
    "raid": (True, False),
}


def make_step(chance: random.Random) -> tuple[str, Any, Any]:
    """Return what happens next: its kind, who does it, and with what."""
    kind = chance.choice(KINDS)
    what = chance.choice(CHOICES.get(kind, (0, 1, 2)))
    if kind == "act":
        return kind, (chance.choice(PEOPLE), chance.choice(PEOPLE)), what
    if kind == "judge":
        return kind, chance.random() < 0.5, what
    if kind == "verdict":
        return kind, chance.choice([*Verdict, None]), what
    return kind, chance.choice(PEOPLE), what


@dataclass
class Viewer:
    """What a page knows: the snapshot it was shown, and the events since."""

    state: dict[str, Any]
    offset: int
    lines: dict[str, str] = field(default_factory=dict)

    def hear(self, entry: Entry) -> None:
        """Fold one event, from its public data alone."""
        assert entry.seq == self.offset + 1, "in order, each once"
        self.offset = entry.seq
        data = describe_entry(ROOM_ID, entry)
        msgspec.convert(data, ROOM_EVENTS[entry.kind])
        if entry.kind == "rules_changed":
            self.state["rules"] = data["rules"]
        elif entry.kind == "pins_changed":
            self.state["pins"] = data["pins"]
        elif entry.kind == "member_changed":
            others = [p for p in self.state["moderators"] if p["id"] != data["user"]["id"]]
            fresh = [data["user"]] if data["role"] == "moderator" else []
            self.state["moderators"] = sorted(others + fresh, key=lambda person: person["id"])
        elif entry.kind == "chat_message":
            self.lines[data["id"]] = data["text"]
        elif entry.kind == "message_deleted":
            self.lines.pop(data["message_id"], None)
            self.state["pins"] = data.get("pins", self.state["pins"])


@dataclass
class World:
    """The room under test, what storage holds, and who watches."""

    stage: ChatStage = field(
        default_factory=lambda: ChatStage(ManualClock(), {"is_moderated": True})
    )
    rows: list[Entry] = field(default_factory=list)
    viewers: list[Viewer] = field(default_factory=list)
    heard: int = 0
    asked: int = 0

    def do(self, command: Any) -> None:
        self.stage.do(command, stored=False)
        self.tell()

    def tell(self) -> None:
        """Let viewers hear what was published since the last time."""
        fresh, self.heard = self.stage.effects[self.heard :], len(self.stage.effects)
        for effect in fresh:
            if isinstance(effect, Publish):
                for entry in effect.entries:
                    for viewer in self.viewers:
                        viewer.hear(entry)

    def storage(self, outcome: str) -> None:
        """Take a batch to storage: written, refused, or nobody knows which, for long if silent."""
        log = self.stage.room.log
        batch = log.take_batch(3)
        if batch is None:
            return
        if outcome == "silent":
            self.stage.effects += log.end_waiting(StorageAway(), StorageAway())
        if outcome in ("ok", "kept"):
            self.rows += batch.entries
        if outcome == "ok":
            self.stage.effects += log.confirm()
        elif outcome == "no":
            self.stage.effects += log.revert(StorageAway())
        else:
            self.stage.effects += log.resolve([row for row in self.rows if row.seq > log.head])
        self.tell()

    def fold(self) -> ChatState:
        """Return the state that the rows alone give."""
        state = ChatState()
        for row in self.rows:
            state.apply(row.kind, row.id, row.body)
        return state

    def line(self, pick: int) -> LineRef | None:
        rows = [row for row in self.rows if row.kind == "chat_message"]
        if not rows:
            return None
        row = rows[pick % len(rows)]
        return LineRef(row.id, row.seq, row.body["user"], row.body["text"], row.created_at)

    def take_over(self) -> None:
        """Another host opens the room from its rows; what was not stored is gone."""
        deleted = {row.body["message_id"] for row in self.rows if row.kind == "message_deleted"}
        blank = {"text": "", "deleted": True}
        kept = [
            msgspec.structs.replace(row, body={**row.body, **blank})
            if str(row.id) in deleted
            else row
            for row in self.rows
        ]
        self.stage.room = self.stage.open(kept, self.fold())
        self.asked = len(self.stage.consults())

    def step(self, number: int, kind: str, who: Any, what: Any) -> None:
        name = f"c{number}"
        line = self.line(what) if kind in ("delete", "pin", "unpin") else None
        if kind == "say":
            self.do(ChatSend(who, name, what))
        elif kind == "delete" and line:
            self.do(LineDelete(who, line))
        elif kind in ("pin", "unpin") and line:
            self.do(LinePin(who, line, kind == "pin"))
        elif kind == "act":
            self.do(MemberChange(who[0], who[1], what, 60))
        elif kind == "rules":
            self.do(RulesChange(who, what))
        elif kind == "judge":
            held = list(self.stage.room.talk.chat.held)
            if held:
                self.do(HeldDecide(ADA, held[what % len(held)], who))
        elif kind == "verdict":
            waiting = self.stage.consults()[self.asked :]
            if waiting:
                question = waiting[what % len(waiting)].question
                heard = Consulted(question, who)
                self.stage.effects += self.stage.room.handle(Requester(""), heard)
        elif kind == "announce":
            self.do(Announce(who, name, what))
        elif kind == "raid":
            place = {"id": str(uuid.UUID(int=5)), "title": "T", "owner": "o", "owner_name": "O"}
            self.do(RaidStart(who, name, place) if what else RaidArrive(who, name, place, 3))
        elif kind == "pass":
            self.stage.clock.advance(what)
        elif kind == "storage":
            self.storage(what)
        elif kind == "join":
            snapshot = self.stage.snapshot()
            self.viewers.append(Viewer(snapshot, snapshot.pop("offset")))
        elif kind == "takeover":
            self.take_over()


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_snapshot_and_events_give_the_new_snapshot(chance: random.Random) -> None:
    """Fifty steps by chance: hypothesis owns the seed, and long stories come as often as short."""
    steps = [make_step(chance) for _ in range(50)]
    world = World(ChatStage(ManualClock(), {"is_moderated": True}))
    world.step(0, "join", None, None)
    for number, step in enumerate(steps, 1):
        world.step(number, *step)
    while world.stage.room.log.depth:
        world.storage("ok")
    chat = world.stage.room.talk.chat
    snapshot = world.stage.snapshot()
    assert snapshot.pop("offset") == len(world.rows)
    for viewer in world.viewers:
        assert viewer.state == snapshot
        assert viewer.offset == len(world.rows)
    folded = world.fold()
    assert (folded.rules, folded.pins, folded.held) == (chat.rules, chat.pins, chat.held)
    assert folded.members == chat.members
    deleted = {row.body["message_id"] for row in world.rows if row.kind == "message_deleted"}
    present = {str(row.id) for row in world.rows if row.kind == "chat_message"} - deleted
    assert set(world.viewers[0].lines) == present
    assert {pin["id"] for pin in chat.pins} <= present
    planned = world.stage.room.talk._plan(world.stage.room.log)
    assert planned is chat
