"""What a key of the object store may look like: relative, plain, and inside the store."""

from __future__ import annotations

import re

from kit.errors import AppError

KEY_CHARS_MAX = 512
KEY_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=@+-]{0,199}")


class ObjectKeyInvalid(AppError):
    """A key is empty, absolute, too long, or leaves its folder."""

    code, status, message = "object_key_invalid", 400, "This object key cannot be used."


def check_key(key: str) -> None:
    """Raise ObjectKeyInvalid unless `key` is relative, plain and inside the store."""
    parts = key.split("/")
    if len(key) > KEY_CHARS_MAX or not all(KEY_SEGMENT.fullmatch(part) for part in parts):
        raise ObjectKeyInvalid(key=key[:KEY_CHARS_MAX])
