"""Who calls the upload server: whose token, from which page, how often, how many at a time.

`uploads.py` (tus) and `form_uploads.py` share it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from kit.errors import NotAuthenticated, Unavailable
from kit.settings import Settings
from serve_apps.access.identity import Identity
from serve_apps.access.rates import RateTier, admit, list_limits, make_rate_key
from serve_apps.access.tokens import SessionRevoked, read_access_token
from serve_apps.edge.upload_writer import UploadPorts
from storage.uploads import NewFile

BODIES_MAX = 32
"""At a time on one edge: each holds at most one piece in memory, in a folder half a megabyte."""
PREFLIGHT_MAX_AGE_S = 600


class UploadsBusy(Unavailable):
    """This edge receives as many uploads as it has memory for."""

    code, message = "uploads_busy", "Too many uploads at this moment; try again soon."


class BodyGate:
    """Counts the bodies an edge is receiving."""

    def __init__(self) -> None:
        self._bodies = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Receive a body while there is memory for one more; raises UploadsBusy."""
        if self._bodies >= BODIES_MAX:
            raise UploadsBusy(retry_after_s=2)
        self._bodies += 1
        try:
            yield
        finally:
            self._bodies -= 1


def read_bearer(request: web.Request) -> str | None:
    """Return the token of the Authorization header; None when there is none."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def identify(ports: UploadPorts, token: str | None) -> Identity:
    """Return whose token it is; raises NotAuthenticated, SessionRevoked."""
    if token is None:
        raise NotAuthenticated
    identity = read_access_token(ports.settings.auth, token, ports.clock.now())
    if ports.is_revoked(identity.session_id):
        raise SessionRevoked
    return identity


async def announce(ports: UploadPorts, identity: Identity, file: NewFile) -> uuid.UUID:
    """Write a new file's rows and return its upload; what `UploadRules.open` raises, RateLimited.

    Files count with those that the API announces, parts of files apart from them.
    """
    if ports.settings.limits.rates_enabled:
        tier = RateTier.UPLOAD_PART if file.is_partial else RateTier.UPLOAD
        key = make_rate_key(tier, identity, address="")
        verdict = await ports.rates.count(key, list_limits(tier, identity))
        if verdict is not None:
            admit(tier, verdict)
    async with ports.database.transaction() as connection:
        return await ports.rules.open(connection, ports.settings, identity, file)


def allow_origin(
    settings: Settings,
    request: web.Request,
    response: web.StreamResponse,
    words: Mapping[str, str],
) -> None:
    """Let the page's own script read the answer; no cookies are involved.

    `words` are the headers that say what it may ask and read.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    response.headers[hdrs.VARY] = hdrs.ORIGIN
    if origin is None or not _is_allowed(settings, origin):
        return
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    for name, value in words.items():
        if name == hdrs.ACCESS_CONTROL_EXPOSE_HEADERS or request.method == hdrs.METH_OPTIONS:
            response.headers[name] = value


def _is_allowed(settings: Settings, origin: str) -> bool:
    public = urlsplit(settings.http.public_url)
    if origin == f"{public.scheme}://{public.netloc}":
        return True
    is_local = urlsplit(origin).hostname in ("localhost", "127.0.0.1", "::1")
    return is_local and settings.environment == "development"
