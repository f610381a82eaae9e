"""One room: who may write what, and where the broadcast stands.

No I/O: commands and a clock go in, effects come out; the host carries them out. Lines and changes
of status wait in the room's log (`actors/hosting/log.py`), which numbers them and says when they
are stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from actors.hosting.effects import Answer, Effect, Finish, Requester, Show, Signal
from actors.hosting.entries import Entry
from actors.hosting.log import Draft, Log
from actors.live_room.chat_state import CHAT_MESSAGE, ChatState
from actors.live_room.entries import Change, Origin, RoomFacts, RoomStatus, RoomTerms
from actors.live_room.health import Health, HealthAsk, IngestReport
from actors.live_room.messages import (
    LiveEnd,
    PublisherCut,
    PublisherDown,
    PublisherUp,
    SessionEnd,
    ViewersReport,
)
from actors.live_room.quality import QualityReport
from actors.live_room.talk import TALK_COMMANDS, Talk
from actors.live_room.viewers import Viewers
from kit.events import EventName

COUNT_EVERY_S = 1.0
SUPERSEDED_MAX = 64
"""Publishers of a live that are remembered once another took their place."""
ON_AIR = (RoomStatus.LIVE, RoomStatus.INTERRUPTED)


class Room:
    """The state of one room on the host that owns it."""

    def __init__(
        self,
        facts: RoomFacts,
        history: Sequence[Entry],
        terms: RoomTerms,
        chat: ChatState | None = None,
    ) -> None:
        self.id = facts.id
        self.owner_id = facts.owner_id
        self.epoch = facts.epoch
        self.status = facts.status
        self.log = Log(facts.head, history, terms.clock, self._take_stored)
        self._origin: Origin | None = None
        self._origin_stored = facts.origin
        self._origin_gen = facts.origin_gen
        self._newest_session: str | None = None
        """Of those that this host was told of."""
        self._superseded: deque[str] = deque(maxlen=SUPERSEDED_MAX)
        self._viewers_peak = facts.viewers_peak
        self._terms = terms
        self.talk = Talk(facts, chat or ChatState(), history, terms)
        self._viewers = Viewers(facts.owner_id)
        self.health = Health(facts.id, facts.owner_id, terms.clock, terms.make_id)
        self.health.set_on_air(is_on_air=self.status in ON_AIR)
        self._shown: tuple[dict[str, int], int] | None = None
        self._count_due_s = 0.0
        now_s = terms.clock.monotonic_s()
        grace_s, interrupted_max_s = terms.patience.origin_grace_s, terms.patience.interrupted_max_s
        self._interrupt_due_s = now_s + grace_s if self.status == RoomStatus.LIVE else None
        self._end_due_s = (
            now_s + interrupted_max_s if self.status == RoomStatus.INTERRUPTED else None
        )

    # What can be asked

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost if the room were put away."""
        is_over = self.status in (RoomStatus.CREATED, RoomStatus.ENDED)
        is_quiet = self.log.depth == 0 and self.talk.is_quiet
        return is_over and is_quiet and self._origin is None

    @property
    def due_s(self) -> float | None:
        """When something is due: interrupting, ending, showing counts or reactions."""
        counts_due_s = self._count_due_s if self._shown != self._present else None
        due_s = (
            self._interrupt_due_s,
            self._end_due_s,
            counts_due_s,
            self.talk.due_s,
            self.health.due_s,
        )
        known_s = [time_s for time_s in due_s if time_s is not None]
        return min(known_s) if known_s else None

    @property
    def audience(self) -> int:
        """How many watch."""
        return sum(self._viewers.ways.values())

    def get_counts(self) -> dict[str, Any]:
        """Return the present viewers, how they watch, and publishers."""
        ways, publishers = self._present
        return {"viewers": sum(ways.values()), "ways": ways, "publishers": publishers}

    def describe(self) -> dict[str, str]:
        """Return what an edge must know of the room."""
        return {"owner_id": str(self.owner_id), "status": str(self.status)}

    def snapshot(self) -> list[Show]:
        """Return the latest states as a fresh follower is shown them."""
        return [Show("viewer_count", self.get_counts()), self.talk.show(self.log)]

    # Commands

    def handle(self, requester: Requester, command: Any) -> list[Effect]:
        """Act on what an edge or the API says."""
        link = requester.link
        if isinstance(command, TALK_COMMANDS):
            is_ended = self._planned == RoomStatus.ENDED
            viewers = self.get_counts()["viewers"]
            return self.talk.handle(
                self.log, requester, command, is_ended=is_ended, viewers=viewers
            )
        if isinstance(command, ViewersReport):
            return self.report_viewers(link, command)
        if isinstance(command, PublisherUp):
            return self.connect_publisher(Origin(link, command.session_id, command.edge))
        if isinstance(command, PublisherDown):
            return self.lose_publisher(link, command.session_id, command.reason)
        if isinstance(command, PublisherCut):
            return self.cut_publisher(requester)
        if isinstance(command, HealthAsk):
            return [Answer(requester, self.health.show(str(self.status)))]
        if isinstance(command, QualityReport):
            self.health.report_quality(link, command)
            return []
        if isinstance(command, IngestReport):
            return self.report_ingest(link, command)
        assert isinstance(command, LiveEnd), "the kind's commands are all handled here"
        return self.end(command.reason, requester)

    def report_viewers(self, link: str, report: ViewersReport) -> list[Effect]:
        """Take who watches at an edge."""
        self._viewers.report(link, report)
        self.health.meet(report)
        self.health.note_viewers(self._viewers.ways)
        self._viewers_peak = max(self._viewers_peak, self.audience)
        return []

    def report_ingest(self, link: str, report: IngestReport) -> list[Effect]:
        """Take what the present publisher sends; of another it says nothing."""
        origin = self._origin
        if origin is not None and (origin.link, origin.session_id) == (link, report.session_id):
            self.health.report_ingest(report)
        return []

    def connect_publisher(self, origin: Origin) -> list[Effect]:
        """Media enters: the newest publisher wins, and the room is live.

        An edge that was out of reach tells of its publisher again, who may have gone to another
        edge meanwhile: whose place was taken once does not take it back. A session that was out of
        reach goes on under the generation that it has.
        """
        effects: list[Effect] = []
        if self._planned == RoomStatus.ENDED or origin.session_id in self._superseded:
            return [_end_session(origin)]
        granted = self._planned_origin or {}
        is_same = granted.get("session") == origin.session_id
        previous, self._origin = self._origin, origin
        if previous is not None and previous.session_id != origin.session_id:
            effects.append(_end_session(previous))
        newest, self._newest_session = self._newest_session, origin.session_id
        if newest is not None and newest != origin.session_id:
            self._superseded.append(newest)
        self._interrupt_due_s = self._end_due_s = None
        if not is_same:
            self._origin_gen += 1
        if not is_same or self._planned != RoomStatus.LIVE:
            is_first = self._planned == RoomStatus.CREATED
            self._plan(
                RoomStatus.LIVE,
                "publisher_connected",
                EventName.STREAM_STARTED if is_first else None,
            )
        return effects

    def lose_publisher(self, link: str, session_id: str, reason: str) -> list[Effect]:
        """Media stopped: wait a minute for it to come back."""
        origin = self._origin
        if origin is None or (origin.link, origin.session_id) != (link, session_id):
            return []
        self._origin = None
        self.health.report_ingest(None)
        if self._planned == RoomStatus.LIVE:
            self._interrupt(reason)
        return []

    def cut_publisher(self, requester: Requester) -> list[Effect]:
        """End the publisher's session; its edge will say that it is lost."""
        ended: list[Effect] = [] if self._origin is None else [_end_session(self._origin)]
        return [*ended, Finish(requester)]

    def forget_link(self, link: str) -> list[Effect]:
        """An edge is out of reach: its viewers do not count, its publisher gets a grace."""
        self._viewers.forget(link)
        self.health.forget(link)
        self.health.note_viewers(self._viewers.ways)
        if self._origin is not None and self._origin.link == link:
            self._origin = None
            self.health.report_ingest(None)
            now_s = self._terms.clock.monotonic_s()
            self._interrupt_due_s = now_s + self._terms.patience.origin_grace_s
        return []

    def end(self, reason: str, requester: Requester | None = None) -> list[Effect]:
        """End the broadcast for good; ending twice does nothing."""
        requesters = [] if requester is None else [requester]
        if self._planned == RoomStatus.ENDED:
            ending = self.log.last_change
            if ending is None:
                return [Finish(requester) for requester in requesters]
            ending.requesters += requesters
            return []
        effects: list[Effect] = []
        if self._origin is not None:
            effects.append(_end_session(self._origin))
            self._origin = None
        self._interrupt_due_s = self._end_due_s = None
        self._plan(RoomStatus.ENDED, reason, EventName.STREAM_ENDED, requesters)
        return effects

    def pass_time(self) -> list[Effect]:
        """Do what is due: interrupt, end, show the counts when they changed."""
        now_s = self._terms.clock.monotonic_s()
        if self._interrupt_due_s is not None and now_s >= self._interrupt_due_s:
            self._interrupt_due_s = None
            if self._planned == RoomStatus.LIVE:
                self._interrupt("edge_lost")
        if self._end_due_s is not None and now_s >= self._end_due_s:
            self._end_due_s = None
            self.end("publisher_gone")
        self.health.pass_time()
        effects = self.talk.pass_time()
        if self._shown == self._present or now_s < self._count_due_s:
            return effects
        self._shown, self._count_due_s = self._present, now_s + COUNT_EVERY_S
        return [*effects, Show("viewer_count", self.get_counts())]

    # Within

    @property
    def _present(self) -> tuple[dict[str, int], int]:
        """Viewers by their way, and publishers."""
        return self._viewers.ways, 0 if self._origin is None else 1

    @property
    def _planned(self) -> RoomStatus:
        """The status once everything that waits is stored."""
        waiting = self.log.last_change
        return self.status if waiting is None else waiting.change.status

    @property
    def _planned_origin(self) -> dict[str, Any] | None:
        """Where media enters, or did before it was interrupted, once all is stored."""
        waiting = self.log.last_change
        return self._origin_stored if waiting is None else waiting.change.origin

    def _take_stored(self, entry: Entry, change: Change | None) -> list[Effect]:
        if entry.kind == "state":
            self.status = RoomStatus(entry.body["status"])
            self.health.set_on_air(is_on_air=self.status in ON_AIR)
        elif entry.kind == CHAT_MESSAGE:
            self.health.note_line()
        if change is not None:
            self._origin_stored = change.origin
        return self.talk.take_stored(self.log, entry)

    def _interrupt(self, reason: str) -> None:
        now_s = self._terms.clock.monotonic_s()
        self._end_due_s = now_s + self._terms.patience.interrupted_max_s
        self._plan(RoomStatus.INTERRUPTED, reason)

    def _plan(
        self,
        status: RoomStatus,
        reason: str,
        event: EventName | None = None,
        requesters: list[Requester] | None = None,
    ) -> None:
        """Queue a change of status with its entry."""
        origin = self._origin
        stored = None if origin is None else {**origin.edge, "session": origin.session_id}
        if status == RoomStatus.INTERRUPTED:
            stored = self._planned_origin  # where the publisher is expected to come back
        change = Change(
            status=status,
            origin=stored,
            origin_gen=self._origin_gen,
            viewers_peak=self._viewers_peak,
            at=self._terms.clock.now(),
            event_id=None if event is None else self._terms.make_id(),
            event_name=None if event is None else str(event),
        )
        body = {"status": str(status), "reason": reason}
        self.log.add(Draft(self._terms.make_id(), "state", body, requesters or [], change=change))


def _end_session(origin: Origin) -> Signal:
    return Signal(origin.link, SessionEnd(origin.session_id))
