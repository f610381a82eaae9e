"""Rules of a chat line that need no more than the line, its sender and the time. Pure."""

from __future__ import annotations

import unicodedata
import uuid
from collections import deque

from actors.live_room.entries import (
    ChatLineEmpty,
    ChatLineTooLong,
    ChatTooFast,
    ClientIdInvalid,
    RoomTerms,
)

WINDOW_S = 10.0
CLIENT_ID_CHARS_MAX = 64
SPEAKERS_MAX = 10_000


def clean_text(text: str, chars_max: int) -> str:
    """Return the line as it is kept: NFC, no control characters, no outer blanks.

    Raises ChatLineEmpty or ChatLineTooLong.
    """
    if len(text) > 4 * chars_max:
        raise ChatLineTooLong(chars_max=chars_max)
    if not (text.isascii() and text.isprintable()):
        text = "".join(
            character
            for character in unicodedata.normalize("NFC", text)
            if character == "\n" or unicodedata.category(character) not in ("Cc", "Cs")
        )
    kept = text.strip()
    if not kept:
        raise ChatLineEmpty
    if len(kept) > chars_max:
        raise ChatLineTooLong(chars_max=chars_max)
    return kept


def check_client_id(client_id: str) -> None:
    """Raise ClientIdInvalid unless it has 1 to 64 printable characters."""
    if not 1 <= len(client_id) <= CLIENT_ID_CHARS_MAX or not client_id.isprintable():
        raise ClientIdInvalid


class PaceBook:
    """How many lines each person wrote within the last ten seconds."""

    def __init__(self, terms: RoomTerms) -> None:
        self._terms = terms
        self._times_s: dict[uuid.UUID, deque[float]] = {}

    def check_pace(self, user_id: uuid.UUID) -> None:
        """Count a line; raises ChatTooFast when its sender has none left in this window."""
        now_s = self._terms.clock.monotonic_s()
        times_s = self._times_s.setdefault(user_id, deque())
        while times_s and times_s[0] <= now_s - WINDOW_S:
            times_s.popleft()
        if len(times_s) >= self._terms.chat_per_10_s_max:
            raise ChatTooFast(retry_after_s=max(1, round(times_s[0] + WINDOW_S - now_s)))
        times_s.append(now_s)
        if len(self._times_s) > SPEAKERS_MAX:
            self.forget_quiet()

    def forget_quiet(self) -> None:
        """Drop people who wrote nothing within the window."""
        limit_s = self._terms.clock.monotonic_s() - WINDOW_S
        self._times_s = {
            user_id: times_s
            for user_id, times_s in self._times_s.items()
            if times_s and times_s[-1] > limit_s
        }
