"""Bodies of requests that are read whole: of a bounded length, within a bounded time.

Whoever sends one knows it already; a caller that does not finish must not keep a connection.
"""

from __future__ import annotations

import asyncio

from aiohttp import ClientError, web
from aiohttp.web_protocol import RequestPayloadError

from kit.errors import AppError

BODY_TIMEOUT_S = 10.0


class BodyLate(AppError):
    """It did not arrive in time, or broke off."""

    code, status, message = "body_late", 408, "The body did not arrive whole in time."
    retryable = True


class BodyMalformed(AppError):
    """Its bytes are not what its header fields say, such as compressed."""

    code, status, message = "body_malformed", 400, "The body is not encoded as its header says."


async def read_bounded(request: web.Request, bytes_max: int) -> bytes | None:
    """Return the body, None when it is longer than `bytes_max`.

    Raises BodyLate, BodyMalformed.
    """
    if (request.content_length or 0) > bytes_max:
        return None
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > bytes_max:
                    return None
    except (TimeoutError, ClientError, ConnectionError) as error:
        raise BodyLate from error
    except RequestPayloadError as error:
        raise BodyMalformed from error
    return bytes(body)
