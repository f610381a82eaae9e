"""What counts as a view, and what is believed of beacons."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from serve_apps.videos.viewing_rules import (
    Browser,
    Passed,
    decide_threshold_ms,
    hash_viewer,
    is_bot,
    limit_parts,
    limit_stalled,
    limit_watched,
    list_hashes,
    measure_passed,
    name_device,
    write_parts,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148 Safari/604.1"


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (FIREFOX, False),
        (IPHONE, False),
        ("", True),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", True),
        ("curl/8.5.0", True),
        ("Mozilla/5.0 HeadlessChrome/140.0", True),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", True),
        ("Googlebot-Image/1.0", True),
        ("AdsBot-Google (+http://www.google.com/adsbot.html)", True),
        ("Mozilla/5.0 (compatible; archive.org_bot +http://archive.org/details/x)", True),
        ("Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)", True),
        ("Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)", True),
        ("Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", True),
        ("TelegramBot (like TwitterBot)", True),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", True),
        ("coccocbot-web/1.0 (+http://help.coccoc.com/searchengine)", True),
        ("Mozilla/5.0 (compatible; botify; http://botify.com)", True),
    ],
)
def test_bots_name_themselves_or_nothing(user_agent: str, expected: bool):
    assert is_bot(user_agent) is expected


@pytest.mark.parametrize(
    "phone",
    [
        "Linux; Android 6.0; CUBOT MAX",
        "Linux; Android 8.0.0; CUBOT_X18_Plus Build/O00623; wv",
        "Linux; Android 10; CUBOT X30",
        "Linux; Android 13; Cubot Note 20",
    ],
)
def test_a_phone_with_bot_in_its_name_is_none(phone: str):
    person = f"Mozilla/5.0 ({phone}) AppleWebKit/537.36 Chrome/141.0.0.0 Mobile Safari/537.36"
    assert not is_bot(person)
    assert is_bot(f"{person} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (FIREFOX, "computer"),
        (IPHONE, "phone"),
        ("Mozilla/5.0 (iPad; CPU OS 18_0)", "tablet"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile Safari", "phone"),
        ("Mozilla/5.0 (Linux; Android 15; SM-X900) Chrome/140 Safari", "tablet"),
        ("Mozilla/5.0 (SMART-TV; Linux; Tizen 8.0)", "tv"),
    ],
)
def test_devices_are_named_by_their_browsers(user_agent: str, device: str):
    assert name_device(user_agent) == device


def test_half_of_a_short_video_or_half_a_minute_is_a_view():
    assert [decide_threshold_ms(ms) for ms in (None, 10_000, 60_000, 3_600_000)] == [
        30_000,
        5_000,
        30_000,
        30_000,
    ]


def test_nobody_watched_more_than_time_allows():
    assert limit_watched(10_000, 0, Passed()) == 10_000
    assert limit_watched(600_000, 0, Passed()) == 20_000
    assert limit_watched(600_000, 0, Passed(60_000, 60_000)) == 140_000
    assert limit_watched(600_000, 30_000, Passed(3_600_000, 10_000)) == 70_000
    assert limit_watched(10**12, 0, Passed(9 * 86_400_000, 9 * 86_400_000)) == 86_400_000


def test_nobody_waited_longer_than_time_allows():
    assert limit_stalled(3_000, 0, Passed()) == 3_000
    assert limit_stalled(86_400_000, 0, Passed()) == 20_000
    assert limit_stalled(86_400_000, 5_000, Passed(60_000, 10_000)) == 35_000
    assert limit_stalled(86_400_000, 75_000, Passed(60_000, 10_000)) == 80_000


def test_nobody_played_more_hundredths_than_time_allows():
    """Of 100 seconds one takes half of one at double speed, of two hours two to glimpse it."""
    every, none = range(100), "0" * 100
    short, long = 100_000, 7_200_000
    assert limit_parts(every, none, Passed(), short) == list(range(40))
    assert limit_parts(every, none, Passed(30_000, 30_000), short) == list(every)
    assert limit_parts([90, 5, 90], none, Passed(), long) == [5, 90]
    assert limit_parts(every, none, Passed(), long) == list(range(10))
    known = write_parts(range(10))
    assert limit_parts(every, known, Passed(), long) == []
    assert limit_parts(every, known, Passed(10_000, 10_000), long) == list(range(10, 15))
    assert limit_parts(every, known, Passed(3_600_000, 10_000), long) == list(range(10, 25))
    assert limit_parts(every, none, Passed(), None) == list(every), "nobody knows how long it is"


def test_time_passed_is_none_where_another_clock_is_ahead():
    before, after = NOW - timedelta(seconds=2), NOW + timedelta(seconds=1)
    assert measure_passed(before, NOW, NOW) == Passed(2_000, 0)
    assert measure_passed(after, after, NOW) == Passed(0, 0)


def test_a_viewer_is_told_apart_within_a_day_and_not_beyond():
    person = Browser(uuid.uuid4(), "192.0.2.1", FIREFOX)
    elsewhere = Browser(person.user_id, "192.0.2.9", IPHONE)
    stranger = Browser(None, "192.0.2.1", FIREFOX)
    assert hash_viewer(person, "k", NOW) == hash_viewer(elsewhere, "k", NOW)
    assert hash_viewer(person, "k", NOW) != hash_viewer(stranger, "k", NOW)
    assert hash_viewer(person, "k", NOW) != hash_viewer(person, "k", NOW + timedelta(days=1))
    midnight = NOW.replace(hour=0)
    before, after = midnight - timedelta(minutes=5), midnight + timedelta(minutes=5)
    both = [hash_viewer(person, "k", moment) for moment in (before, after)]
    assert list_hashes(person, "k", before, after) == both
    assert list_hashes(person, "k", after, after) == both[1:]


def test_played_parts_are_a_hundred_digits():
    digits = write_parts([0, 99, 0])
    assert (len(digits), digits.count("1"), digits[0], digits[99]) == (100, 2, "1", "1")
