"""Identifiers: UUIDv7 (RFC 9562 §5.7), sortable by creation time and unguessable enough to list.

Never an order key where an offset exists, and never a secret: tokens come from `make_token`.
"""

from __future__ import annotations

import secrets
import uuid

import uuid_utils.compat

TOKEN_BYTES = 32


def make_id() -> uuid.UUID:
    """Return a fresh UUIDv7."""
    return uuid_utils.compat.uuid7()


def parse_id(text: str) -> uuid.UUID | None:
    """Return the id written in `text`, or None when it is not one."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def make_token(prefix: str = "") -> str:
    """Return an unguessable URL-safe secret of 256 bits, behind an optional readable prefix."""
    return prefix + secrets.token_urlsafe(TOKEN_BYTES)
