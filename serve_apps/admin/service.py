"""Rules of administration: who may be banned or given a role, and what is put on record.

Functions take the transaction's connection and the time; they never commit. Every act writes its
audit entry in the same transaction.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from kit.cursors import Page, cut_page, make_moment_key, read_id_cursor, read_moment_cursor
from kit.errors import Conflict, NotFound, PermissionDenied
from kit.events import EventName
from kit.ids import make_id
from serve_apps.access.identity import Identity, Role
from serve_apps.access.permissions import RANKS
from serve_apps.access.sessions import end_sessions
from storage import audit, survey, users
from storage.audit import AuditDraft, AuditEntry
from storage.database import Connection
from storage.events import append_event
from storage.survey import RoomSurvey
from storage.users import Standing


class PersonNotFound(NotFound):
    """Nobody has this name."""

    code, message = "user_not_found", "There is nobody with this name."


class CannotActOnYourself(Conflict):
    """Nobody bans themselves or changes their own role."""

    code, message = "cannot_act_on_yourself", "Somebody else must do this to your account."


class OutOfReach(PermissionDenied):
    """The other person's role is not below the caller's."""

    code, message = "out_of_reach", "You may act only on people whose role is below yours."


class LastAdmin(Conflict):
    """The site would be left without anybody who administers it."""

    code, message = "last_admin", "This is the last administrator; name another one first."


@dataclass(frozen=True)
class Outcome:
    """The person as they stand now, and the sessions that this ended."""

    person: Standing
    ended: list[uuid.UUID]


async def ban(
    connection: Connection, caller: Identity, username: str, reason: str, now: datetime
) -> Outcome:
    """Ban somebody and end their sessions; again changes the reason alone."""
    person = await _get_within_reach(connection, caller, username)
    await users.ban_user(connection, person.id, reason=reason, now=now)
    if person.banned_at is None:
        await append_event(
            connection,
            EventName.USER_BANNED,
            subject_id=person.id,
            actor_id=caller.user_id,
            data={"reason": reason},
        )
    ended = await end_sessions(connection, person.id, why="banned")
    await _record(connection, caller.user_id, "user.ban", person.username, now, reason=reason)
    return Outcome(await get_person(connection, username), ended)


async def lift_ban(
    connection: Connection, caller: Identity, username: str, now: datetime
) -> Standing:
    """Let somebody log in again; somebody who is not banned stays as they are."""
    person = await _get_within_reach(connection, caller, username)
    if person.banned_at is None:
        return person
    await users.lift_ban(connection, person.id, now)
    await append_event(
        connection, EventName.USER_UNBANNED, subject_id=person.id, actor_id=caller.user_id
    )
    await _record(connection, caller.user_id, "user.unban", person.username, now)
    return await get_person(connection, username)


async def change_role(
    connection: Connection, caller: Identity | None, username: str, role: Role, now: datetime
) -> Outcome:
    """Give somebody a role; their sessions end, since tokens carry the old one.

    `caller` None is the command line, which may also name the first administrator.
    """
    person = await get_person(connection, username)
    if caller is not None and person.id == caller.user_id:
        raise CannotActOnYourself
    if person.role == role:
        return Outcome(person, [])
    if person.role == Role.ADMIN and await users.count_admins(connection) <= 1:
        raise LastAdmin
    await users.change_role(connection, person.id, role, now)
    ended = await end_sessions(connection, person.id, why="role_changed")
    actor_id = None if caller is None else caller.user_id
    await append_event(connection, EventName.USER_UPDATED, subject_id=person.id, actor_id=actor_id)
    await _record(
        connection, actor_id, "user.role", person.username, now, before=person.role, after=str(role)
    )
    return Outcome(await get_person(connection, username), ended)


async def get_person(connection: Connection, username: str) -> Standing:
    """Return somebody as administrators see them; raises PersonNotFound."""
    person = await users.find_standing(connection, username.lower())
    if person is None:
        raise PersonNotFound
    return person


async def list_people(
    connection: Connection, *, prefix: str, cursor: str | None, limit: int
) -> Page[Standing]:
    """List people whose name begins with `prefix`, the newest accounts first."""
    rows = await users.list_standings(
        connection, prefix=prefix.lower(), before=read_id_cursor(cursor), limit=limit + 1
    )
    return cut_page(rows, limit, lambda row: (str(row.id),))


async def list_acts(connection: Connection, *, cursor: str | None, limit: int) -> Page[AuditEntry]:
    """List privileged acts, the newest first."""
    before = read_moment_cursor(cursor)
    rows = await audit.list_audit(connection, before=before, limit=limit + 1)
    return cut_page(rows, limit, lambda row: make_moment_key(row.at, row.id))


async def list_rooms(
    connection: Connection, *, host_id: str | None, cursor: str | None, limit: int
) -> Page[RoomSurvey]:
    """List placed rooms, the newest first; of one host when `host_id` is given."""
    rows = await survey.list_placed_rooms(
        connection, host_id=host_id, before=read_id_cursor(cursor), limit=limit + 1
    )
    return cut_page(rows, limit, lambda room: (str(room.id),))


async def _get_within_reach(connection: Connection, caller: Identity, username: str) -> Standing:
    """Return somebody below the caller; raises CannotActOnYourself, OutOfReach."""
    person = await get_person(connection, username)
    if person.id == caller.user_id:
        raise CannotActOnYourself
    if RANKS[Role(person.role)] >= RANKS[caller.role]:
        raise OutOfReach
    return person


async def _record(
    connection: Connection,
    actor_id: uuid.UUID | None,
    action: str,
    username: str,
    now: datetime,
    **details: str,
) -> None:
    draft = AuditDraft(make_id(), actor_id, action, f"user:{username}", dict(details))
    await audit.append_audit(connection, draft, now)
