"""What moderators do in a room's chat, as they ask over the API.

The room's host decides and writes (`actors/live_room/moderation.py`); here are looking up what is
pointed at, reading what only moderators may see, and the audit record. A room is never asked
within a transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actors.live_room.chat_state import MESSAGE_HELD, ChatState
from actors.live_room.client import Moderating
from actors.live_room.entries import Speaker
from actors.live_room.kind import load_chat, read_row
from actors.live_room.members import Rank, check_rank, decide_rank
from actors.live_room.messages import Announce, RaidArrive, RaidStart
from actors.live_room.pointing import PersonUnknown, get_person
from kit.errors import Conflict
from kit.ids import make_id
from serve_apps.access.identity import Identity
from serve_apps.http.state import ApiPorts
from serve_apps.live.service import get_live
from storage.audit import AuditDraft, append_audit
from storage.database import WRITE_TIMEOUT_S, Connection
from storage.lives import LiveRow
from storage.room_rules import HeldRow, MemberRow, find_member, list_held, list_members
from storage.rooms import RoomMessage, is_line_known
from storage.users import find_card
from storage.viewers import read_viewer_counts

HELD_MAX = 200
PEOPLE_MAX = 1000
RAID_ONCE_S = 600


class RaidTargetUnfit(Conflict):
    """A raid goes to another live that everybody may see and that is on air."""

    code = "raid_target_unfit"
    message = "A raid goes to another public live that is on air."


@dataclass(frozen=True)
class ChatView:
    """A chat as one viewer meets it; `me` None: not logged in."""

    live: LiveRow
    state: ChatState
    rank: Rank | None


@dataclass(frozen=True)
class Asked:
    """What a moderator's command is made from."""

    connection: Connection
    live: LiveRow
    by: Speaker


Make = Callable[[Asked], Awaitable[Moderating]]


async def view_chat(
    connection: Connection, viewer: Identity | None, live_id: uuid.UUID
) -> ChatView:
    """Return the chat's state for somebody who may see the live; raises LiveNotFound."""
    live = await get_live(connection, viewer, live_id)
    state = await load_chat(connection, live_id)
    return ChatView(live, state, None if viewer is None else _rank(state, live, viewer))


async def view_as_moderator(
    connection: Connection, viewer: Identity, live_id: uuid.UUID
) -> ChatView:
    """Return the chat with what only its moderators may see; raises RankTooLow."""
    view = await view_chat(connection, viewer, live_id)
    check_rank(view.rank or Rank.GUEST, Rank.MODERATOR)
    return view


async def list_review(
    connection: Connection, viewer: Identity, live_id: uuid.UUID
) -> list[HeldRow]:
    """Return the lines that wait for a moderator, the oldest first; raises RankTooLow."""
    await view_as_moderator(connection, viewer, live_id)
    return await list_held(connection, live_id, HELD_MAX)


async def find_revealed(
    connection: Connection,
    viewer: Identity | None,
    live: LiveRow,
    messages: Sequence[RoomMessage],
) -> set[uuid.UUID]:
    """Return which held lines a viewer may read: their own, and all of them as a moderator."""
    held = [message for message in messages if message.kind == MESSAGE_HELD]
    if viewer is None or not held:
        return set()
    own = {message.id for message in held if message.user_id == viewer.user_id}
    if len(own) == len(held):
        return own
    member = await find_member(connection, live.id, viewer.user_id)
    state = ChatState() if member is None else ChatState(members={member.user_id: read_row(member)})
    is_moderator = _rank(state, live, viewer) >= Rank.MODERATOR
    return {message.id for message in held} if is_moderator else own


async def list_silenced(
    ports: ApiPorts, connection: Connection, viewer: Identity, live_id: uuid.UUID
) -> list[MemberRow]:
    """Return who is banned or timed out, the latest first; raises RankTooLow."""
    await view_as_moderator(connection, viewer, live_id)
    rows = await list_members(connection, live_id, ports.clock.now(), PEOPLE_MAX)
    return [row for row in rows if row.is_banned or row.timed_out_until is not None]


