"""The durable channel of one object: numbers, acknowledgements, history, and its bounded mailbox.

Pure; every core composes one. Nothing is acknowledged or published before its batch was stored:
`take_batch` numbers, `confirm` publishes, `revert` forgets numbers that were surely not stored,
`resolve` compares with storage when nobody knows. At most one batch is out at a time. What waits
is bounded: beyond `MAILBOX_MAX` accepted and unstored lines the object is busy (retryable).
"""

from __future__ import annotations

import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from actors.hosting.effects import (
    Acknowledge,
    Effect,
    Finish,
    ObjectBusy,
    Publish,
    Refuse,
    Requester,
)
from actors.hosting.entries import Batch, Entry, Known, Sender
from kit.clock import Clock
from kit.errors import AppError

HISTORY_MAX = 500
MAILBOX_MAX = 1000


class Draft(msgspec.Struct, eq=False):
    """Something accepted that awaits its number and its place in storage.

    With a `sender`, requesters are told under which number it stands; without, that it is done.
    """

    id: uuid.UUID
    kind: str
    body: dict[str, Any]
    requesters: list[Requester]
    sender: Sender | None = None
    author_id: uuid.UUID | None = None
    """Who it is by where that is not a sender who waits: its row names them all the same."""
    change: Any = None
    is_decided: bool = False
    """It was decided by looking at what waited before it, and is refused along with that."""


