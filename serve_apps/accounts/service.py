"""Rules of accounts: who may register, how sessions open, rotate and end.

Functions take the transaction's connection and the time; they never commit. Two of them report a
refusal as a value rather than raising, because what they wrote must be committed all the same.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from kit.errors import Conflict, NotAuthenticated, NotFound, PermissionDenied
from kit.events import EventName
from kit.ids import make_id, make_token
from kit.setting_sections import AuthSettings
from serve_apps.access.identity import Identity, Role
from serve_apps.access.sessions import end_session, end_sessions
from serve_apps.access.tokens import issue_access_token
from storage import sessions, users
from storage.database import Connection
from storage.events import append_event
from storage.sessions import SessionRow
from storage.users import UserRow

REFRESH_PREFIX = "sfr_"
REFRESH_CHARS_MAX = 200

REPEAT_GRACE_S = 30
"""How long an answer to a refresh may have been lost; a later return of the token is theft."""


class UsernameTaken(Conflict):
    """Somebody has the name."""

    code, message = "username_taken", "This username is taken."


class EmailTaken(Conflict):
    """An account has the address."""

    code, message = "email_taken", "There is an account with this e-mail address."


class LoginRefused(NotAuthenticated):
    """Unknown name or wrong password; which one is not said."""

    code, message = "login_refused", "The name or the password is wrong."


class AccountBanned(PermissionDenied):
    """The password fits, but the site's administrators closed the account."""

    code, message = "account_banned", "This account was banned."


class PasswordWrong(PermissionDenied):
    """The present password, asked for before it is changed, does not fit."""

    code, message = "password_wrong", "The present password is wrong."


class RefreshTokenInvalid(NotAuthenticated):
    """Not a refresh token of a living session."""

    code, message = "refresh_token_invalid", "This refresh token does not count; log in again."


class RefreshTokenReused(NotAuthenticated):
    """A spent refresh token came back: someone else may hold it, so its session was ended."""

    code = "refresh_token_reused"
    message = "This refresh token was used before; its session has been ended. Log in again."


class SessionNotFound(NotFound):
    """No living session of this person has the id."""

    code, message = "session_not_found", "There is no such session."


class AccountGone(NotAuthenticated):
    """The token's account was deleted."""

    code, message = "account_gone", "This account does not exist any more."


@dataclass(frozen=True)
class Registration:
    """A checked wish to register; the password is hashed already, the names are lower-case."""

    username: str
    email: str
    display_name: str
    password_hash: str


@dataclass(frozen=True)
class OpenedSession:
    """What a login or refresh hands out; the refresh token is known to nobody else."""

    user: UserRow
    access_token: str
    refresh_token: str


@dataclass(frozen=True)
class RefreshOutcome:
    """Either the rotated session, or why not; `revoked` names a session ended by reuse."""

    opened: OpenedSession | None
    refusal: NotAuthenticated | None = None
    revoked: uuid.UUID | None = None


async def register(connection: Connection, wish: Registration, now: datetime) -> UserRow:
    """Create the account; raises UsernameTaken or EmailTaken."""
    user = UserRow(
        id=make_id(),
        username=wish.username,
        email=wish.email,
        display_name=wish.display_name or wish.username,
        bio="",
        role=Role.USER,
        plan="free",
        created_at=now,
    )
    if not await users.insert_user(connection, user, wish.password_hash):
        await check_names_free(connection, username=wish.username, email=wish.email)
        raise UsernameTaken
    await append_event(
        connection, EventName.USER_CREATED, subject_id=user.id, data={"username": user.username}
    )
    return user


async def check_names_free(connection: Connection, *, username: str, email: str) -> None:
    """Refuse a taken username or address: UsernameTaken, EmailTaken."""
    taken = await users.list_taken(connection, username=username, email=email)
    if "username" in taken:
        raise UsernameTaken
    if "email" in taken:
        raise EmailTaken


async def open_session(
    connection: Connection, auth: AuthSettings, user: UserRow, user_agent: str, now: datetime
) -> OpenedSession:
    """Start a session with its first tokens."""
    session = SessionRow(
        id=make_id(),
        user_id=user.id,
        user_agent=user_agent,
        created_at=now,
        last_used_at=now,
        expires_at=now + timedelta(seconds=auth.refresh_ttl_s),
        revoked_at=None,
    )
    await sessions.forget_ended_sessions(connection, user.id, now)
    await sessions.add_session(connection, session)
    return await _hand_out_tokens(connection, auth, user, session.id, now)


