"""Keys of protected videos, to whoever may watch at this moment: W3C ClearKey licences.

`playback.py` routes to it after it has decided, as for every segment, who may. A licence request
and its answer are JSON (W3C Encrypted Media Extensions §9.1.3 and §9.1.4). Keys follow from the
settings' secret; nothing of them is kept or logged.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import hdrs, web

from kit.errors import AppError, NotFound
from kit.settings import Settings
from media.vod.protection import derive_key
from serve_apps.access.callers import find_caller
from serve_apps.access.rates import RateTier, admit, list_limits, make_rate_key
from serve_apps.edge.video_catalog import CatalogEntry
from storage.rates import RateBook

BODY_BYTES_MAX = 4096
BODY_TIMEOUT_S = 10.0
KIDS_MAX = 16


class LicenceRequestMalformed(AppError):
    """The body is not what the ClearKey system sends."""

    code, status = "licence_request_malformed", 422
    message = 'Send {"kids": […], "type": "temporary"}: up to 16 key ids, base64url.'


class ContentKeyNotFound(NotFound):
    """The video is not protected, or not with such a key."""

    code, message = "content_key_not_found", "This video has no such key."


class _LicenceRequest(msgspec.Struct):
    """What a player asks for; other fields are left alone."""

    kids: list[str]
    type: str = "temporary"


async def count_request(request: web.Request, settings: Settings, rates: RateBook) -> None:
    """Count a request against its caller's allowance; raises RateLimited."""
    if not settings.limits.rates_enabled:
        return
    forwarded = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, ()))
    caller = find_caller(request.remote or "", forwarded, settings.http.trusted_proxies)
    key = make_rate_key(RateTier.KEY, None, caller)
    verdict = await rates.count(key, list_limits(RateTier.KEY, None))
    if verdict is not None:
        admit(RateTier.KEY, verdict)


async def read_wanted(request: web.Request) -> list[bytes]:
    """Return the ids of the keys asked for; raises LicenceRequestMalformed."""
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise LicenceRequestMalformed
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.read()
        wanted = msgspec.json.decode(body, type=_LicenceRequest)
        ids = [_decode(kid) for kid in wanted.kids]
    except (TimeoutError, ValueError, msgspec.MsgspecError) as error:
        raise LicenceRequestMalformed from error
    if not 0 < len(ids) <= KIDS_MAX or wanted.type != "temporary":
        raise LicenceRequestMalformed
    return ids


def build_licence(settings: Settings, entry: CatalogEntry, wanted: Sequence[bytes]) -> web.Response:
    """Answer with those keys that are of this video; raises ContentKeyNotFound, ContentKeyUnknown.

    Replaced versions play on for those who began with them: so do their keys.
    """
    published = (entry.publication, *entry.earlier)
    found = [each.key_id for each in published if each.key_id]
    keys: list[dict[str, Any]] = []
    for key_id in found:
        if bytes.fromhex(key_id) in wanted:
            key = derive_key(settings.auth.content_key, key_id)
            keys.append({"kty": "oct", "kid": _encode(key.id), "k": _encode(key.key)})
    if not keys:
        raise ContentKeyNotFound
    response = web.json_response({"keys": keys, "type": "temporary"})
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
