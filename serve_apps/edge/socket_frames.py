"""Bytes that leave on sockets: events as JSON, built once per channel, and RFC 6455 text frames.

Pure. A frame built here is written to every viewer's transport as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kit.errors import AppError

JSON = msgspec.json.Encoder()
TEXT_FRAME = 0x81  # FIN and opcode 1 (RFC 6455 §5.2); a server does not mask


def build_frame(payload: bytes) -> bytes:
    """Return one unmasked text frame."""
    size = len(payload)
    if size < 126:
        return bytes((TEXT_FRAME, size)) + payload
    if size < 1 << 16:
        return bytes((TEXT_FRAME, 126)) + size.to_bytes(2, "big") + payload
    return bytes((TEXT_FRAME, 127)) + size.to_bytes(8, "big") + payload


def read_payload(frame: bytes) -> bytes:
    """Return what `build_frame` framed."""
    size = frame[1]
    return frame[4 if size == 126 else 10 if size == 127 else 2 :]


def write_json(value: Any) -> bytes:
    """Return a value as a text frame."""
    return build_frame(JSON.encode(value))


def write_durable_event(kind: str, channel: str, epoch: str, offset: int, data: bytes) -> bytes:
    """Return the JSON of an event with an offset; `data` is JSON already."""
    return b'{"type":"%b","channel":"%b","epoch":"%b","offset":%d,"data":%b}' % (
        kind.encode(),
        channel.encode(),
        epoch.encode(),
        offset,
        data,
    )


def write_ephemeral_event(kind: str, channel: str, data: bytes) -> bytes:
    """Return the JSON of an event without an offset; `data` is JSON already."""
    return JSON.encode({"type": kind, "channel": channel, "data": msgspec.Raw(data)})


def join_events(events: Sequence[bytes]) -> bytes:
    """Return one frame for one event, or a batch for several."""
    if len(events) == 1:
        return build_frame(events[0])
    return build_frame(b'{"type":"batch","events":[' + b",".join(events) + b"]}")


def write_error(
    error: AppError, *, client_id: str | None = None, channel: str | None = None
) -> bytes:
    """Return a refusal as a frame."""
    body: dict[str, Any] = {
        "type": "error",
        "error": error.code,
        "message": error.text,
        "retryable": error.retryable,
    }
    if client_id is not None:
        body["client_id"] = client_id
    if channel is not None:
        body["channel"] = channel
    if error.retry_after_s is not None:
        body["retry_after_s"] = error.retry_after_s
    return write_json(body)
