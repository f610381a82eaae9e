"""A room's own words over the way to hosted objects; edges and the API each keep one."""

from __future__ import annotations

import uuid

from actors.hosting.client import HostClient
from actors.hosting.core import ObjectKey
from actors.hosting.followed import RequestFailed
from actors.hosting.messages import Answered, Done, EntryLine, ObjectFacts, Stored
from actors.live_room import members, moderation, rules
from actors.live_room.entries import ChatLineEmpty, ChatLineTooLong, ClientIdInvalid, Speaker
from actors.live_room.health import HealthAsk, HealthShown, IngestReport
from actors.live_room.messages import (
    Announce,
    ChatSend,
    LiveEnd,
    Membership,
    PublisherCut,
    PublisherDown,
    PublisherUp,
    RaidArrive,
    RaidStart,
    ReactionSend,
    TypingSend,
    ViewersReport,
)
from actors.live_room.quality import QualityReport
from kit.errors import AppError
from storage.hosts import HostEntry
from storage.placements import ROOM

VIEWERS = "viewers"
PUBLISHER = "publisher"
QUALITY = "quality"
INGEST = "ingest"
Moderating = moderation.Command | Announce | RaidStart | RaidArrive
MODERATION_REFUSALS: tuple[type[AppError], ...] = (
    members.RankTooLow,
    members.TooManyMembers,
    moderation.HeldLineNotFound,
    moderation.TimeOutInvalid,
    moderation.TooManyPins,
    rules.RulesInvalid,
    ChatLineEmpty,
    ChatLineTooLong,
    ClientIdInvalid,
)
"""What a room may say no with; `moderate` raises it as it is declared."""
REFUSALS = {refusal.code: refusal for refusal in MODERATION_REFUSALS}


class RoomClient:
    """What this process says to rooms, and asks of them."""

    def __init__(self, hosts: HostClient) -> None:
        self._hosts = hosts

    def open_room(self, room_id: uuid.UUID) -> None:
        """Follow a room from now on; the listener of the hosts' client hears of it."""
        self._hosts.follow(ObjectKey(ROOM, room_id))

    def close_room(self, room_id: uuid.UUID) -> None:
        """Stop following a room."""
        self._hosts.unfollow(ObjectKey(ROOM, room_id))

    async def send_chat(
        self,
        room_id: uuid.UUID,
        speaker: Speaker,
        client_id: str,
        text: str,
        membership: Membership | None = None,
    ) -> Stored:
        """Write a line; returns once it is stored. Raises RequestFailed or ObjectUnanswered.

        A room whose rules ask who follows refuses with `membership_needed`: say it, and ask again.
        """
        line = ChatSend(speaker, client_id, text, membership)
        return await self._hosts.ask(ObjectKey(ROOM, room_id), line, Stored)

    async def moderate(self, room_id: uuid.UUID, command: Moderating) -> None:
        """Have a moderator's command carried out; returns once that is stored.

        Raises the room's refusal as it is declared, or ObjectUnanswered.
        """
        try:
            await self._hosts.ask(ObjectKey(ROOM, room_id), command, object)
        except RequestFailed as failure:
            refusal = REFUSALS.get(failure.refusal.code)
            if refusal is None:
                raise
            raise refusal(failure.refusal.message, **failure.refusal.details) from failure

    async def read_history(self, room_id: uuid.UUID, seq: int, limit: int) -> list[EntryLine]:
        """Return entries after `seq`, oldest first, at most one page."""
        return await self._hosts.read_history(ObjectKey(ROOM, room_id), seq, limit)

    async def end_live(self, room_id: uuid.UUID) -> None:
        """End a broadcast; returns once that is stored."""
        await self._hosts.ask(ObjectKey(ROOM, room_id), LiveEnd("ended_by_owner"), Done)

    async def cut_publisher(self, room_id: uuid.UUID) -> None:
        """End the session of whoever publishes; returns once its edge was told."""
        await self._hosts.ask(ObjectKey(ROOM, room_id), PublisherCut(), Done)

    async def ask_health(self, room_id: uuid.UUID) -> HealthShown:
        """Return how a live goes now. Raises RequestFailed or ObjectUnanswered."""
        answered = await self._hosts.ask(ObjectKey(ROOM, room_id), HealthAsk(), Answered)
        assert isinstance(answered.answer, HealthShown), "rooms answer so"
        return answered.answer

    async def move_room(self, room_id: uuid.UUID, host_id: str) -> None:
        """Have the room's owner hand it to another host; returns once it has."""
        await self._hosts.move_object(ObjectKey(ROOM, room_id), host_id)

    async def survey(
        self, host: HostEntry, *, after: uuid.UUID | None, limit: int
    ) -> list[ObjectFacts]:
        """Return the rooms a host runs after an id, in order of ids."""
        return (await self._hosts.survey_host(host, ROOM, after=after, limit=limit)).objects

    def send_typing(self, room_id: uuid.UUID, speaker: Speaker) -> None:
        """Show that somebody is writing, when the room is open."""
        room = self._hosts.find_followed(ObjectKey(ROOM, room_id))
        if room is not None:
            room.tell(TypingSend(speaker))

    def send_reaction(self, room_id: uuid.UUID, speaker: Speaker, reaction: str) -> None:
        """Count a reaction, when the room is open."""
        room = self._hosts.find_followed(ObjectKey(ROOM, room_id))
        if room is not None:
            room.tell(ReactionSend(speaker, reaction))

    async def send_reaction_from_afar(
        self, room_id: uuid.UUID, speaker: Speaker, reaction: str
    ) -> None:
        """Count a reaction in a room that is not opened here; returns once it was heard."""
        await self._hosts.ask(ObjectKey(ROOM, room_id), ReactionSend(speaker, reaction), Done)

    def report_viewers(
        self, room_id: uuid.UUID, whole: ViewersReport, change: ViewersReport | None = None
    ) -> None:
        """Say who watches an opened room here; `change`: what is new of it since the last time."""
        room = self._hosts.find_followed(ObjectKey(ROOM, room_id))
        if room is not None:
            room.keep_told(VIEWERS, whole, change)

    def report_quality(self, room_id: uuid.UUID, report: QualityReport) -> None:
        """Say how watching an opened room goes here."""
        room = self._hosts.find_followed(ObjectKey(ROOM, room_id))
        if room is not None:
            room.keep_told(QUALITY, report)

    def report_ingest(self, room_id: uuid.UUID, report: IngestReport) -> None:
        """Say what the publisher of an opened room sends."""
        room = self._hosts.find_followed(ObjectKey(ROOM, room_id))
        if room is not None:
            room.keep_told(INGEST, report)

    def report_publisher(self, room_id: uuid.UUID, publisher: PublisherUp) -> None:
        """Say that media enters an opened room here."""
        room = self._hosts.find_followed(ObjectKey(ROOM, room_id))
        if room is not None:
            room.keep_told(PUBLISHER, publisher)

    def report_publisher_lost(self, room_id: uuid.UUID, session_id: str, reason: str) -> None:
        """Say that this media session ended, unless a newer one took over here."""
        room = self._hosts.find_followed(ObjectKey(ROOM, room_id))
        if room is None:
            return
        standing = room.find_told(PUBLISHER)
        if standing is not None and standing.session_id == session_id:
            room.drop_told(PUBLISHER)
            room.drop_told(INGEST)
        room.tell(PublisherDown(session_id, reason))
