"""What the accounts API takes and gives."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from kit.clock import format_time
from serve_apps.accounts.service import OpenedSession
from storage.sessions import SessionRow
from storage.users import UserRow

USERNAME_FORM = re.compile(r"[a-z0-9_]{3,30}")
EMAIL_FORM = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
EMAIL_CHARS_MAX = 254
PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX = 10, 200
EXAMPLE_USER: dict[str, JsonValue] = {
    "id": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11",
    "username": "ada",
    "display_name": "Ada",
    "email": "ada@example.org",
    "bio": "Engines and poetry.",
    "role": "user",
    "plan": "free",
    "created_at": "2026-01-01T12:00:00.000Z",
    "presence_audience": "everyone",
}


def _fold(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _strip(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _check_username(name: str) -> str:
    if not USERNAME_FORM.fullmatch(name):
        raise ValueError("3 to 30 characters: letters a to z, digits and underscores")
    return name


def _check_email(address: str) -> str:
    if len(address) > EMAIL_CHARS_MAX or not EMAIL_FORM.fullmatch(address):
        raise ValueError("an e-mail address like name@example.org")
    return address


def _check_password(password: str) -> str:
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise ValueError(f"{PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")
    return password


Username = Annotated[str, BeforeValidator(_fold), AfterValidator(_check_username)]
Email = Annotated[str, BeforeValidator(_fold), AfterValidator(_check_email)]
Password = Annotated[str, AfterValidator(_check_password)]
DisplayName = Annotated[str, BeforeValidator(_strip), Field(max_length=60)]
Bio = Annotated[str, BeforeValidator(_strip), Field(max_length=500)]


PresenceAudience = Literal["everyone", "followers", "nobody"]
"""Who may see whether a person is there."""


class RegisterRequest(BaseModel):
    """A new account; the username is stored in lower case."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "username": "ada",
                    "email": "ada@example.org",
                    "password": "correct horse battery",
                    "display_name": "Ada",
                }
            ]
        },
    )

    username: Username
    email: Email
    password: Password
    display_name: DisplayName = ""


class LoginRequest(BaseModel):
    """`login` is the username or the e-mail address."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"login": "ada", "password": "correct horse battery"}]},
    )

    login: Annotated[
        str,
        BeforeValidator(_fold),
        Field(min_length=1, max_length=EMAIL_CHARS_MAX),
    ]
    password: Annotated[str, Field(min_length=1, max_length=PASSWORD_CHARS_MAX)]


class RefreshRequest(BaseModel):
    """The refresh token that came with the access token; it counts once."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"refresh_token": "sfr_4Yx…"}]}
    )

    refresh_token: Annotated[str, Field(min_length=1, max_length=200)]


class LogoutRequest(BaseModel):
    """The refresh token, for those whose access token has expired."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"refresh_token": "sfr_4Yx…"}]}
    )

    refresh_token: Annotated[str, Field(max_length=200)] | None = None


class AccountChangeRequest(BaseModel):
    """Changes what is given and leaves the rest."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"display_name": "Ada L.", "bio": "Engines and poetry."}]},
    )

    display_name: DisplayName | None = None
    bio: Bio | None = None
    presence_audience: PresenceAudience | None = None


class PasswordChangeRequest(BaseModel):
    """The present password and the one to take its place; every other session ends."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "current_password": "correct horse battery",
                    "new_password": "staple that horse again",
                }
            ]
        },
    )

    current_password: Annotated[str, Field(min_length=1, max_length=PASSWORD_CHARS_MAX)]
    new_password: Password


class AccountBody(BaseModel):
    """One's own account."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_USER]})

    id: uuid.UUID
    username: str
    display_name: str
    email: str
    bio: str
    role: str
    plan: str
    created_at: str
    presence_audience: PresenceAudience


class TokensBody(BaseModel):
    """An open session: send `access_token` as bearer for `expires_in` seconds, then refresh."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user": EXAMPLE_USER,
                    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9…",
                    "refresh_token": "sfr_4Yx…",
                    "token_type": "bearer",
                    "expires_in": 900,
                }
            ]
        }
    )

    user: AccountBody
    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


class SessionBody(BaseModel):
    """One login on one device."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01980f63-7777-7d3e-9f10-2b6f0c9a4d19",
                    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Firefox/145.0",
                    "created_at": "2026-01-01T12:00:00.000Z",
                    "last_used_at": "2026-01-03T08:15:00.000Z",
                    "is_current": True,
                }
            ]
        }
    )

    id: uuid.UUID
    user_agent: str
    created_at: str
    last_used_at: str
    is_current: bool


class SessionList(BaseModel):
    """All living sessions; they fit one page."""

    items: list[SessionBody]
    next_cursor: str | None = None


def describe_account(user: UserRow) -> AccountBody:
    """Write an account as its owner's answer."""
    return AccountBody(
        id=user.id,
        username=user.username,
        display_name=user.display_name,
        email=user.email,
        bio=user.bio,
        role=user.role,
        plan=user.plan,
        created_at=format_time(user.created_at),
        presence_audience=user.presence_audience,
    )


def describe_tokens(opened: OpenedSession, expires_in_s: int) -> TokensBody:
    """Write an opened session as its answer."""
    return TokensBody(
        user=describe_account(opened.user),
        access_token=opened.access_token,
        refresh_token=opened.refresh_token,
        token_type="bearer",  # noqa: S106 - the scheme's name, RFC 6750
        expires_in=expires_in_s,
    )


def describe_session(session: SessionRow, current_id: uuid.UUID) -> SessionBody:
    """Write a session as its owner's answer."""
    return SessionBody(
        id=session.id,
        user_agent=session.user_agent,
        created_at=format_time(session.created_at),
        last_used_at=format_time(session.last_used_at),
        is_current=session.id == current_id,
    )
