"""One room: who may write what, in which number, and where the broadcast stands.

No I/O: commands and a clock go in, effects come out; `host.py` carries them out. Nothing is
acknowledged or shown before its batch was stored: `take_batch` numbers, `confirm` publishes,
`revert` forgets numbers that were surely not stored, `resolve` compares with storage when nobody
knows. At most one batch is out at a time.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.live_room.chat import PaceBook, check_client_id, clean_text
from actors.live_room.entries import (
    Acknowledge,
    Batch,
    Change,
    ChatCommand,
    Effect,
    EndSession,
    Entry,
    Finish,
    Origin,
    Publish,
    Refuse,
    Requester,
    RoomBusy,
    RoomEnded,
    RoomFacts,
    RoomStatus,
    RoomTerms,
    Show,
    Speaker,
    describe_speaker,
)
from kit.errors import AppError
from kit.events import EventName

HISTORY_MAX = 500
QUEUE_MAX = 1000
INTERRUPTED_MAX_S = 60.0
ORIGIN_GRACE_S = 5.0
"""After activation: an edge that still holds the publisher reports within this time."""
COUNT_EVERY_S = 1.0

Sender = tuple[uuid.UUID, str]


@dataclass
class Draft:
    """Something accepted that awaits its number and its place in storage."""

    id: uuid.UUID
    kind: str
    body: dict[str, Any]
    requesters: list[Requester]
    sender: Sender | None = None
    change: Change | None = None


class Room:
    """The state of one room on the host that owns it."""

    def __init__(self, facts: RoomFacts, history: Sequence[Entry], terms: RoomTerms) -> None:
        self.id = facts.id
        self.owner_id = facts.owner_id
        self.epoch = facts.epoch
        self.head = facts.head
        self.status = facts.status
        self._planned = facts.status
        self._origin: Origin | None = None
        self._origin_stored = facts.origin
        self._origin_gen = facts.origin_gen
        self._viewers_peak = facts.viewers_peak
        self._terms = terms
        self._pace = PaceBook(terms)
        self._history: deque[Entry] = deque(history, maxlen=HISTORY_MAX)
        self._known: OrderedDict[Sender, tuple[uuid.UUID, int]] = OrderedDict()
        for entry in history:
            self._remember(entry)
        self._queue: deque[Draft] = deque()
        self._out: list[tuple[Draft, Entry]] = []
        self._waiting: dict[Sender, Draft] = {}
        self._viewers: dict[str, int] = {}
        self._shown: tuple[int, int] | None = None
        self._count_due_s = 0.0
        now_s = terms.clock.monotonic_s()
        self._interrupt_due_s = now_s + ORIGIN_GRACE_S if self.status == RoomStatus.LIVE else None
        self._end_due_s = (
            now_s + INTERRUPTED_MAX_S if self.status == RoomStatus.INTERRUPTED else None
        )

    # What can be asked

    @property
    def has_work(self) -> bool:
        """Whether something waits for storage and may be taken now."""
        return bool(self._queue) and not self._out

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost if the room were put away."""
        is_over = self.status in (RoomStatus.CREATED, RoomStatus.ENDED)
        return is_over and not self._queue and not self._out and self._origin is None

    def get_counts(self) -> dict[str, int]:
        """Return the present viewers and publishers."""
        publishers = 0 if self._origin is None else 1
        return {"viewers": sum(self._viewers.values()), "publishers": publishers}

    def find_entries_after(self, seq: int) -> list[Entry] | None:
        """Return the stored entries after `seq`; None when memory does not reach so far back."""
        first = self._history[0].seq if self._history else self.head + 1
        if seq < first - 1:
            return None
        return [entry for entry in self._history if entry.seq > seq]

    # Commands

    def send_chat(self, command: ChatCommand) -> list[Effect]:
        """Accept, repeat or refuse a chat line."""
        sender = (command.speaker.user_id, command.client_id)
        known = self._known.get(sender)
        if known is not None:
            return [Acknowledge(command.requester, *known)]
        waiting = self._waiting.get(sender)
        if waiting is not None:
            waiting.requesters.append(command.requester)
            return []
        try:
            check_client_id(command.client_id)
            text = clean_text(command.text, self._terms.chat_chars_max)
            if self._planned == RoomStatus.ENDED:
                raise RoomEnded
            if len(self._queue) >= QUEUE_MAX:
                raise RoomBusy(retry_after_s=1)
            self._pace.check_pace(command)
        except AppError as error:
            return [Refuse(command.requester, error)]
        draft = Draft(
            id=self._terms.make_id(),
            kind="chat_message",
            body={"user": describe_speaker(command.speaker), "text": text},
            requesters=[command.requester],
            sender=sender,
        )
        self._waiting[sender] = draft
        self._queue.append(draft)
        return []

    def type(self, speaker: Speaker) -> list[Effect]:
        """Show that somebody is writing."""
        if self._planned == RoomStatus.ENDED:
            return []
        return [Show("typing", {"user": describe_speaker(speaker)})]

    def report_viewers(self, link: str, viewers: int) -> list[Effect]:
        """Take an edge's count of distinct watchers."""
        if viewers > 0:
            self._viewers[link] = viewers
        else:
            self._viewers.pop(link, None)
        self._viewers_peak = max(self._viewers_peak, sum(self._viewers.values()))
        return []

    def connect_publisher(self, origin: Origin) -> list[Effect]:
        """Media enters: the newest publisher wins, and the room is live."""
        effects: list[Effect] = []
        if self._planned == RoomStatus.ENDED:
            return [EndSession(origin.link, origin.session_id)]
        stored = self._origin_stored or {}
        is_same = stored.get("session") == origin.session_id and self._planned == RoomStatus.LIVE
        previous, self._origin = self._origin, origin
        if previous is not None and previous.session_id != origin.session_id:
            effects.append(EndSession(previous.link, previous.session_id))
        self._interrupt_due_s = self._end_due_s = None
        if not is_same:
            self._origin_gen += 1
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
        if self._planned == RoomStatus.LIVE:
            self._interrupt(reason)
        return []

    def forget_link(self, link: str) -> list[Effect]:
        """An edge is out of reach: its viewers do not count, its publisher gets a grace."""
        self._viewers.pop(link, None)
        if self._origin is not None and self._origin.link == link:
            self._origin = None
            self._interrupt_due_s = self._terms.clock.monotonic_s() + ORIGIN_GRACE_S
        return []

    def end(self, reason: str, requester: Requester | None = None) -> list[Effect]:
        """End the broadcast for good; ending twice does nothing."""
        requesters = [] if requester is None else [requester]
        if self._planned == RoomStatus.ENDED:
            ending = next((d for d in self._list_drafts() if d.change is not None), None)
            if ending is None:
                return [Finish(requester) for requester in requesters]
            ending.requesters += requesters
            return []
        effects: list[Effect] = []
        if self._origin is not None:
            effects.append(EndSession(self._origin.link, self._origin.session_id))
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
        counts = self.get_counts()
        present = (counts["viewers"], counts["publishers"])
        if present == self._shown or now_s < self._count_due_s:
            return []
        self._shown, self._count_due_s = present, now_s + COUNT_EVERY_S
        return [Show("viewer_count", dict(counts))]

    # Storage

    def take_batch(self, entries_max: int) -> Batch | None:
        """Number what waits, at most one change of status; None when there is nothing to do."""
        assert not self._out, "one batch of a room is out at a time"
        change: Change | None = None
        at = self._terms.clock.now()
        if self._history:
            at = max(at, self._history[-1].created_at)
        while self._queue and len(self._out) < entries_max:
            draft = self._queue[0]
            if draft.change is not None and change is not None:
                break
            self._queue.popleft()
            change = draft.change or change
            user_id, client_id = draft.sender or (None, None)
            seq = self.head + len(self._out) + 1
            entry = Entry(seq, draft.id, draft.kind, user_id, client_id, draft.body, at)
            self._out.append((draft, entry))
        return Batch(tuple(entry for _, entry in self._out), change) if self._out else None

    def confirm(self) -> list[Effect]:
        """The batch is stored: acknowledge and publish it."""
        pairs, self._out = self._out, []
        return self._settle(pairs)

    def revert(self, error: AppError) -> list[Effect]:
        """Surely nothing of the batch is stored: refuse its lines, keep changes for later."""
        pairs, self._out = self._out, []
        kept: list[Draft] = []
        effects: list[Effect] = []
        for draft, _ in pairs:
            effects += [Refuse(requester, error) for requester in draft.requesters]
            if draft.change is not None:
                draft.requesters.clear()
                kept.append(draft)
            elif draft.sender is not None:
                self._waiting.pop(draft.sender, None)
        self._queue.extendleft(reversed(kept))
        return effects

    def drop_repeats(self, repeats: Mapping[Sender, tuple[uuid.UUID, int]]) -> list[Effect]:
        """Nothing was stored, since these lines already are: answer them, retry the rest."""
        pairs, self._out = self._out, []
        effects: list[Effect] = []
        kept: list[Draft] = []
        for draft, _ in pairs:
            known = None if draft.sender is None else repeats.get(draft.sender)
            if known is None or draft.sender is None:
                kept.append(draft)
                continue
            effects += [Acknowledge(requester, *known) for requester in draft.requesters]
            self._waiting.pop(draft.sender, None)
            self._known[draft.sender] = known
        self._queue.extendleft(reversed(kept))
        return effects

    def resolve(self, stored: Sequence[Entry]) -> list[Effect]:
        """Compare the batch with everything stored after the head: publish that, retry the rest."""
        pairs, self._out = self._out, []
        drafts = {draft.id: draft for draft, _ in pairs}
        found = [(drafts.pop(entry.id, None), entry) for entry in stored]
        self._queue.extendleft(reversed(list(drafts.values())))
        return self._settle(found)

    # Within

    def _settle(self, pairs: Sequence[tuple[Draft | None, Entry]]) -> list[Effect]:
        effects: list[Effect] = []
        for draft, entry in pairs:
            self.head = entry.seq
            self._history.append(entry)
            self._remember(entry)
            if entry.kind == "state":
                self.status = RoomStatus(entry.body["status"])
            if draft is None:
                continue
            if draft.change is not None:
                self._origin_stored = draft.change.origin
                effects += [Finish(requester) for requester in draft.requesters]
            else:
                effects += [Acknowledge(r, entry.id, entry.seq) for r in draft.requesters]
            if draft.sender is not None:
                self._waiting.pop(draft.sender, None)
        if not any(draft.change is not None for draft in self._queue):
            self._planned = self.status
        if pairs:
            effects.append(Publish(tuple(entry for _, entry in pairs)))
        return effects

    def _remember(self, entry: Entry) -> None:
        if entry.user_id is not None and entry.client_id is not None:
            self._known[(entry.user_id, entry.client_id)] = (entry.id, entry.seq)
            while len(self._known) > HISTORY_MAX:
                self._known.popitem(last=False)

    def _list_drafts(self) -> list[Draft]:
        return [draft for draft, _ in self._out] + list(self._queue)

    def _interrupt(self, reason: str) -> None:
        self._end_due_s = self._terms.clock.monotonic_s() + INTERRUPTED_MAX_S
        self._plan(RoomStatus.INTERRUPTED, reason)

    def _plan(
        self,
        status: RoomStatus,
        reason: str,
        event: EventName | None = None,
        requesters: list[Requester] | None = None,
    ) -> None:
        """Queue a change of status with its entry."""
        self._planned = status
        origin = self._origin
        stored = None if origin is None else {**origin.edge, "session": origin.session_id}
        if status == RoomStatus.INTERRUPTED:
            stored = self._origin_stored  # where the publisher is expected to come back
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
        self._queue.append(
            Draft(self._terms.make_id(), "state", body, requesters or [], change=change)
        )
