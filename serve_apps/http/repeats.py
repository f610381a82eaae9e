"""Idempotency-Key: a repeated request gets the first answer and changes nothing twice.

The key's row is written in the request's own transaction, so the change and the memory of it
commit together; a refused request leaves no memory and may be tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response

from kit.errors import Conflict, MalformedRequest
from serve_apps.http.state import RequestTransaction, get_viewer
from storage.idempotency import KeptAnswer, RepeatKey, keep_answer, take_key

KEY_HEADER = "idempotency-key"
KEY_CHARS_MAX = 200


class RepeatKeyReused(Conflict):
    """The key belongs to another request of the same person."""

    code = "idempotency_key_reused"
    message = "This Idempotency-Key was used for a different request."


class RepeatKeyMalformed(MalformedRequest):
    """The key is empty, too long or not plain text."""

    code = "idempotency_key_malformed"
    message = f"Idempotency-Key takes 1 to {KEY_CHARS_MAX} printable ASCII characters."


async def answer_once(
    request: Request,
    transaction: RequestTransaction,
    handle: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Response:
    """Answer as the first time when the key is known, else handle and remember the answer."""
    text = request.headers[KEY_HEADER]
    if not 0 < len(text) <= KEY_CHARS_MAX or not (text.isascii() and text.isprintable()):
        raise RepeatKeyMalformed
    key = RepeatKey(get_viewer(request).user_id, text)
    digest = await _hash_request(request)
    connection = await transaction.open()
    kept = await take_key(connection, key, digest)
    if kept is not None:
        if kept.request_hash != digest:
            raise RepeatKeyReused
        return Response(
            kept.body,
            kept.status,
            headers={"Idempotent-Replayed": "true"},
            media_type="application/json",
        )
    response = await handle(request)
    await keep_answer(
        connection, key, KeptAnswer(digest, response.status_code, bytes(response.body))
    )
    return response


async def _hash_request(request: Request) -> bytes:
    digest = hashlib.sha256()
    digest.update(f"{request.method} {request.url.path}\n".encode())
    digest.update(await request.body())
    return digest.digest()
