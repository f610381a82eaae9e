"""What the site asks of every room's guests."""

from __future__ import annotations

import uuid

import pytest

from actors.live_room.review import Question, Verdict
from actors.live_room.site_rules import make_site_moderation
from kit.setting_sections import LimitSettings, SettingsInvalid

pytestmark = pytest.mark.unit

STRICT = LimitSettings(
    chat_blocked_words=("Bad Word", "nope"), chat_held_words=("maybe",), chat_holds_links=True
)


async def judge(limits: LimitSettings, text: str) -> Verdict:
    number = uuid.UUID(int=1)
    return await make_site_moderation(limits)(Question(number, number, number, text))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("hello", Verdict.ALLOW),
        ("a bad  WORD here", Verdict.REFUSE),
        ("\uff4e\uff4f\uff50\uff45", Verdict.REFUSE),
        ("nopes", Verdict.ALLOW),
        ("maybe nope", Verdict.REFUSE),
        ("maybe", Verdict.HOLD),
        ("see www.example.org", Verdict.HOLD),
    ],
)
async def test_words_refuse_or_hold_and_links_hold(text: str, verdict: Verdict) -> None:
    assert await judge(STRICT, text) is verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("nope, see www.example.org", Verdict.ALLOW),
        ("h" + "\u0300\u0301\u0302\u0303" * 5, Verdict.HOLD),
        ("Vie\u0323\u0302t", Verdict.ALLOW),
        ("א\u05b8\u0591", Verdict.ALLOW),
    ],
)
async def test_a_site_that_says_nothing_holds_only_what_nobody_can_read(
    text: str, verdict: Verdict
) -> None:
    assert await judge(LimitSettings(), text) is verdict


@pytest.mark.parametrize("words", [("x",), ("long" * 20,), tuple(f"w{n}" for n in range(201))])
def test_lists_of_words_have_limits(words: tuple[str, ...]) -> None:
    with pytest.raises(SettingsInvalid):
        LimitSettings(chat_blocked_words=words)