class Log:
    """A durable channel as its owner holds it.

    `on_stored(entry, change)` is called for each entry that turns out to be stored, in order,
    before anything is acknowledged; `change` is None for what a former owner wrote. The effects it
    returns follow the publication.
    """

    def __init__(
        self,
        head: int,
        history: Sequence[Entry],
        clock: Clock,
        on_stored: Callable[[Entry, Any], list[Effect]],
    ) -> None:
        self.head = head
        self.turns = 0
        """How often what waits was changed by anything but being added and stored."""
        self._clock = clock
        self._on_stored = on_stored
        self._history: deque[Entry] = deque(history, maxlen=HISTORY_MAX)
        self._known: OrderedDict[Sender, Known] = OrderedDict()
        for entry in history:
            self._remember(entry)
        self._queue: deque[Draft] = deque()
        self._out: list[tuple[Draft, Entry]] = []
        self._waiting: dict[Sender, Draft] = {}
        self._last_change: Draft | None = None

    # What can be asked

    @property
    def has_work(self) -> bool:
        """Whether something waits for storage and may be taken now."""
        return bool(self._queue) and not self._out

    @property
    def depth(self) -> int:
        """How much is accepted and not yet stored."""
        return len(self._queue) + len(self._out)

    @property
    def last_change(self) -> Draft | None:
        """The newest change that awaits storage."""
        return self._last_change

    def list_requesters(self) -> list[Requester]:
        """Return who waits for an answer."""
        drafts = [*(draft for draft, _ in self._out), *self._queue]
        return [requester for draft in drafts for requester in draft.requesters]

    def find_entries_after(self, seq: int) -> list[Entry] | None:
        """Return the stored entries after `seq`; None when memory does not reach so far back."""
        first = self._history[0].seq if self._history else self.head + 1
        if seq < first - 1:
            return None
        return [entry for entry in self._history if entry.seq > seq]

    def find_entry(self, seq: int) -> Entry | None:
        """Return a stored entry; None when memory does not hold it."""
        index = seq - (self._history[0].seq if self._history else 0)
        return self._history[index] if 0 <= index < len(self._history) else None

    def replace_body(self, seq: int, body: dict[str, Any]) -> None:
        """Change what followers are told of a stored entry from now on; storage did likewise."""
        entry = self.find_entry(seq)
        if entry is not None:
            self._history[seq - self._history[0].seq] = msgspec.structs.replace(entry, body=body)

    def list_drafts(self) -> list[Draft]:
        """Return what is accepted and not yet stored, in order."""
        return [draft for draft, _ in self._out] + list(self._queue)

    # Accepting

    def find_answer(self, sender: Sender, requester: Requester) -> list[Effect] | None:
        """Answer a repeat: what is stored at once, what is on its way later; None: it is fresh."""
        known = self._known.get(sender)
        if known is not None:
            return [Acknowledge(requester, *known)]
        waiting = self._waiting.get(sender)
        if waiting is None:
            return None
        waiting.requesters.append(requester)
        return []

    def check_space(self) -> None:
        """Raise ObjectBusy when the mailbox is full."""
        if len(self._queue) >= MAILBOX_MAX:
            raise ObjectBusy(retry_after_s=1)

    def add(self, draft: Draft) -> None:
        """Accept a draft. Changes are never refused for space: there is at most a handful."""
        if draft.sender is not None:
            self._waiting[draft.sender] = draft
        if draft.change is not None:
            self._last_change = draft
        self._queue.append(draft)

    # Storage

    def take_batch(self, entries_max: int) -> Batch | None:
        """Number what waits, at most one change; None when there is nothing to do."""
        assert not self._out, "one batch of an object is out at a time"
        change: Any = None
        at = self._clock.now()
        if self._history:
            at = max(at, self._history[-1].created_at)
        while self._queue and len(self._out) < entries_max:
            draft = self._queue[0]
            if draft.change is not None and change is not None:
                break
            self._queue.popleft()
            change = draft.change or change
            user_id, client_id = draft.sender or (draft.author_id, None)
            seq = self.head + len(self._out) + 1
            entry = Entry(seq, draft.id, draft.kind, user_id, client_id, draft.body, at)
            self._out.append((draft, entry))
        return Batch(tuple(entry for _, entry in self._out), change) if self._out else None

    def confirm(self) -> list[Effect]:
        """The batch is stored: acknowledge and publish it."""
        pairs, self._out = self._out, []
        return self._settle(pairs)

    def revert(self, error: AppError) -> list[Effect]:
        """Surely nothing of the batch is stored: refuse its lines, keep changes for later.

        What was decided on the strength of the batch is refused with it.
        """
        pairs, self._out = self._out, []
        self.turns += 1
        kept: list[Draft] = []
        effects: list[Effect] = []
        for draft, _ in pairs:
            effects += [Refuse(requester, error) for requester in draft.requesters]
            if draft.change is not None:
                draft.requesters.clear()
                kept.append(draft)
            elif draft.sender is not None:
                self._waiting.pop(draft.sender, None)
        for draft in [draft for draft in self._queue if draft.is_decided]:
            self._queue.remove(draft)
            effects += [Refuse(requester, error) for requester in draft.requesters]
        self._queue.extendleft(reversed(kept))
        return effects

    def end_waiting(self, unknown: AppError, refused: AppError) -> list[Effect]:
        """Storage says nothing: answer everybody who waits.

        What is out may be stored: it stays, and a repeat hears what became of it. The rest was not
        sent and is forgotten; changes of status stay.
        """
        self.turns += 1
        effects: list[Effect] = []
        for draft, _ in self._out:
            effects += [Refuse(requester, unknown) for requester in draft.requesters]
            draft.requesters.clear()
        kept: deque[Draft] = deque()
        for draft in self._queue:
            effects += [Refuse(requester, refused) for requester in draft.requesters]
            draft.requesters.clear()
            if draft.change is not None:
                kept.append(draft)
            elif draft.sender is not None:
                self._waiting.pop(draft.sender, None)
        self._queue = kept
        return effects

    def drop_repeats(self, repeats: Mapping[Sender, Known]) -> list[Effect]:
        """Nothing was stored, since these lines already are: answer them, retry the rest."""
        pairs, self._out = self._out, []
        self.turns += 1
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
        self.turns += 1
        drafts = {draft.id: draft for draft, _ in pairs}
        found = [(drafts.pop(entry.id, None), entry) for entry in stored]
        self._queue.extendleft(reversed(list(drafts.values())))
        return self._settle(found)

    # Within

    def _settle(self, pairs: Sequence[tuple[Draft | None, Entry]]) -> list[Effect]:
        effects: list[Effect] = []
        following: list[Effect] = []
        for draft, entry in pairs:
            self.head = entry.seq
            self._history.append(entry)
            self._remember(entry)
            following += self._on_stored(entry, None if draft is None else draft.change)
            if draft is None:
                continue
            if draft is self._last_change:
                self._last_change = None
            if draft.sender is None:
                effects += [Finish(requester) for requester in draft.requesters]
            else:
                known = Known(entry.id, entry.seq, entry.kind)
                effects += [Acknowledge(requester, *known) for requester in draft.requesters]
                self._waiting.pop(draft.sender, None)
        if pairs:
            effects.append(Publish(tuple(entry for _, entry in pairs)))
        return effects + following

    def _remember(self, entry: Entry) -> None:
        sender = entry.sender
        if sender is not None:
            self._known[sender] = Known(entry.id, entry.seq, entry.kind)
            while len(self._known) > HISTORY_MAX:
                self._known.popitem(last=False)
