"""What a client knows of a room beyond its chat: snapshot and events since are the new snapshot."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.hosting.effects import Effect, Publish, Requester, Show, StorageAway
from actors.hosting.entries import Entry
from actors.live_room.chat_state import ChatState
from actors.live_room.events import ROOM_EVENTS
from actors.live_room.health import HealthAsk, IngestReport
from actors.live_room.kind import ROOM_KIND
from actors.live_room.messages import (
    Announce,
    ChatSend,
    HeldDecide,
    LineDelete,
    LinePin,
    LiveEnd,
    MemberChange,
    PublisherCut,
    PublisherDown,
    PublisherUp,
    RaidArrive,
    RaidStart,
    ReactionSend,
    RulesChange,
    TypingSend,
    ViewersReport,
    Way,
)
from actors.live_room.quality import QualityReport
from actors.live_room.reactions import REACTIONS
from kit.clock import ManualClock
from tests.actors.live_room.chat_stage import BOB, CYD, ROOM_ID, ChatStage

pytestmark = pytest.mark.unit

OF_THE_CHAT = {Announce, ChatSend, HeldDecide, LineDelete, LinePin, MemberChange, RaidArrive} | {
    RaidStart,
    RulesChange,
}
"""What `test_chat_fold.py` asks of a room."""
OF_THE_ROOM = {
    HealthAsk,
    IngestReport,
    QualityReport,
    LiveEnd,
    PublisherCut,
    PublisherDown,
    PublisherUp,
    ReactionSend,
    TypingSend,
    ViewersReport,
}
LINKS = st.sampled_from(["edge/edge-0/1", "edge/edge-1/2"])
SESSIONS = st.sampled_from(["s1", "s2"])
PEOPLE = st.lists(st.sampled_from([BOB, CYD]), max_size=2, unique=True)
REPORTS = st.builds(
    lambda strangers, way, people: ViewersReport(
        {Way.CHAT: strangers}, {way: b"".join(person.user_id.bytes for person in people)}
    ),
    st.integers(0, 3),
    st.sampled_from(Way),
    PEOPLE,
)
COMMANDS = st.one_of(
    REPORTS,
    st.builds(PublisherUp, SESSIONS, st.just({"url": "u"})),
    st.builds(PublisherDown, SESSIONS, st.just("left")),
    st.builds(ReactionSend, st.sampled_from([BOB, CYD]), st.sampled_from(REACTIONS)),
    st.builds(TypingSend, st.just(BOB)),
    st.just(LiveEnd("done")),
    st.just(HealthAsk()),
    st.builds(IngestReport, SESSIONS, st.just(1), st.just(1.0), st.none()),
    st.just(QualityReport({Way.HLS: 1})),
    st.just(PublisherCut()),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), LINKS, COMMANDS),
        st.tuples(st.just("lose"), LINKS, st.none()),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([0.3, 1.0, 6.0, 61.0])),
        st.tuples(
            st.just("store"), st.just(""), st.sampled_from(["ok", "no", "lost", "kept", "silent"])
        ),
        st.tuples(st.just("take over"), st.just(""), st.none()),
    ),
    max_size=40,
)


@dataclass
class Fold:
    """A snapshot, changed by nothing but what was shown since."""

    status: str
    counts: dict[str, Any]
    offset: int

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Show) and effect.kind == "viewer_count":
                self.counts = effect.data
            elif isinstance(effect, Publish):
                for entry in effect.entries:
                    assert entry.seq == self.offset + 1, "in order, each once"
                    self.offset = entry.seq
                    if entry.kind == "state":
                        self.status = entry.body["status"]


class World:
    """A room, what storage holds of it, and a client."""

    def __init__(self) -> None:
        self.stage = ChatStage(ManualClock())
        self.rows: list[Entry] = []
        self.known = Fold("live", self.stage.room.get_counts(), 0)

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert not isinstance(effect, Show) or effect.kind in ROOM_EVENTS
        self.known.take(effects)

    def store(self, outcome: str) -> None:
        log = self.stage.room.log
        batch = log.take_batch(2)
        if batch is None:
            return
        if outcome == "silent":
            self.take(log.end_waiting(StorageAway(), StorageAway()))
        if outcome in ("ok", "kept"):
            self.rows += batch.entries
        if outcome == "ok":
            self.take(log.confirm())
        elif outcome == "no":
            self.take(log.revert(StorageAway()))
        else:
            self.take(log.resolve([row for row in self.rows if row.seq > log.head]))

    def wait(self, seconds: float) -> None:
        """Let time pass as a host does: whatever is due is done when it is due."""
        clock = self.stage.clock
        until_s = clock.monotonic_s() + seconds
        while (due_s := self.stage.room.due_s) is not None and due_s <= until_s:
            clock.advance(max(0.0, due_s - clock.monotonic_s()))
            self.take(self.stage.room.pass_time())
        clock.advance(max(0.0, until_s - clock.monotonic_s()))

    def take_over(self) -> None:
        """Another host opens the room from its rows; clients are shown it anew, edges report."""
        self.store("ok")
        status = next((r.body["status"] for r in reversed(self.rows) if r.kind == "state"), "live")
        self.stage.room = self.stage.open(self.rows, ChatState(), status)
        self.known.counts = self.stage.room.get_counts()


def test_every_command_of_a_room_is_asked_in_one_of_the_folds() -> None:
    assert {c for commands in ROOM_KIND.commands.values() for c in commands} == (
        OF_THE_CHAT | OF_THE_ROOM
    )


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_snapshot_and_events_give_the_new_snapshot(steps: list[tuple[str, str, Any]]) -> None:
    """Whatever storage does: refused, lost, stored by a statement that came late, or silent."""
    world = World()
    for step, link, what in steps:
        room = world.stage.room
        if step == "say":
            world.take(room.handle(Requester(link, 1), what))
        elif step == "lose":
            world.take(room.forget_link(link))
        elif step == "wait":
            world.wait(what)
        elif step == "store":
            world.store(what)
        else:
            world.take_over()
    while world.stage.room.log.depth:
        world.store("ok")
    world.wait(1.0)
    while world.stage.room.log.depth:
        world.store("ok")
    room = world.stage.room
    assert world.known.status == room.describe()["status"] == str(room.status)
    assert world.known.counts == room.get_counts()
    assert world.known.offset == len(world.rows) == room.log.head
    assert [row.seq for row in world.rows] == list(range(1, len(world.rows) + 1))
    assert room.id == ROOM_ID
    assert uuid.UUID(room.describe()["owner_id"]) == room.owner_id
