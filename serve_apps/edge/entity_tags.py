"""Entity tags of what the edge sends, and what a request's conditions and range leave to be sent.

`media_answers.py` and `downloads.py` ask before they read any bytes. Sections are those of RFC
9110. There are no dates: a tag says the same at every edge and in every store, a file's age does
not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import hdrs, web

ANY = "*"
TAG_DIGITS = 32
CONDITIONS = (hdrs.IF_MATCH, hdrs.IF_NONE_MATCH, hdrs.IF_RANGE)


@dataclass(frozen=True)
class Part:
    """The bytes of a representation that go out, all or some, and what is said of them."""

    first: int
    stop: int
    status: int
    headers: Mapping[str, str]

    @property
    def size_bytes(self) -> int:
        """How many they are."""
        return self.stop - self.first


def hash_tag(data: bytes) -> str:
    """The tag of exactly these bytes, without its quotation marks."""
    return hashlib.sha256(data).hexdigest()[:TAG_DIGITS]


def make_tag(key: str, size_bytes: int) -> str:
    """The tag of an object: what lies under a key does not change."""
    return hash_tag(f"{key} {size_bytes}".encode())


def is_known(request: web.Request, tag: str) -> bool:
    """Whether who asks has this already (§13.1.2)."""
    return any(given.value in (tag, ANY) for given in request.if_none_match or ())


def select_part(
    request: web.Request, tag: str, size_bytes: int, headers: Mapping[str, str]
) -> Part | web.Response:
    """Decide which bytes go out (§13.2.2); the whole answer where none do.

    HEAD is told of all bytes: ranges are for GET (§14.2).
    """
    if request.if_match is not None and not _is_met(request, tag):
        return web.Response(status=412)
    said = {**headers, hdrs.ETAG: f'"{tag}"'}
    if is_known(request, tag):
        kept = (hdrs.ETAG, hdrs.CACHE_CONTROL)
        return web.Response(status=304, headers={name: said[name] for name in kept if name in said})
    said[hdrs.ACCEPT_RANGES] = "bytes"
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers={**said, hdrs.CONTENT_LENGTH: str(size_bytes)})
    if not _asks_part(request, tag):
        return Part(0, size_bytes, 200, said)
    try:
        first, stop, _step = request.http_range.indices(size_bytes)
    except ValueError:
        first = stop = size_bytes
    if first >= stop:
        return web.Response(status=416, headers={hdrs.CONTENT_RANGE: f"bytes */{size_bytes}"})
    said[hdrs.CONTENT_RANGE] = f"bytes {first}-{stop - 1}/{size_bytes}"
    return Part(first, stop, 206, said)


def _is_met(request: web.Request, tag: str) -> bool:
    """Whether this is what If-Match names (§13.1.1)."""
    given = request.if_match or ()
    return any(it.value == ANY or (it.value == tag and not it.is_weak) for it in given)


def _asks_part(request: web.Request, tag: str) -> bool:
    """Whether a range is asked for, and of this very representation where it names one (§13.1.5).

    A date in If-Range is no strong validator here: then all is sent. aiohttp reads dates alone.
    """
    condition = request.headers.get(hdrs.IF_RANGE)
    return hdrs.RANGE in request.headers and condition in (None, f'"{tag}"')
