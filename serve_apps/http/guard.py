"""What happens before a route's own code: who calls, how often, and whether they may.

Runs before the body is read, so that a stranger's bytes are never parsed. `routes.py` calls it for
every route; nothing else does.
"""

from __future__ import annotations

import math

from fastapi import Request

from kit.errors import NotAuthenticated
from serve_apps.access.identity import Identity
from serve_apps.access.permissions import Permission, check_permission
from serve_apps.access.rates import RateTier, admit, list_limits, make_rate_key
from serve_apps.access.tokens import SessionRevoked, TokenInvalid, read_access_token
from serve_apps.http.state import get_address, get_ports, get_rates, get_revocations

BEARER = "bearer "


async def check_access(request: Request, permission: Permission, tier: RateTier) -> None:
    """Admit the call or raise: NotAuthenticated, PermissionDenied, RateLimited."""
    identity = _find_identity(request)
    if get_ports(request).settings.limits.rates_enabled:
        await _check_rate(request, tier, identity)
    if permission is not Permission.PUBLIC and request.state.token_refusal is not None:
        raise request.state.token_refusal
    check_permission(permission, identity)


def _find_identity(request: Request) -> Identity | None:
    """Read the bearer token; one that does not count is kept for whoever asks for the viewer."""
    request.state.identity = None
    request.state.token_refusal = None
    header = request.headers.get("authorization", "")
    if not header:
        return None
    ports = get_ports(request)
    try:
        if not header.lower().startswith(BEARER):
            raise TokenInvalid
        token = header[len(BEARER) :].strip()
        identity = read_access_token(ports.settings.auth, token, ports.clock.now())
        if get_revocations(request).is_revoked(identity.session_id):
            raise SessionRevoked
    except NotAuthenticated as refusal:
        request.state.token_refusal = refusal
        return None
    request.state.identity = identity
    return identity


async def _check_rate(request: Request, tier: RateTier, identity: Identity | None) -> None:
    limits = list_limits(tier, identity)
    key = make_rate_key(tier, identity, get_address(request))
    verdict = await get_rates(request).count(key, limits)
    if verdict is None:
        return
    reset_s = get_ports(request).clock.now().timestamp() + verdict.full_in_s
    request.state.rate_headers = {
        "X-RateLimit-Limit": str(verdict.limit),
        "X-RateLimit-Remaining": str(verdict.remaining),
        "X-RateLimit-Reset": str(math.ceil(reset_s)),
    }
    admit(tier, verdict)
