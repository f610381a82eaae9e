"""Headers of tus 1.0: what a request says of a file, its bytes and their checksum.

`uploads.py` calls it. It reads and writes text, and knows neither rows nor objects.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from email.utils import format_datetime
from urllib.parse import urlsplit

from aiohttp import web

from kit.errors import MalformedRequest
from kit.ids import parse_id
from serve_apps.edge.upload_writer import Checksum
from storage.uploads import NewFile, Upload

CHECKSUM_ALGORITHMS = ("sha1", "sha256", "md5")
METADATA_CHARS_MAX = 8192
WORDS_MAX = 20
PARTS_MAX = 64
DIGITS_MAX = 19


class UploadHeaderMissing(MalformedRequest):
    """A header that tus requires is missing or unreadable."""

    code, status, message = "upload_header_invalid", 400, "A tus header is missing or malformed."


def read_new_file(request: web.Request) -> NewFile:
    """What a POST announces; raises UploadHeaderMissing."""
    metadata = request.headers.get("Upload-Metadata", "").strip()
    words = read_metadata(metadata)
    concat = request.headers.get("Upload-Concat", "").strip()
    if concat.startswith("final;"):
        parts = _read_parts(concat.removeprefix("final;"))
        return NewFile(None, metadata, words, concat, parts)
    if concat not in ("", "partial"):
        raise UploadHeaderMissing("Upload-Concat is partial, or final with its parts.")
    if "Upload-Defer-Length" not in request.headers:
        size_bytes = read_count(request, "Upload-Length")
        if size_bytes == 0:
            raise UploadHeaderMissing("An empty file is no video.")
        return NewFile(size_bytes, metadata, words, concat)
    if request.headers["Upload-Defer-Length"] != "1" or "Upload-Length" in request.headers:
        raise UploadHeaderMissing("Upload-Defer-Length is 1, and stands instead of a length.")
    return NewFile(None, metadata, words, concat)


def read_metadata(text: str) -> dict[str, str]:
    """Decode Upload-Metadata: pairs of a name and base64, parted by commas."""
    if len(text) > METADATA_CHARS_MAX:
        raise UploadHeaderMissing("Upload-Metadata is too long.")
    pairs = [pair.strip().partition(" ") for pair in text.split(",") if pair.strip()]
    if len(pairs) > WORDS_MAX:
        raise UploadHeaderMissing("Upload-Metadata has too many entries.")
    words: dict[str, str] = {}
    for name, _, encoded in pairs:
        if name in words:
            raise UploadHeaderMissing("Upload-Metadata says something twice.")
        try:
            value = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise UploadHeaderMissing("Upload-Metadata is not base64 of text.") from error
        words[name] = value.replace("\0", "")
    return words


def read_count(request: web.Request, name: str) -> int:
    """A header that is a whole number; raises UploadHeaderMissing."""
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX):
        raise UploadHeaderMissing(f"{name} must be a whole number.")
    return int(text)


def read_checksum(request: web.Request) -> Checksum | None:
    """Return the announced checksum; raises UploadHeaderMissing when it cannot be used."""
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, encoded = text.strip().partition(" ")
    if algorithm not in CHECKSUM_ALGORITHMS:
        raise UploadHeaderMissing(f"Upload-Checksum takes {', '.join(CHECKSUM_ALGORITHMS)}.")
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise UploadHeaderMissing("Upload-Checksum is not base64.") from error
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise UploadHeaderMissing("Upload-Checksum has the wrong length.")
    return Checksum(algorithm, digest)


def write_offset(upload: Upload) -> dict[str, str]:
    """How far an upload is, how long it will be, and until when it waits for what comes next."""
    headers = {"Upload-Offset": str(upload.offset_bytes)}
    if upload.size_bytes is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(upload.size_bytes)
    if upload.state == "open":
        headers |= write_expiry(upload)
    return headers


def write_expiry(upload: Upload) -> dict[str, str]:
    """Until when it waits; the value changes with what comes (tus: expiration)."""
    return {"Upload-Expires": format_datetime(upload.expires_at, usegmt=True)}


def _read_parts(text: str) -> tuple[uuid.UUID, ...]:
    ids = [parse_id(urlsplit(address).path.rpartition("/")[2]) for address in text.split()]
    if not 0 < len(ids) <= PARTS_MAX:
        raise UploadHeaderMissing(f"A final upload has 1 to {PARTS_MAX} parts.")
    known = [part for part in ids if part is not None]
    if len(known) != len(ids) or len(set(known)) != len(known):
        raise UploadHeaderMissing("A final upload names each of its parts once.")
    return tuple(known)
