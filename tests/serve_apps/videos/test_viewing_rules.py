"""What counts as a view, and what is believed of beacons."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from serve_apps.videos.viewing_rules import (
    Browser,
    decide_threshold_ms,
    hash_viewer,
    is_bot,
    limit_watched,
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
    ],
)
def test_bots_name_themselves_or_nothing(user_agent: str, expected: bool):
    assert is_bot(user_agent) is expected


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
    assert limit_watched(10_000, None, NOW) == 10_000
    assert limit_watched(600_000, None, NOW) == 20_000
    assert limit_watched(600_000, NOW - timedelta(seconds=60), NOW) == 140_000
    assert limit_watched(10**12, NOW - timedelta(days=9), NOW) == 86_400_000


def test_a_viewer_is_told_apart_within_a_day_and_not_beyond():
    person = Browser(uuid.uuid4(), "192.0.2.1", FIREFOX)
    elsewhere = Browser(person.user_id, "192.0.2.9", IPHONE)
    stranger = Browser(None, "192.0.2.1", FIREFOX)
    assert hash_viewer(person, "k", NOW) == hash_viewer(elsewhere, "k", NOW)
    assert hash_viewer(person, "k", NOW) != hash_viewer(stranger, "k", NOW)
    assert hash_viewer(person, "k", NOW) != hash_viewer(person, "k", NOW + timedelta(days=1))


def test_played_parts_are_a_hundred_digits():
    digits = write_parts([0, 99, 0])
    assert (len(digits), digits.count("1"), digits[0], digits[99]) == (100, 2, "1", "1")
