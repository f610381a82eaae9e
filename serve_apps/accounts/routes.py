"""Routes of accounts: register, log in, refresh, log out; sessions; one's own account.

Registration, login and refresh open their transactions themselves: a password is never computed
inside one, and a refused refresh still commits the end of a stolen session.
"""

from __future__ import annotations

import uuid
from typing import Annotated, cast

from fastapi import Depends, Request, Response

from kit.errors import NotAuthenticated, RateLimited
from kit.metrics import RATE_REFUSALS
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import LOGIN_ACCOUNT_LIMITS, LOGIN_PAIR_LIMITS, RateTier
from serve_apps.access.sessions import end_session
from serve_apps.accounts import service
from serve_apps.accounts.passwords import Passwords, PasswordsBusy
from serve_apps.accounts.schemas import (
    AccountBody,
    AccountChangeRequest,
    LoginRequest,
    LogoutRequest,
    PasswordChangeRequest,
    RefreshRequest,
    RegisterRequest,
    SessionList,
    TokensBody,
    describe_account,
    describe_session,
    describe_tokens,
)
from serve_apps.http.routes import Routes
from serve_apps.http.state import (
    ApiPorts,
    CurrentUser,
    Ports,
    Rates,
    Revocations,
    Transaction,
    find_identity,
    get_address,
)
from storage.rates import RateBook
from storage.sessions import list_sessions
from storage.users import find_credentials, find_password, find_unbanned, replace_password_hash

routes = Routes("", "accounts")


def get_passwords(request: Request) -> Passwords:
    """Return the process's password threads."""
    return cast(Passwords, request.app.state.passwords)


Hashing = Annotated[Passwords, Depends(get_passwords)]


@routes.post(
    "/auth/register",
    permission=Permission.PUBLIC,
    rate=RateTier.AUTH,
    summary="Create an account and log in.",
    status=201,
    errors=(service.UsernameTaken, service.EmailTaken, PasswordsBusy),
)
async def register(
    body: RegisterRequest, ports: Ports, passwords: Hashing, request: Request
) -> TokensBody:
    """Create an account and open its first session."""
    async with ports.database.connection() as connection:
        await service.check_names_free(connection, username=body.username, email=body.email)
    wish = service.Registration(
        body.username, body.email, body.display_name, await passwords.hash(body.password)
    )
    now, auth = ports.clock.now(), ports.settings.auth
    async with ports.database.transaction() as connection:
        user = await service.register(connection, wish, now)
        opened = await service.open_session(connection, auth, user, _read_agent(request), now)
    return describe_tokens(opened, auth.access_ttl_s)


@routes.post(
    "/auth/login",
    permission=Permission.PUBLIC,
    rate=RateTier.AUTH,
    summary="Log in with a username or an e-mail address.",
    errors=(service.LoginRefused, service.AccountBanned, PasswordsBusy),
)
async def login(
    body: LoginRequest, ports: Ports, passwords: Hashing, rates: Rates, request: Request
) -> TokensBody:
    """Compare the password and open a session."""
    await _check_login_rate(ports, rates, body.login, get_address(request))
    async with ports.database.connection() as connection:
        known = await find_credentials(connection, body.login)
    verdict = await passwords.verify(known.password_hash if known else None, body.password)
    if known is None or not verdict.fits:
        raise service.LoginRefused
    if known.banned_at is not None:
        reason = known.ban_reason
        raise service.AccountBanned(f"This account was banned: {reason}", reason=reason)
    now, auth = ports.clock.now(), ports.settings.auth
    async with ports.database.transaction() as connection:
        user = await find_unbanned(connection, known.user_id)
        if user is None:
            raise service.AccountBanned
        if verdict.replacement is not None:
            await replace_password_hash(
                connection,
                user.id,
                expected=known.password_hash,
                replacement=verdict.replacement,
            )
        opened = await service.open_session(connection, auth, user, _read_agent(request), now)
    await rates.forget(_make_pair_key(body.login, get_address(request)), LOGIN_PAIR_LIMITS)
    return describe_tokens(opened, auth.access_ttl_s)


@routes.post(
    "/auth/refresh",
    permission=Permission.PUBLIC,
    rate=RateTier.AUTH,
    summary="Trade a refresh token for fresh tokens; each counts once.",
    errors=(service.RefreshTokenInvalid, service.RefreshTokenReused),
)
async def refresh(body: RefreshRequest, ports: Ports, revocations: Revocations) -> TokensBody:
    """Rotate; a token that comes back ends its session."""
    auth = ports.settings.auth
    async with ports.database.transaction() as connection:
        outcome = await service.refresh_session(
            connection, auth, body.refresh_token, ports.clock.now()
        )
    if outcome.revoked is not None:
        revocations.note(outcome.revoked)
    if outcome.opened is None:
        raise outcome.refusal or service.RefreshTokenInvalid()
    return describe_tokens(outcome.opened, auth.access_ttl_s)