async def refresh_session(
    connection: Connection, auth: AuthSettings, token: str, now: datetime
) -> RefreshOutcome:
    """Spend a refresh token for fresh tokens; a spent one ends its session. Commit either way.

    A page that was left while its refresh was answered comes back with the spent token: for
    REPEAT_GRACE_S, and only while no later token of the session was used, that is no theft.
    """
    token_hash = hash_refresh_token(token)
    known = await sessions.find_refresh_token(connection, token_hash)
    if known is None:
        return RefreshOutcome(None, RefreshTokenInvalid())
    session = await sessions.find_session(connection, known.session_id)
    if session is None or session.revoked_at is not None or session.expires_at <= now:
        return RefreshOutcome(None, RefreshTokenInvalid())
    is_repeat = (
        known.used_at is not None
        and now - known.used_at <= timedelta(seconds=REPEAT_GRACE_S)
        and not await sessions.has_spent_after(connection, session.id, known.used_at)
    )
    if known.used_at is not None and not is_repeat:
        await end_session(connection, session.id, why="refresh_token_reused")
        return RefreshOutcome(None, RefreshTokenReused(), revoked=session.id)
    user = await users.find_user(connection, session.user_id)
    if user is None:
        return RefreshOutcome(None, AccountGone())
    if not is_repeat:
        await sessions.spend_refresh_token(connection, token_hash, now)
    expires_at = now + timedelta(seconds=auth.refresh_ttl_s)
    await sessions.touch_session(connection, session.id, used_at=now, expires_at=expires_at)
    return RefreshOutcome(await _hand_out_tokens(connection, auth, user, session.id, now))


async def end_own_session(connection: Connection, user: Identity, session_id: uuid.UUID) -> None:
    """End one of the caller's sessions; raises SessionNotFound for anybody else's."""
    session = await sessions.find_session(connection, session_id)
    if session is None or session.user_id != user.user_id or session.revoked_at is not None:
        raise SessionNotFound
    await end_session(connection, session.id, why="logout")


async def find_session_id(connection: Connection, refresh_token: str) -> uuid.UUID | None:
    """Return the session that a refresh token was given out for, fresh or spent."""
    known = await sessions.find_refresh_token(connection, hash_refresh_token(refresh_token))
    return None if known is None else known.session_id


async def get_account(connection: Connection, user: Identity) -> UserRow:
    """Return the caller's account; raises AccountGone."""
    account = await users.find_user(connection, user.user_id)
    if account is None:
        raise AccountGone
    return account


async def change_password(
    connection: Connection, user: Identity, *, expected: str, replacement: str
) -> list[uuid.UUID]:
    """Replace the password's hash and end every other session; return those that ended.

    Raises PasswordWrong when the password was changed meanwhile.
    """
    is_changed = await users.replace_password_hash(
        connection, user.user_id, expected=expected, replacement=replacement
    )
    if not is_changed:
        raise PasswordWrong
    await append_event(
        connection, EventName.USER_UPDATED, subject_id=user.user_id, actor_id=user.user_id
    )
    return await end_sessions(
        connection, user.user_id, why="password_changed", keep=user.session_id
    )


async def change_account(
    connection: Connection,
    user: Identity,
    *,
    display_name: str | None,
    bio: str | None,
    presence_audience: str | None = None,
) -> UserRow:
    """Change the caller's public words and who sees their presence; raises AccountGone."""
    account = await users.change_profile(
        connection,
        user.user_id,
        display_name=display_name,
        bio=bio,
        presence_audience=presence_audience,
    )
    if account is None:
        raise AccountGone
    await append_event(
        connection, EventName.USER_UPDATED, subject_id=account.id, actor_id=account.id
    )
    return account


def hash_refresh_token(token: str) -> bytes:
    """Return what is stored of a refresh token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


async def _hand_out_tokens(
    connection: Connection,
    auth: AuthSettings,
    user: UserRow,
    session_id: uuid.UUID,
    now: datetime,
) -> OpenedSession:
    refresh_token = make_token(REFRESH_PREFIX)
    await sessions.add_refresh_token(connection, hash_refresh_token(refresh_token), session_id, now)
    identity = Identity(user.id, session_id, user.username, Role(user.role), user.plan)
    return OpenedSession(user, issue_access_token(auth, identity, now), refresh_token)
