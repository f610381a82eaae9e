"""What players ask for in addresses of low-latency HLS, and what they are refused with.

Pure. `live_hls.py` asks it; sections are those of draft-pantos-hls-rfc8216bis.
"""

from __future__ import annotations

from aiohttp import web

from kit.errors import AppError, Conflict, NotFound, Unavailable
from kit.ids import parse_id
from storage.live_segments import make_live_prefix

NUMBER_DIGITS_MAX = 9
SUFFIX = ".m4s"


class PartUnknown(NotFound):
    """No playlist names this."""

    code, message = "media_not_found", "No playlist names this."


class RungOver(NotFound):
    """This size is not made, or not any more; players go on with another variant."""

    code, message = "rung_over", "This size is not made now; take another one of the list."


class TooFarAhead(AppError):
    """The request waits for what lies too far ahead (§6.2.5.2)."""

    code, status, message = "too_far_ahead", 400, "This part lies too far ahead."


class HlsOff(Conflict):
    """What the publisher sends cannot be carried by HLS."""

    code = "hls_off"
    message = "This live is sent in a codec that HLS does not carry; watch it by WebRTC."


class NothingNew(Unavailable):
    """What the request waited for did not come in time."""

    code, message = "nothing_new", "Nothing came in time; ask again."


class TooManyWait(Unavailable):
    """More requests wait here than may."""

    code, message = "too_many_wait", "Too many players wait here; ask again."


def read_directives(request: web.Request) -> tuple[int | None, int | None]:
    """Read `_HLS_msn` and `_HLS_part` (§6.2.5.2); raises TooFarAhead for what makes no sense."""
    number, position = (request.query.get(name) for name in ("_HLS_msn", "_HLS_part"))
    if number is None and position is None:
        return None, None
    if number is None or not _is_number(number) or not _is_number(position or "0"):
        raise TooFarAhead("_HLS_msn must be a number, and _HLS_part does not go without it.")
    return int(number), None if position is None else int(position)


def read_name(name: str) -> tuple[int, int | None]:
    """Read a segment's name (`7.m4s`) or a part's (`7.2.m4s`); raises PartUnknown."""
    numbers = name.removesuffix(SUFFIX).split(".")
    if not name.endswith(SUFFIX) or len(numbers) > 2 or not all(map(_is_number, numbers)):
        raise PartUnknown
    return int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else None


def name_media(request: web.Request) -> str:
    """The key under which an address's segment or init segment is stored, once it is.

    Parts, and what is made here alone, have one too: it tells them apart.
    """
    named = request.match_info
    live_id = parse_id(named["room_id"])
    assert live_id is not None, "the live was found"
    return f"{make_live_prefix(live_id)}/{named['folder']}/{named['track']}/{named['name']}"


def _is_number(text: str) -> bool:
    is_plain = text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX
    return is_plain and str(int(text)) == text
