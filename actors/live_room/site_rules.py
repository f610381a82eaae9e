"""The site's own moderation port: its words and links, and lines that nobody can read.

`serve_apps/hosting.py` gives it to rooms; what it asks of every room stands in the settings. It
judges from the line alone and at once; the deadline and the default of the port bind it as they
would bind a model.
"""

from __future__ import annotations

import re

from actors.live_room.review import ModerationPort, Question, Verdict
from actors.live_room.rules import RoomRules, WordFilter, fold
from kit.setting_sections import LimitSettings

STACKED_MARKS = re.compile(r"[\u0300-\u036f\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{4}")
"""Four combining marks (Unicode's blocks of them) on one letter, which cover other lines.

Languages put at most three on one; text is compared before it is composed.
"""


def make_site_moderation(limits: LimitSettings) -> ModerationPort:
    """Return the port for these settings."""
    words = WordFilter(
        RoomRules(
            blocked_words=tuple(fold(word) for word in limits.chat_blocked_words),
            held_words=tuple(fold(word) for word in limits.chat_held_words),
            holds_links=limits.chat_holds_links,
        )
    )

    async def look(question: Question) -> Verdict:
        if words.is_blocked(question.text):
            return Verdict.REFUSE
        if words.find_reason_to_hold(question.text) or STACKED_MARKS.search(question.text):
            return Verdict.HOLD
        return Verdict.ALLOW

    return look
