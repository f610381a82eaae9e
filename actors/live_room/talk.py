"""The chat of one room: who may say what, what moderators change, what waits for review.

`room.py` composes one and hands it the commands that concern the chat. Everything it decides is a
durable entry in the room's log; what it knows is the fold of those entries (`chat_state.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from actors.hosting.effects import (
    Consult,
    Consulted,
    Effect,
    Finish,
    Leaving,
    ObjectMoved,
    Refuse,
    Requester,
    Show,
)
from actors.hosting.entries import Entry, Sender
from actors.hosting.log import Draft, Log
from actors.live_room import chat_state as kinds
from actors.live_room.chat import PaceBook, check_client_id, clean_text
from actors.live_room.chat_state import ChatState
from actors.live_room.entries import RoomEnded, RoomFacts, RoomTerms, describe_speaker
from actors.live_room.members import MEMBERS_MAX, Rank, check_rank
from actors.live_room.messages import (
    Announce,
    ChatSend,
    HeldDecide,
    LineDelete,
    LinePin,
    MemberChange,
    RaidArrive,
    RaidStart,
    ReactionSend,
    RulesChange,
    TypingSend,
)
from actors.live_room.moderation import Command, Scene, decide
from actors.live_room.reactions import ReactionTally
from actors.live_room.review import LineRefused, Question, ReviewDesk, Verdict, WaitingLine
from actors.live_room.speaking import SlowBook, WordRefused, check_membership, check_silence
from kit.errors import AppError, Unavailable

HELD_MAX = 500
ANNOUNCEMENT_CHARS_MAX = 500
SNAPSHOT = "room"
"""The latest state that tells rules, pins and moderators."""
SNAPSHOT_KINDS = (kinds.RULES_CHANGED, kinds.PINS_CHANGED, kinds.MEMBER_CHANGED)
TALK_COMMANDS = (
    ChatSend,
    TypingSend,
    ReactionSend,
    LineDelete,
    LinePin,
    MemberChange,
    RulesChange,
    HeldDecide,
    Announce,
    RaidStart,
    RaidArrive,
    Consulted,
    Leaving,
)


class ReviewFull(Unavailable):
    """As many lines wait for a moderator as a room keeps."""

    code, message = "review_full", "Too many lines wait for a moderator; try again later."


class Talk:
    """The chat side of a room, on top of the room's log."""

    def __init__(
        self, facts: RoomFacts, chat: ChatState, history: Sequence[Entry], terms: RoomTerms
    ) -> None:
        self.chat = chat
        """As it is stored."""
        self._room_id = facts.id
        self._owner_id = facts.owner_id
        self._terms = terms
        self._pace = PaceBook(terms)
        self._slow = SlowBook(history)
        self._desk = ReviewDesk()
        self._reactions = ReactionTally()
        self._planned: ChatState | None = None
        self._planned_turn = 0

    @property
    def is_quiet(self) -> bool:
        """Whether no line waits for a verdict."""
        return not len(self._desk)

    @property
    def due_s(self) -> float | None:
        """When reactions are to be shown; None: there are none."""
        return self._reactions.due_s

    def show(self, log: Log) -> Show:
        """Return what a fresh follower is shown; entries up to `offset` are in it."""
        return Show(SNAPSHOT, {**self.chat.describe(), "offset": log.head})

    # Commands

    def handle(
        self, log: Log, requester: Requester, command: Any, *, is_ended: bool, viewers: int
    ) -> list[Effect]:
        """Act on a command that concerns the chat."""
        if isinstance(command, Consulted):
            return self._hear_verdict(log, command, is_ended=is_ended)
        if isinstance(command, Leaving):
            return self._send_on()
        if isinstance(command, TypingSend | ReactionSend):
            effects = [] if is_ended else self._show_sign(log, command)
            return [*effects, Finish(requester)]  # whoever has no socket waits for the answer
        try:
            if isinstance(command, ChatSend):
                return self._send_chat(log, requester, command, is_ended=is_ended)
            if isinstance(command, Announce | RaidStart | RaidArrive):
                return self._announce(log, requester, command, viewers=viewers)
            return self._moderate(log, requester, command)
        except AppError as error:
            return [Refuse(requester, error)]

    def pass_time(self) -> list[Effect]:
        """Show what reactions came."""
        counts = self._reactions.take(self._terms.clock.monotonic_s())
        return [Show("reactions", {"counts": counts})] if counts else []

    def take_stored(self, log: Log, entry: Entry) -> list[Effect]:
        """Fold a stored entry into the state; returns what followers are shown anew."""
        self.chat.apply(entry.kind, entry.id, entry.body)
        if entry.kind == kinds.MESSAGE_DELETED:
            _blank(log, int(entry.body["offset"]))
        if len(self.chat.members) > MEMBERS_MAX:
            self.chat.forget_plain(self._terms.clock.now())
        if entry.kind in SNAPSHOT_KINDS or "pins" in entry.body:
            return [self.show(log)]
        return []

    # Lines

    def _send_chat(
        self, log: Log, requester: Requester, line: ChatSend, *, is_ended: bool
    ) -> list[Effect]:
        """Accept, repeat or refuse a chat line; raises what refuses it."""
        sender = (line.speaker.user_id, line.client_id)
        repeated = self._find_answer(log, sender, requester)
        if repeated is not None:
            return repeated
        check_client_id(line.client_id)
        text = clean_text(line.text, self._terms.chat_chars_max)
        if is_ended:
            raise RoomEnded
        log.check_space()
        state, now = self._plan(log), self._terms.clock.now()
        check_silence(state, line.speaker.user_id, now)
        is_guest = self._scene(state).rank(line.speaker) is Rank.GUEST
        why: str | None = None
        if is_guest:
            check_membership(state, line.membership, now)
            if state.words.is_blocked(text):
                raise WordRefused
            why = state.words.find_reason_to_hold(text)
            self._slow.check(line, state.rules.slow_mode_s, now)
        self._pace.check_pace(line.speaker.user_id)
        self._slow.note(line, now)
        waiting = WaitingLine(self._terms.make_id(), line, text, [requester], None)
        if why is not None:
            waiting.verdict, waiting.why = Verdict.HOLD, why
        elif not is_guest or not self._terms.is_moderated:
            waiting.verdict = Verdict.ALLOW
        return self._queue(log, waiting)

    def _find_answer(self, log: Log, sender: Sender, requester: Requester) -> list[Effect] | None:
        waiting = self._desk.find(sender)
        if waiting is not None:
            waiting.requesters.append(requester)
            return []
        return log.find_answer(sender, requester)

    def _queue(self, log: Log, waiting: WaitingLine) -> list[Effect]:
        """Let a line go, or have it wait: for its own verdict, or for an earlier line's."""
        user_id = waiting.line.speaker.user_id
        if waiting.verdict is not None and not self._desk.must_queue(user_id):
            return self._let_go(log, waiting)
        self._desk.check_space(user_id)
        self._desk.add(waiting)
        if waiting.verdict is not None:
            return []
        question = Question(self._room_id, waiting.id, user_id, waiting.text)
        return [Consult(question, self._terms.moderation_timeout_s)]

    def _hear_verdict(self, log: Log, heard: Consulted, *, is_ended: bool) -> list[Effect]:
        """Act on moderation's answer; one that did not come is what the settings state."""
        is_late = not isinstance(heard.answer, Verdict)
        verdict = Verdict(self._terms.moderation_default) if is_late else heard.answer
        why = "moderation_slow" if is_late else "moderation"
        effects: list[Effect] = []
        for waiting in self._desk.take_verdict(heard.question.line_id, verdict, why):
            effects += self._let_go(log, waiting, is_ended=is_ended)
        return effects

    def _send_on(self) -> list[Effect]:
        """The room goes elsewhere: have those whose lines wait for a verdict ask its next owner."""
        return [
            Refuse(requester, ObjectMoved())
            for waiting in self._desk.take_all()
            for requester in waiting.requesters
        ]

    def _let_go(self, log: Log, waiting: WaitingLine, *, is_ended: bool = False) -> list[Effect]:
        """Give a line with its verdict to the log, or refuse it."""
        line, state = waiting.line, self._plan(log)
        try:
            if is_ended:
                raise RoomEnded
            check_silence(state, line.speaker.user_id, self._terms.clock.now())
            if waiting.verdict is Verdict.REFUSE:
                raise LineRefused
            if waiting.verdict is Verdict.HOLD and len(state.held) >= HELD_MAX:
                raise ReviewFull(retry_after_s=60)
        except AppError as error:
            return [Refuse(requester, error) for requester in waiting.requesters]
        body: dict[str, Any] = {"user": describe_speaker(line.speaker), "text": waiting.text}
        kind = kinds.CHAT_MESSAGE
        if waiting.verdict is Verdict.HOLD:
            kind, body = (
                kinds.MESSAGE_HELD,
                {
                    **body,
                    "client_id": line.client_id,
                    "why": waiting.why,
                },
            )
        self._add(log, Draft(waiting.id, kind, body, waiting.requesters, waiting.sender))
        return []

    def _show_sign(self, log: Log, command: TypingSend | ReactionSend) -> list[Effect]:
        """Show a sign of life of somebody who may write; nothing of it is stored or answered."""
        speaker = command.speaker
        try:
            check_silence(self._plan(log), speaker.user_id, self._terms.clock.now())
        except AppError:
            return []
        if isinstance(command, TypingSend):
            return [Show("typing", {"user": describe_speaker(speaker)})]
        now_s = self._terms.clock.monotonic_s()
        self._reactions.add(speaker.user_id, command.reaction, now_s)
        return []

    # Moderating

    def _moderate(self, log: Log, requester: Requester, command: Command) -> list[Effect]:
        """Carry a moderator's command out; raises what refuses it."""
        if isinstance(command, LineDelete | LinePin) and _is_taken_down(log, command.line.seq):
            return [Finish(requester)]
        decisions = decide(self._scene(self._plan(log)), command)
        if not decisions:
            return [Finish(requester)]
        log.check_space()
        for number, (kind, body) in enumerate(decisions, 1):
            is_last = number == len(decisions)
            requesters = [requester] if is_last else []
            # An approved line is its author's, whoever let it pass.
            author_id = uuid.UUID(body["user"]["id"]) if kind == kinds.CHAT_MESSAGE else None
            draft = Draft(self._terms.make_id(), kind, body, requesters, author_id=author_id)
            draft.is_decided = True
            self._add(log, draft)
        return []

    def _announce(
        self,
        log: Log,
        requester: Requester,
        command: Announce | RaidStart | RaidArrive,
        *,
        viewers: int,
    ) -> list[Effect]:
        """Say something in the room's name; a repeat is answered as it stands."""
        if isinstance(command, RaidStart):
            check_rank(self._scene(self._plan(log)).rank(command.by), Rank.OWNER)
        # A raid is the room's, whoever of those who may repeats it; `by` tells who asked first.
        author_id = command.by.user_id if isinstance(command, Announce) else self._owner_id
        sender = (author_id, command.client_id)
        repeated = log.find_answer(sender, requester)
        if repeated is not None:
            return repeated
        check_client_id(command.client_id)
        by = describe_speaker(command.by)
        if isinstance(command, RaidArrive):
            kind, body = (
                kinds.RAIDED,
                {
                    "source": command.source,
                    "viewers": command.viewers,
                    "by": by,
                },
            )
        elif isinstance(command, RaidStart):
            kind, body = kinds.RAID, {"target": command.target, "viewers": viewers, "by": by}
        else:
            check_rank(self._scene(self._plan(log)).rank(command.by), Rank.MODERATOR)
            text = clean_text(command.text, ANNOUNCEMENT_CHARS_MAX)
            kind, body = kinds.ANNOUNCEMENT, {"text": text, "user": by}
        log.check_space()
        self._add(log, Draft(self._terms.make_id(), kind, body, [requester], sender))
        return []

    # Within

    def _scene(self, state: ChatState) -> Scene:
        terms = self._terms
        return Scene(self._owner_id, state, terms.clock.now())

    def _add(self, log: Log, draft: Draft) -> None:
        """Accept a draft, and plan with what it will change."""
        if _changes_state(draft):
            planned = self._plan(log)
            if planned is self.chat:
                planned = self._planned = self.chat.copy()
                self._planned_turn = log.turns
            planned.apply(draft.kind, draft.id, draft.body)
        log.add(draft)

    def _plan(self, log: Log) -> ChatState:
        """Return the state once everything that waits is stored: what decisions look at."""
        if self._planned is None:
            return self.chat
        if log.depth == 0:
            self._planned = None
            return self.chat
        if log.turns != self._planned_turn:
            planned = self.chat.copy()
            for draft in log.list_drafts():
                planned.apply(draft.kind, draft.id, draft.body)
            self._planned, self._planned_turn = planned, log.turns
        return self._planned


def _changes_state(draft: Draft) -> bool:
    return draft.kind in kinds.STATE_KINDS or "held_id" in draft.body


def _is_taken_down(log: Log, seq: int) -> bool:
    """Whether a line is deleted, or will be once everything that waits is stored."""
    entry = log.find_entry(seq)
    if entry is not None and entry.body.get("deleted"):
        return True
    return any(
        draft.kind == kinds.MESSAGE_DELETED and draft.body["offset"] == seq
        for draft in log.list_drafts()
    )


def _blank(log: Log, seq: int) -> None:
    """Forget what a line said; its number stays."""
    entry = log.find_entry(seq)
    if entry is not None:
        log.replace_body(seq, {"user": entry.body["user"], "text": "", "deleted": True})
