"""How often a caller may ask: the tiers that routes name, as numbers.

`list_limits` says which limits count for whom, `storage/rates.py` counts, `admit` refuses. Every
route names a tier; a person's plan decides how far STANDARD reaches. What strangers may ask for is
PUBLIC and counts apart from it: nobody may look at less for having logged in.
"""

from __future__ import annotations

import enum
import math

from kit.errors import RateLimited
from kit.metrics import RATE_REFUSALS
from serve_apps.access.identity import Identity
from storage.rates import RateLimit, RateVerdict

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400


class RateTier(enum.StrEnum):
    """Which allowance a route draws from; callers have one allowance per tier."""

    NONE = "none"
    PUBLIC = "public"
    STANDARD = "standard"
    AUTH = "auth"
    UPLOAD = "upload"
    UPLOAD_PART = "upload_part"
    """One of the parts that make up a file (tus concatenation)."""
    INGEST = "ingest"
    WATCH = "watch"
    """What a player says of itself while it plays."""
    KEY = "key"
    """Keys of protected videos; many may watch from behind one address."""


PLAN_LIMITS = {
    "free": (RateLimit(60, MINUTE_S), RateLimit(1_000, HOUR_S), RateLimit(10_000, DAY_S)),
    "basic": (RateLimit(120, MINUTE_S), RateLimit(5_000, HOUR_S), RateLimit(100_000, DAY_S)),
    "pro": (RateLimit(300, MINUTE_S), RateLimit(20_000, HOUR_S), RateLimit(500_000, DAY_S)),
    "enterprise": (),
}
ANONYMOUS_LIMITS = (RateLimit(300, MINUTE_S),)
TIER_LIMITS = {
    RateTier.NONE: (),
    RateTier.PUBLIC: ANONYMOUS_LIMITS,
    RateTier.AUTH: (RateLimit(60, MINUTE_S), RateLimit(600, HOUR_S)),
    RateTier.UPLOAD: (RateLimit(30, MINUTE_S), RateLimit(300, HOUR_S)),
    RateTier.UPLOAD_PART: (RateLimit(300, MINUTE_S), RateLimit(3_000, HOUR_S)),
    RateTier.INGEST: (RateLimit(120, MINUTE_S),),
    RateTier.WATCH: (RateLimit(120, MINUTE_S),),
    RateTier.KEY: (RateLimit(600, MINUTE_S),),
}
LOGIN_PAIR_LIMITS = (RateLimit(10, 5 * MINUTE_S),)
LOGIN_ACCOUNT_LIMITS = (RateLimit(100, HOUR_S),)


def list_limits(tier: RateTier, identity: Identity | None) -> tuple[RateLimit, ...]:
    """Return every limit that a call of this tier by this caller counts against."""
    plan_limits = (
        ANONYMOUS_LIMITS
        if identity is None
        else PLAN_LIMITS.get(identity.plan, PLAN_LIMITS["free"])
    )
    if tier is RateTier.STANDARD:
        return plan_limits
    if tier is RateTier.PUBLIC and not plan_limits:
        return ()
    return TIER_LIMITS[tier]


def make_rate_key(tier: RateTier, identity: Identity | None, address: str) -> str:
    """Name the allowance: the person's when known, except for AUTH, which counts addresses."""
    if identity is not None and tier is not RateTier.AUTH:
        return f"{tier}:user:{identity.user_id}"
    return f"{tier}:address:{address}"


def admit(tier: RateTier, verdict: RateVerdict) -> None:
    """Let a call within its limits through; count another one and raise RateLimited."""
    if not verdict.admitted:
        RATE_REFUSALS.labels(str(tier)).inc()
        raise RateLimited(retry_after_s=max(1, math.ceil(verdict.retry_after_s)))
