"""What a room asks of its chat: slow mode, who may write, which words are refused or held. Pure.

The owner sets the rules; `moderation.py` decides who may, `speaking.py` holds lines against them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass, fields
from typing import Any

import msgspec

from kit.errors import MalformedRequest

SLOW_MODE_S_MAX = 3600
FOLLOW_AGE_S_MAX = 90 * 24 * 3600
WORDS_MAX = 200
WORD_CHARS_MIN = 2
WORD_CHARS_MAX = 60
LINK = re.compile(
    r"(?:https?://|www\.)\S|\b[\w-]+\.(?:com|net|org|io|tv|gg|ly|me|co|de|xyz)\b", re.I
)


class RulesInvalid(MalformedRequest):
    """A number or a list of the rules is outside its limits."""

    code, message = "rules_invalid", "These chat rules are outside their limits."


@dataclass(frozen=True)
class RoomRules:
    """The rules of one chat. Moderators, the owner and admins may always write."""

    slow_mode_s: int = 0
    """Between two lines of one person; 0: off."""
    followers_only: bool = False
    follow_age_min_s: int = 0
    """How long somebody must have followed the owner, with `followers_only`."""
    subscribers_only: bool = False
    """Who subscribes to the owner writes; who follows, too, only where both are asked for."""
    blocked_words: tuple[str, ...] = ()
    """Lines with one of these are refused."""
    held_words: tuple[str, ...] = ()
    """Lines with one of these wait for a moderator."""
    holds_links: bool = False
    """Lines with a link wait for a moderator."""


def read_rules(value: Any) -> RoomRules:
    """Read stored or sent rules; fields that this version does not know are passed over."""
    try:
        return msgspec.convert(value, RoomRules)
    except msgspec.ValidationError as error:
        raise RulesInvalid(str(error)) from error


def write_rules(rules: RoomRules) -> dict[str, Any]:
    """Write rules as they are stored; moderators see them so."""
    return {**asdict(rules), **{name: list(getattr(rules, name)) for name in WORD_LISTS}}


def describe_rules(rules: RoomRules) -> dict[str, Any]:
    """Write rules as everybody may see them: without the words."""
    return {name: getattr(rules, name) for name in OPEN_RULES}


def clean_rules(rules: RoomRules) -> RoomRules:
    """Return the rules as they are kept: words folded, each once; raises RulesInvalid."""
    if not 0 <= rules.slow_mode_s <= SLOW_MODE_S_MAX:
        raise RulesInvalid(f"slow_mode_s goes from 0 to {SLOW_MODE_S_MAX}.")
    if not 0 <= rules.follow_age_min_s <= FOLLOW_AGE_S_MAX:
        raise RulesInvalid(f"follow_age_min_s goes from 0 to {FOLLOW_AGE_S_MAX}.")
    return RoomRules(
        slow_mode_s=rules.slow_mode_s,
        followers_only=rules.followers_only,
        follow_age_min_s=rules.follow_age_min_s,
        subscribers_only=rules.subscribers_only,
        blocked_words=_clean_words(rules.blocked_words),
        held_words=_clean_words(rules.held_words),
        holds_links=rules.holds_links,
    )


def fold(text: str) -> str:
    """Return text as words are compared: compatibility forms and case folded, blanks single."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class WordFilter:
    """The words of some rules, ready to be looked for."""

    def __init__(self, rules: RoomRules) -> None:
        self._blocked = _compile(rules.blocked_words)
        self._held = _compile(rules.held_words)
        self._holds_links = rules.holds_links

    def is_blocked(self, text: str) -> bool:
        """Whether a word of the line is refused."""
        return self._blocked is not None and self._blocked.search(fold(text)) is not None

    def find_reason_to_hold(self, text: str) -> str | None:
        """Return `word` or `link` when a moderator should see the line first."""
        if self._held is not None and self._held.search(fold(text)) is not None:
            return "word"
        if self._holds_links and LINK.search(text) is not None:
            return "link"
        return None


WORD_LISTS = ("blocked_words", "held_words")
OPEN_RULES = tuple(rule.name for rule in fields(RoomRules) if rule.name not in WORD_LISTS)


def _clean_words(words: tuple[str, ...]) -> tuple[str, ...]:
    if len(words) > WORDS_MAX:
        raise RulesInvalid(f"A list takes at most {WORDS_MAX} words.")
    kept = tuple(dict.fromkeys(fold(word) for word in words))
    if any(not WORD_CHARS_MIN <= len(word) <= WORD_CHARS_MAX for word in kept):
        raise RulesInvalid(f"A word has {WORD_CHARS_MIN} to {WORD_CHARS_MAX} characters.")
    return kept


def _compile(words: tuple[str, ...]) -> re.Pattern[str] | None:
    """Words count only when they stand alone: a plain alternation, linear in the line's length."""
    if not words:
        return None
    return re.compile(r"(?<!\w)(?:" + "|".join(re.escape(word) for word in words) + r")(?!\w)")
