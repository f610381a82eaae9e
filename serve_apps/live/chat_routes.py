"""Routes of a live's chat beyond its lines: rules, moderators, bans, pins, held lines, raids.

Every act is carried out by the room itself, which checks who asks; see `chat_service.py`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated

from fastapi import Path, Response

from actors.live_room.client import MODERATION_REFUSALS
from actors.live_room.members import RankTooLow
from actors.live_room.messages import (
    Announce,
    HeldDecide,
    LineDelete,
    LinePin,
    MemberAct,
    MemberChange,
    RulesChange,
)
from actors.live_room.pointing import LineNotFound, PersonUnknown, get_line
from kit.errors import AppError
from kit.ids import make_id
from serve_apps.access.identity import Identity
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.state import ApiPorts, CurrentUser, OptionalUser, Ports, Transaction
from serve_apps.live import chat_service as service
from serve_apps.live.chat_schemas import (
    AnnouncementRequest,
    BanRequest,
    ChatStateBody,
    FullRulesBody,
    HeldList,
    HeldRequest,
    PersonRequest,
    PinRequest,
    RaidRequest,
    ReactionRequest,
    RulesChangeRequest,
    SilencedList,
    TimeOutRequest,
    describe_chat,
    describe_full_rules,
    describe_held,
    describe_silenced,
)
from serve_apps.live.lines import send_reaction
from serve_apps.live.service import LiveNotFound
from storage.database import WRITE_TIMEOUT_S

Username = Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,30}$", examples=["mallory"])]
routes = Routes("/live/{live_id}", "live")
ROOM_ERRORS: tuple[type[AppError], ...] = (LiveNotFound, *MODERATION_REFUSALS)


@routes.get(
    "/chat",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="See a chat's rules, pins and moderators, and what you are in it.",
    errors=(LiveNotFound, ForSubscribers),
)
async def get_chat(
    live_id: uuid.UUID, viewer: OptionalUser, connection: Transaction
) -> ChatStateBody:
    """Look at a chat."""
    view = await service.view_chat(connection, viewer, live_id)
    return describe_chat(view, None if viewer is None else viewer.user_id)


@routes.get(
    "/chat/rules",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Read a chat's rules with their words; for its moderators.",
    errors=(LiveNotFound, RankTooLow),
)
async def get_chat_rules(
    live_id: uuid.UUID, user: CurrentUser, connection: Transaction
) -> FullRulesBody:
    """Read the rules."""
    view = await service.view_as_moderator(connection, user, live_id)
    return describe_full_rules(view.state.rules)


@routes.patch(
    "/chat/rules",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Change a chat's rules; for its owner. What is not named stays.",
    errors=ROOM_ERRORS,
)
async def change_chat_rules(
    live_id: uuid.UUID, body: RulesChangeRequest, user: CurrentUser, ports: Ports
) -> FullRulesBody:
    """Change the rules."""
    rules = body.model_dump(exclude_none=True)

    async def make(asked: service.Asked) -> RulesChange:
        return RulesChange(asked.by, rules)

    await service.moderate(ports, user, live_id, "live.rules", make)
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        view = await service.view_chat(connection, user, live_id)
    return describe_full_rules(view.state.rules)


@routes.post(
    "/moderators",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Make somebody a moderator of this chat; for its owner.",
    status=204,
    response_class=Response,
    errors=(*ROOM_ERRORS, PersonUnknown),
)
async def appoint_moderator(
    live_id: uuid.UUID, body: PersonRequest, user: CurrentUser, ports: Ports
) -> None:
    """Appoint a moderator."""
    await _change_member(ports, user, live_id, _Change(body.username, MemberAct.APPOINT))


@routes.delete(
    "/moderators/{username}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Dismiss a moderator of this chat; for its owner.",
    status=204,
    response_class=Response,
    errors=(*ROOM_ERRORS, PersonUnknown),
)
async def dismiss_moderator(
    live_id: uuid.UUID, username: Username, user: CurrentUser, ports: Ports
) -> None:
    """Dismiss a moderator."""
    await _change_member(ports, user, live_id, _Change(username, MemberAct.DISMISS))


@routes.get(
    "/bans",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="List who is banned or timed out in this chat; for its moderators.",
    errors=(LiveNotFound, RankTooLow),
)
async def list_silenced(
    live_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> SilencedList:
    """List who may not write."""
    rows = await service.list_silenced(ports, connection, user, live_id)
    return SilencedList(items=[describe_silenced(row) for row in rows])


@routes.post(
    "/bans",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Ban somebody from this chat; for its moderators.",
    status=204,
    response_class=Response,
    errors=(*ROOM_ERRORS, PersonUnknown),
)
async def ban_from_chat(
    live_id: uuid.UUID, body: BanRequest, user: CurrentUser, ports: Ports
) -> None:
    """Ban somebody."""
    change = _Change(body.username, MemberAct.BAN, reason=body.reason)
    await _change_member(ports, user, live_id, change)


@routes.delete(
    "/bans/{username}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Lift a ban or a time-out; for the chat's moderators.",
    status=204,
    response_class=Response,
    errors=(*ROOM_ERRORS, PersonUnknown),
)
async def pardon_in_chat(
    live_id: uuid.UUID, username: Username, user: CurrentUser, ports: Ports
) -> None:
    """Pardon somebody."""
    await _change_member(ports, user, live_id, _Change(username, MemberAct.PARDON))


@routes.post(
    "/timeouts",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Silence somebody for a while; for the chat's moderators.",
    status=204,
    response_class=Response,
    errors=(*ROOM_ERRORS, PersonUnknown),
)
async def time_out_in_chat(
    live_id: uuid.UUID, body: TimeOutRequest, user: CurrentUser, ports: Ports
) -> None:
    """Time somebody out."""
    change = _Change(body.username, MemberAct.TIME_OUT, body.duration_s, body.reason)
    await _change_member(ports, user, live_id, change)


@routes.delete(
    "/messages/{message_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Delete a chat line: your own, or anybody's as a moderator.",
    status=204,
    response_class=Response,
    errors=(*ROOM_ERRORS, LineNotFound),
)
async def delete_chat_line(
    live_id: uuid.UUID, message_id: uuid.UUID, user: CurrentUser, ports: Ports
) -> None:
    """Delete a line; it disappears for everybody and from history."""

    async def make(asked: service.Asked) -> LineDelete:
        return LineDelete(asked.by, await get_line(asked.connection, live_id, message_id))

    await service.moderate(ports, user, live_id, "live.delete_line", make)


@routes.post(
    "/pins",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Pin a line above the chat; for its moderators.",
    status=204,
    response_class=Response,
    errors=(*ROOM_ERRORS, LineNotFound),
)
async def pin_chat_line(
    live_id: uuid.UUID, body: PinRequest, user: CurrentUser, ports: Ports
) -> None:
    """Pin a line."""
    await _pin(ports, user, live_id, body.message_id, is_pinned=True)


@routes.delete(
    "/pins/{message_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Take a pinned line down; for the chat's moderators.",
    status=204,
    response_class=Response,
    errors=(*ROOM_ERRORS, LineNotFound),
)
async def unpin_chat_line(
    live_id: uuid.UUID, message_id: uuid.UUID, user: CurrentUser, ports: Ports
) -> None:
    """Unpin a line."""
    await _pin(ports, user, live_id, message_id, is_pinned=False)


@routes.post(
    "/announcements",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Say something in the room's name; for its moderators.",
    status=204,
    response_class=Response,
    errors=ROOM_ERRORS,
)
async def announce_in_chat(
    live_id: uuid.UUID, body: AnnouncementRequest, user: CurrentUser, ports: Ports
) -> None:
    """Announce something."""

    async def make(asked: service.Asked) -> Announce:
        return Announce(asked.by, body.client_id or str(make_id()), body.text)

    await service.moderate(ports, user, live_id, "live.announce", make)


@routes.post(
    "/reactions",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="React without a socket; more than 20 in ten seconds are dropped.",
    status=204,
    response_class=Response,
    errors=(LiveNotFound, ForSubscribers),
)
async def react_to_live(
    live_id: uuid.UUID, body: ReactionRequest, user: CurrentUser, ports: Ports
) -> None:
    """React."""
    await send_reaction(ports, user, live_id, body.reaction)


@routes.post(
    "/raid",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Send your viewers on to another live; for the owner.",
    status=204,
    response_class=Response,
    errors=(*ROOM_ERRORS, service.RaidTargetUnfit),
)
async def raid_live(live_id: uuid.UUID, body: RaidRequest, user: CurrentUser, ports: Ports) -> None:
    """Raid another live."""
    await service.raid(ports, user, live_id, body.live_id)


@routes.get(
    "/held",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="List the lines that wait for a moderator, the oldest first.",
    errors=(LiveNotFound, RankTooLow),
)
async def list_held_lines(
    live_id: uuid.UUID, user: CurrentUser, connection: Transaction
) -> HeldList:
    """List held lines."""
    rows = await service.list_review(connection, user, live_id)
    return HeldList(items=[describe_held(row) for row in rows])


@routes.post(
    "/held/{held_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Let a held line through, or refuse it; for the chat's moderators.",
    status=204,
    response_class=Response,
    errors=ROOM_ERRORS,
)
async def decide_held_line(
    live_id: uuid.UUID, held_id: uuid.UUID, body: HeldRequest, user: CurrentUser, ports: Ports
) -> None:
    """Decide on a held line."""

    async def make(asked: service.Asked) -> HeldDecide:
        return HeldDecide(asked.by, held_id, body.decision == "approve")

    await service.moderate(ports, user, live_id, "live.review", make)


@dataclass(frozen=True)
class _Change:
    username: str
    act: MemberAct
    duration_s: int = 0
    reason: str = ""


async def _change_member(
    ports: ApiPorts, user: Identity, live_id: uuid.UUID, change: _Change
) -> None:
    async def make(asked: service.Asked) -> MemberChange:
        person = await service.find_person(asked.connection, change.username)
        return MemberChange(asked.by, person, change.act, change.duration_s, change.reason)

    await service.moderate(ports, user, live_id, f"live.{change.act}", make)


async def _pin(
    ports: ApiPorts, user: Identity, live_id: uuid.UUID, message_id: uuid.UUID, *, is_pinned: bool
) -> None:
    async def make(asked: service.Asked) -> LinePin:
        line = await get_line(asked.connection, live_id, message_id)
        return LinePin(asked.by, line, is_pinned)

    await service.moderate(ports, user, live_id, "live.pin", make)
