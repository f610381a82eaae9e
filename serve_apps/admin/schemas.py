"""What administration takes and gives."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from actors.hosting.messages import ObjectFacts
from kit.clock import format_time
from serve_apps.access.identity import Role
from serve_apps.admin.hosts import HostReport
from storage.audit import AuditEntry
from storage.survey import RoomSurvey
from storage.users import Standing

REASON_CHARS_MAX = 500
EXAMPLE_PERSON: dict[str, JsonValue] = {
    "id": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11",
    "username": "mallory",
    "display_name": "Mallory",
    "email": "mallory@example.org",
    "role": "user",
    "created_at": "2026-01-01T12:00:00.000Z",
    "banned_at": "2026-01-02T08:30:00.000Z",
    "ban_reason": "Sells fake tickets.",
}
EXAMPLE_UNBANNED: dict[str, JsonValue] = {**EXAMPLE_PERSON, "banned_at": None, "ban_reason": ""}


def _strip(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


class BanRequest(BaseModel):
    """Why; the person reads it when they try to log in."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "Sells fake tickets."}]}
    )

    reason: Annotated[
        str, BeforeValidator(_strip), Field(min_length=1, max_length=REASON_CHARS_MAX)
    ]


class RoleRequest(BaseModel):
    """The role to give."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"role": "moderator"}]}
    )

    role: Role


class StandingBody(BaseModel):
    """A person as administrators see them."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_PERSON]})

    id: uuid.UUID
    username: str
    display_name: str
    email: str
    role: str
    created_at: str
    banned_at: str | None
    ban_reason: str


class AuditBody(BaseModel):
    """One privileged act; `actor` is null for the command line and for people deleted since."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d12",
                    "at": "2026-01-02T08:30:00.000Z",
                    "actor": "ada",
                    "action": "user.ban",
                    "subject": "user:mallory",
                    "details": {"reason": "Sells fake tickets."},
                }
            ]
        }
    )

    id: uuid.UUID
    at: str
    actor: str | None
    action: str
    subject: str
    details: dict[str, Any]


class HostBody(BaseModel):
    """A host of live objects; `lease_left_s` below 0 means that it has not renewed in time.

    One that is `fenced` has ended, or it rests: it was drained and can be brought back.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "host-0",
                    "node": "stage-1",
                    "incarnation": 7,
                    "state": "live",
                    "is_resting": False,
                    "lease_left_s": 4.2,
                    "started_at": "2026-01-02T08:30:00.000Z",
                    "objects": {"room": 12},
                }
            ]
        }
    )

    id: str
    node: str
    incarnation: int
    state: str
    is_resting: bool
    lease_left_s: float
    started_at: str
    objects: dict[str, int]


class HostList(BaseModel):
    """All hosts; they fit one page."""

    items: list[HostBody]
    next_cursor: str | None = None


class MoveRequest(BaseModel):
    """The host to move to, by its name."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"host": "host-1"}]})

    host: Annotated[str, Field(min_length=1, max_length=100)]


class RoomBody(BaseModel):
    """A room and the host it is placed on; `viewers` is null while nobody knows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d13",
                    "title": "Soldering at night",
                    "owner": "ada",
                    "status": "live",
                    "host": "host-0",
                    "incarnation": 7,
                    "is_owned": True,
                    "placed_at": "2026-01-02T08:30:00.000Z",
                    "epoch": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d14",
                    "head": 4211,
                    "viewers": 37,
                    "viewers_peak": 52,
                    "messages_per_minute": 18,
                }
            ]
        }
    )

    id: uuid.UUID
    title: str
    owner: str
    status: str
    host: str
    incarnation: int
    is_owned: bool
    placed_at: str
    epoch: uuid.UUID
    head: int
    viewers: int | None
    viewers_peak: int
    messages_per_minute: int


class RunningBody(BaseModel):
    """A room as its host runs it: edges that follow it, commands that wait, entries per minute."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d13",
                    "epoch": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d14",
                    "head": 4211,
                    "followers": 2,
                    "mailbox": 0,
                    "entries_per_minute": 18.5,
                    "viewers": 37,
                }
            ]
        }
    )

    id: uuid.UUID
    epoch: str
    head: int
    followers: int
    mailbox: int
    entries_per_minute: float
    viewers: int


def describe_running(facts: ObjectFacts) -> RunningBody:
    """Write what a host says of a room as an answer."""
    return RunningBody(
        id=facts.id,
        epoch=facts.epoch,
        head=facts.head,
        followers=facts.followers,
        mailbox=facts.mailbox,
        entries_per_minute=round(facts.entries_per_min, 1),
        viewers=int(facts.shown.get("viewer_count", {}).get("viewers", 0)),
    )


def describe_host(report: HostReport) -> HostBody:
    """Write a host as an answer."""
    host = report.host
    return HostBody(
        id=host.id,
        node=host.node,
        incarnation=host.incarnation,
        state=host.state,
        is_resting=report.is_resting,
        lease_left_s=round(host.lease_left_s, 1),
        started_at=format_time(host.started_at),
        objects=host.objects,
    )


def describe_room(room: RoomSurvey, viewers: int | None) -> RoomBody:
    """Write a room as an answer."""
    return RoomBody(
        id=room.id,
        title=room.title,
        owner=room.owner,
        status=room.status,
        host=room.host_id,
        incarnation=room.incarnation,
        is_owned=room.is_owned,
        placed_at=format_time(room.placed_at),
        epoch=room.epoch,
        head=room.head,
        viewers=viewers,
        viewers_peak=room.viewers_peak,
        messages_per_minute=room.messages_per_minute,
    )


def describe_standing(person: Standing) -> StandingBody:
    """Write a person as an answer."""
    return StandingBody(
        id=person.id,
        username=person.username,
        display_name=person.display_name,
        email=person.email,
        role=person.role,
        created_at=format_time(person.created_at),
        banned_at=None if person.banned_at is None else format_time(person.banned_at),
        ban_reason=person.ban_reason,
    )


def describe_act(entry: AuditEntry) -> AuditBody:
    """Write an act as an answer."""
    return AuditBody(
        id=entry.id,
        at=format_time(entry.at),
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        details=entry.details,
    )