@routes.post(
    "/auth/logout",
    permission=Permission.PUBLIC,
    rate=RateTier.AUTH,
    summary="End this session; the access token or the refresh token says which.",
    status=204,
    response_class=Response,
    errors=(NotAuthenticated,),
)
async def logout(
    request: Request, ports: Ports, revocations: Revocations, body: LogoutRequest | None = None
) -> None:
    """End the session that either token belongs to; one that has ended stays ended."""
    user = find_identity(request)
    token = body.refresh_token if body else None
    async with ports.database.transaction() as connection:
        session_id = user.session_id if user else None
        if session_id is None and token:
            session_id = await service.find_session_id(connection, token)
        if session_id is None:
            raise NotAuthenticated
        await end_session(connection, session_id, why="logout")
    revocations.note(session_id)


@routes.get(
    "/sessions",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="List where you are logged in.",
)
async def list_own_sessions(
    user: CurrentUser, ports: Ports, connection: Transaction
) -> SessionList:
    """List the caller's living sessions."""
    found = await list_sessions(connection, user.user_id, ports.clock.now())
    return SessionList(items=[describe_session(session, user.session_id) for session in found])


@routes.delete(
    "/sessions/{session_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="End one of your sessions.",
    status=204,
    response_class=Response,
    errors=(service.SessionNotFound,),
)
async def end_own_session(
    session_id: uuid.UUID, user: CurrentUser, ports: Ports, revocations: Revocations
) -> None:
    """End one of the caller's sessions."""
    async with ports.database.transaction() as connection:
        await service.end_own_session(connection, user, session_id)
    revocations.note(session_id)


@routes.get(
    "/me",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Your account.",
    errors=(service.AccountGone,),
)
async def get_me(user: CurrentUser, connection: Transaction) -> AccountBody:
    """Answer the caller's account."""
    return describe_account(await service.get_account(connection, user))


@routes.patch(
    "/me",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Change your display name, your bio, or who sees whether you are there.",
    errors=(service.AccountGone,),
)
async def change_me(
    body: AccountChangeRequest, user: CurrentUser, connection: Transaction
) -> AccountBody:
    """Change the caller's account."""
    changed = await service.change_account(
        connection,
        user,
        display_name=body.display_name,
        bio=body.bio,
        presence_audience=body.presence_audience,
    )
    return describe_account(changed)


@routes.post(
    "/me/password",
    permission=Permission.USER,
    rate=RateTier.AUTH,
    summary="Change your password; every other session of yours ends.",
    status=204,
    response_class=Response,
    errors=(service.PasswordWrong, service.AccountGone, PasswordsBusy),
)
async def change_password(
    body: PasswordChangeRequest,
    user: CurrentUser,
    ports: Ports,
    passwords: Hashing,
    revocations: Revocations,
) -> None:
    """Compare the present password, store the other one, and end what else is logged in."""
    async with ports.database.connection() as connection:
        known = await find_password(connection, user.user_id)
    if known is None:
        raise service.AccountGone
    verdict = await passwords.verify(known.password_hash, body.current_password)
    if not verdict.fits:
        raise service.PasswordWrong
    replacement = await passwords.hash(body.new_password)
    async with ports.database.transaction() as connection:
        ended = await service.change_password(
            connection, user, expected=known.password_hash, replacement=replacement
        )
    for session_id in ended:
        revocations.note(session_id)


async def _check_login_rate(ports: ApiPorts, rates: RateBook, login: str, address: str) -> None:
    """Refuse guessing: few tries per name and address, and a bound per name from anywhere."""
    if not ports.settings.limits.rates_enabled:
        return
    pair = await rates.count(_make_pair_key(login, address), LOGIN_PAIR_LIMITS)
    account = await rates.count(f"login:{login}", LOGIN_ACCOUNT_LIMITS)
    for verdict in (pair, account):
        if verdict is not None and not verdict.admitted:
            RATE_REFUSALS.labels("login").inc()
            raise RateLimited(
                "Too many tries to log in to this account; wait a little.",
                retry_after_s=max(1, round(verdict.retry_after_s)),
            )


def _make_pair_key(login: str, address: str) -> str:
    return f"login:{login}:{address}"


def _read_agent(request: Request) -> str:
    """Return how the caller's program names itself, as text that a row and a page can hold."""
    text = request.headers.get("user-agent", "")
    return "".join(sign if sign.isprintable() else " " for sign in text)
