"""What administration takes and gives."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from kit.clock import format_time
from serve_apps.access.identity import Role
from storage.audit import AuditEntry
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
