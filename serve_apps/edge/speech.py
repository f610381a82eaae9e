"""What one client says in rooms: lines, signs of life, and what moderators do.

`conversation.py` makes one per connection. Lines and acts are sent to the room's host, each in a
task of its own, and answered when they are stored; signs of life are passed on unanswered.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any

from actors.hosting.followed import RequestFailed
from actors.hosting.messages import Stored
from actors.live_room.chat_state import MESSAGE_HELD
from actors.live_room.client import Moderating
from actors.live_room.entries import Speaker
from actors.live_room.messages import (
    HeldDecide,
    LineDelete,
    LinePin,
    MemberAct,
    MemberChange,
)
from actors.live_room.speaking import MembershipNeeded
from kit.errors import AppError, NotAuthenticated, Unavailable
from serve_apps.edge.followers import Follower
from serve_apps.edge.socket_frames import write_error, write_json
from serve_apps.edge.socket_words import (
    ChannelKind,
    ChannelName,
    FrameMalformed,
    Moderate,
    ModerateAct,
    Reaction,
    RequestRefusedByHost,
    Typing,
    read_room,
)
from serve_apps.edge.socket_words import ChatSend as ChatWords
from serve_apps.edge.subscriptions import TalkPorts

LINES_IN_FLIGHT_MAX = 50
TYPING_EVERY_S = 1.0
SPOKEN = (ChatWords, Typing, Reaction, Moderate)
MEMBER_ACTS = {
    ModerateAct.BAN: MemberAct.BAN,
    ModerateAct.TIME_OUT: MemberAct.TIME_OUT,
    ModerateAct.PARDON: MemberAct.PARDON,
}
LINE_ACTS = (ModerateAct.DELETE, ModerateAct.PIN, ModerateAct.UNPIN)


class TooManyLines(Unavailable):
    """More lines of this socket wait for their acknowledgement than it may have."""

    code, message = "too_many_lines", "Wait for your last lines to be sent."


class Speech:
    """One client's side of talking; `rooms` are those it follows."""

    __slots__ = ("_lines", "_ports", "_rooms", "_socket", "_typed_at_s")

    def __init__(self, socket: Follower, ports: TalkPorts, rooms: Sequence[uuid.UUID]) -> None:
        self._socket = socket
        self._ports = ports
        self._rooms = rooms
        self._lines: list[asyncio.Task[None]] = []
        self._typed_at_s = 0.0

    def hear(self, words: ChatWords | Typing | Reaction | Moderate) -> None:
        """Act on what was said; raises what refuses a sign of life."""
        if isinstance(words, Typing):
            self._type(words)
        elif isinstance(words, Reaction):
            room_id, speaker = read_room(words.room), self._get_speaker()
            if room_id in self._rooms:
                self._ports.client.send_reaction(room_id, speaker, words.reaction)
        elif len(self._lines) >= LINES_IN_FLIGHT_MAX:
            error = TooManyLines(retry_after_s=1)
            self._socket.answer(write_error(error, client_id=words.client_id))
        else:
            work = self._say(words) if isinstance(words, ChatWords) else self._moderate(words)
            task = asyncio.create_task(self._answer(words.client_id, work), name="chat-line")
            self._lines.append(task)
            task.add_done_callback(self._lines.remove)

    async def close(self) -> None:
        """Forget what is not answered yet; it may or may not be stored."""
        for task in self._lines:
            task.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    # Within

    async def _answer(self, client_id: str, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        """Answer with what the work returns, or with what refused it."""
        try:
            answer = await work
        except RequestFailed as failure:
            said = failure.refusal
            refusal = RequestRefusedByHost(
                said.code, said.message, retryable=said.retryable, **said.details
            )
            self._socket.answer(write_error(refusal, client_id=client_id))
        except AppError as error:
            self._socket.answer(write_error(error, client_id=client_id))
        else:
            self._socket.answer(write_json({**answer, "client_id": client_id}))

    async def _say(self, words: ChatWords) -> dict[str, Any]:
        """Have one line stored; returns its acknowledgement."""
        speaker = self._get_speaker()
        room_id = await self._enter(words.room, speaker)
        self._ports.rooms.hold(room_id)
        try:
            stored = await self._send(room_id, speaker, words)
        finally:
            self._ports.rooms.release(room_id)
        answer: dict[str, Any] = {
            "type": "ack",
            "message_id": stored.entry_id,
            "epoch": stored.epoch,
            "offset": stored.seq,
        }
        return {**answer, "held": True} if stored.kind == MESSAGE_HELD else answer

    async def _send(self, room_id: uuid.UUID, speaker: Speaker, words: ChatWords) -> Stored:
        """Send a line; where the room's rules ask, say who follows and send it again."""
        line = (room_id, speaker, words.client_id, words.text)
        try:
            return await self._ports.client.send_chat(*line)
        except RequestFailed as failure:
            if failure.refusal.code != MembershipNeeded.code:
                raise
        membership = await self._ports.audience.find_membership(room_id, speaker.user_id)
        return await self._ports.client.send_chat(*line, membership)

    async def _moderate(self, words: Moderate) -> dict[str, Any]:
        """Have a moderator's act carried out."""
        speaker = self._get_speaker()
        room_id = await self._enter(words.room, speaker)
        await self._ports.client.moderate(room_id, await self._read_act(room_id, speaker, words))
        return {"type": "done"}

    async def _read_act(self, room_id: uuid.UUID, by: Speaker, words: Moderate) -> Moderating:
        """Return the room's command; raises FrameMalformed when what it is about is missing."""
        audience, act = self._ports.audience, words.act
        if act in LINE_ACTS and words.message_id is not None:
            line = await audience.find_line(room_id, words.message_id)
            if act is ModerateAct.DELETE:
                return LineDelete(by, line)
            return LinePin(by, line, act is ModerateAct.PIN)
        if act in MEMBER_ACTS and words.user_id is not None:
            person = await audience.find_person(words.user_id)
            return MemberChange(by, person, MEMBER_ACTS[act], words.duration_s, words.reason)
        if act in (ModerateAct.APPROVE, ModerateAct.REFUSE) and words.held_id is not None:
            return HeldDecide(by, words.held_id, act is ModerateAct.APPROVE)
        raise FrameMalformed("This act needs to say what it is about.")

    async def _enter(self, room: str, speaker: Speaker) -> uuid.UUID:
        """Return the room's id; raises when the speaker may not even look."""
        room_id = read_room(room)
        if room_id not in self._rooms:
            channel = ChannelName(ChannelKind.ROOM, room_id)
            await self._ports.audience.check_channel(channel, speaker.user_id)
        return room_id

    def _type(self, words: Typing) -> None:
        speaker = self._get_speaker()
        room_id = read_room(words.room)
        now_s = time.monotonic()
        if room_id in self._rooms and now_s - self._typed_at_s >= TYPING_EVERY_S:
            self._typed_at_s = now_s
            self._ports.client.send_typing(room_id, speaker)

    def _get_speaker(self) -> Speaker:
        member = self._socket.member
        if member is None:
            raise NotAuthenticated
        identity = member.identity
        return Speaker(identity.user_id, identity.username, member.display_name, str(identity.role))
