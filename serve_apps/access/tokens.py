"""Access tokens: short-lived HS256 JWTs that name a person and their session.

The API issues them at login and refresh; the API and the edge read them. They hold no secret and
are not looked up: a revoked session is found in `revocations.py`.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import jwt

from kit.errors import NotAuthenticated
from kit.setting_sections import AuthSettings
from serve_apps.access.identity import Identity, Role

ALGORITHM = "HS256"
ACCESS_TYPE = "access"
TOKEN_CHARS_MAX = 2048
CLOCK_SKEW_S = 5


class TokenExpired(NotAuthenticated):
    """The access token was good once; refresh it."""

    code, message = "token_expired", "The access token has expired; refresh it."


class TokenInvalid(NotAuthenticated):
    """Not an access token of this site."""

    code, message = "token_invalid", "The access token is not valid."


class SessionRevoked(NotAuthenticated):
    """The token's session was ended by logout, by its owner, or after a stolen refresh token."""

    code, message = "session_revoked", "This session has ended; log in again."


def issue_access_token(auth: AuthSettings, user: Identity, now: datetime) -> str:
    """Sign a token that lives `auth.access_ttl_s` seconds."""
    assert auth.token_key, "auth.token_key is made at first start"
    claims = {
        "typ": ACCESS_TYPE,
        "sub": str(user.user_id),
        "sid": str(user.session_id),
        "name": user.username,
        "role": str(user.role),
        "plan": user.plan,
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(seconds=auth.access_ttl_s)).timestamp()),
    }
    return jwt.encode(claims, auth.token_key, algorithm=ALGORITHM, headers={"typ": "at+jwt"})


def read_access_token(auth: AuthSettings, token: str, now: datetime) -> Identity:
    """Return whom the token names; raises TokenExpired or TokenInvalid."""
    assert auth.token_key, "auth.token_key is made at first start"
    if len(token) > TOKEN_CHARS_MAX:
        raise TokenInvalid
    try:
        claims = jwt.decode(
            token,
            auth.token_key,
            algorithms=[ALGORITHM],
            options={
                "require": ["exp", "iat", "sub", "sid", "typ"],
                "verify_exp": False,
                "verify_iat": False,
            },
        )
        expires_s = int(claims["exp"])
        identity = Identity(
            user_id=uuid.UUID(claims["sub"]),
            session_id=uuid.UUID(claims["sid"]),
            username=str(claims["name"]),
            role=Role(claims["role"]),
            plan=str(claims["plan"]),
        )
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise TokenInvalid from error
    if claims["typ"] != ACCESS_TYPE:
        raise TokenInvalid
    if now.timestamp() > expires_s + CLOCK_SKEW_S:
        raise TokenExpired
    return identity