async def moderate(
    ports: ApiPorts, user: Identity, live_id: uuid.UUID, action: str, make: Make
) -> None:
    """Have the room carry out what `make` returns, then put it on record.

    Raises LiveNotFound, what `make` raises, and the room's refusals.
    """
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        live = await get_live(connection, user, live_id)
        command = await make(Asked(connection, live, await _find_speaker(connection, user)))
    await ports.rooms.moderate(live_id, command)
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        draft = AuditDraft(
            make_id(), user.user_id, action, f"live:{live_id}", _describe_act(command)
        )
        await append_audit(connection, draft, ports.clock.now())


async def raid(ports: ApiPorts, user: Identity, live_id: uuid.UUID, target_id: uuid.UUID) -> None:
    """Send the viewers of one live on to another, and tell both rooms.

    Raises LiveNotFound, RaidTargetUnfit, and the room's refusals. Either room may be told and the
    other not be reached: asked again within `RAID_ONCE_S`, each is told once.
    """
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        source = await get_live(connection, user, live_id)
        target = await get_live(connection, None, target_id)
        by = await _find_speaker(connection, user)
        client_id = await name_raid(
            connection, (source.id, target.id), source.owner_id, ports.clock.now()
        )
    if target.id == source.id or target.status != "live" or target.visibility != "public":
        raise RaidTargetUnfit
    await ports.rooms.moderate(live_id, RaidStart(by, client_id, _describe_live(target)))
    counts = await read_viewer_counts(ports.cache, [live_id])
    arrive = RaidArrive(by, client_id, _describe_live(source), counts.get(live_id) or 0)
    await ports.rooms.moderate(target_id, arrive)


async def name_raid(
    connection: Connection, way: tuple[uuid.UUID, uuid.UUID], owner_id: uuid.UUID, now: datetime
) -> str:
    """Return the id under which both rooms know a raid, the same for whoever repeats it soon.

    Ids change with each period of `RAID_ONCE_S`; one that began in the last period is found there.
    """
    source_id, target_id = way
    period = int(now.timestamp() // RAID_ONCE_S)
    name, before = (
        str(uuid.uuid5(source_id, f"raid {target_id} {number}")) for number in (period, period - 1)
    )
    since = now - timedelta(seconds=RAID_ONCE_S)
    return before if await is_line_known(connection, (source_id, owner_id, before), since) else name


async def find_person(connection: Connection, username: str) -> Speaker:
    """Return somebody by name; raises PersonUnknown."""
    card = await find_card(connection, username.lower())
    if card is None:
        raise PersonUnknown
    return Speaker(card.id, card.username, card.display_name or card.username)


def _rank(state: ChatState, live: LiveRow, viewer: Identity) -> Rank:
    person = Speaker(viewer.user_id, viewer.username, viewer.username, str(viewer.role))
    return decide_rank(person, live.owner_id, state.members)


async def _find_speaker(connection: Connection, user: Identity) -> Speaker:
    person = await get_person(connection, user.user_id)
    return Speaker(person.user_id, person.username, person.display_name, str(user.role))


def _describe_live(live: LiveRow) -> dict[str, str]:
    return {
        "id": str(live.id),
        "title": live.title,
        "owner": live.owner_username,
        "owner_name": live.owner_display_name or live.owner_username,
    }


def _describe_act(command: Moderating) -> dict[str, Any]:
    """Return what the record says of a command; never what was written."""
    details: dict[str, Any] = {}
    for name in ("act", "duration_s", "reason", "is_pinned", "is_approved"):
        value = getattr(command, name, None)
        if value not in (None, "", 0):
            details[name] = str(value) if name == "act" else value
    person, line = getattr(command, "person", None), getattr(command, "line", None)
    if person is not None:
        details["person"] = person.username
    if line is not None:
        details["line"] = str(line.id)
    held_id = getattr(command, "held_id", None)
    if held_id is not None:
        details["line"] = str(held_id)
    if not isinstance(command, Announce) and hasattr(command, "rules"):
        details["rules"] = sorted(command.rules)
    return details
