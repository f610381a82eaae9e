"""Keys of protected videos: which a version has, and how they follow from one secret.

Nothing stores them. A key's id is in the plan, the playlists and the files; the key follows from it
and `auth.content_key` of the settings, which workers and edges read from their own file: no key is
in a row, a job, a task's arguments or the log.
"""

from __future__ import annotations

import hashlib
import hmac

from kit.errors import AppError
from kit.settings import load_settings
from media.cenc import ContentKey

NONCE_BYTES = 8
KEY_BYTES = 16


class ContentKeyUnknown(AppError):
    """This machine's `auth.content_key` is not the one that the video was protected with."""

    code, status = "content_key_unknown", 503
    message = "This machine does not have the secret that protects this video."


def make_key_id(secret: str, video_id: str, version: int) -> str:
    """Name the key of a version, 32 hexadecimal digits: the same whoever plans it.

    Its second half proves which secret it is of, so that no other one is used by mistake.
    """
    nonce = hashlib.sha256(f"{video_id}/{version}".encode()).digest()[:NONCE_BYTES]
    return (nonce + _prove(secret, nonce)).hex()


def derive_key(secret: str, key_id: str) -> ContentKey:
    """Return the key of an id; raises ContentKeyUnknown when it is of another secret."""
    identity = bytes.fromhex(key_id)
    nonce, proof = identity[:NONCE_BYTES], identity[NONCE_BYTES:]
    if not hmac.compare_digest(proof, _prove(secret, nonce)):
        raise ContentKeyUnknown
    return ContentKey(identity, _mix(secret, b"key", identity)[:KEY_BYTES])


def open_key(key_id: str) -> ContentKey | None:
    """Return the key that a task was told the id of; None when its video is not protected."""
    return derive_key(load_settings().auth.content_key, key_id) if key_id else None


def _prove(secret: str, nonce: bytes) -> bytes:
    return _mix(secret, b"id", nonce)[:NONCE_BYTES]


def _mix(secret: str, label: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 as a key derivation function (NIST SP 800-108r1 §4.1, one block)."""
    if not secret:
        raise ContentKeyUnknown
    return hmac.digest(
        secret.encode(), b"socialflow content\x00" + label + b"\x00" + data, "sha256"
    )
