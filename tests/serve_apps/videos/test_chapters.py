"""Chapters as descriptions list them, and as owners give them."""

from __future__ import annotations

import pytest

from serve_apps.videos.chapters import (
    Chapter,
    ChaptersMalformed,
    check_chapters,
    list_chapters,
    parse_chapters,
)
from serve_apps.videos.labels import clean_tags

pytestmark = pytest.mark.unit

LISTED = "A walk.\n0:00 Start\n(1:30) - The harbour\n* 01:02:03: Home again\nThanks! Seen at 5:00."


def test_lines_that_begin_with_a_time_are_chapters():
    assert parse_chapters(LISTED, 4_000_000) == [
        Chapter(0, "Start"),
        Chapter(90_000, "The harbour"),
        Chapter(3_723_000, "Home again"),
    ]


@pytest.mark.parametrize(
    ("description", "duration_ms"),
    [
        ("", None),
        ("0:00 One\n0:20 Two", 60_000),
        ("0:05 One\n0:20 Two\n0:40 Three", 60_000),
        ("0:00 One\n0:09 Two\n0:40 Three", 60_000),
        ("0:00 One\n0:40 Two\n0:20 Three", 60_000),
        ("0:00 One\n0:20 Two\n0:70 Three", 60_000),
        ("0:00 One\n0:20 Two\n2:00 Beyond the end", 60_000),
    ],
)
def test_times_that_do_not_hold_together_are_no_chapters(description: str, duration_ms: int | None):
    assert parse_chapters(description, duration_ms) == []


def test_a_hostile_description_takes_no_time_and_gives_few_chapters():
    lines = "\n".join(f"{n // 6}:{n % 6}0 part {n}" for n in range(700))
    assert len(parse_chapters(lines, None)) == 100
    assert parse_chapters("0:00 " + "-" * 5000, None) == []


def test_an_owners_own_chapters_come_before_the_descriptions():
    own = [Chapter(0, "All of it")]
    assert list_chapters(own, LISTED, 4_000_000) == own
    assert len(list_chapters([], LISTED, 4_000_000)) == 3


@pytest.mark.parametrize("starts", [(1,), (0, 0), (0, 5_000, 4_000), (0, 60_000)])
def test_own_chapters_out_of_order_or_beyond_the_end_are_refused(starts: tuple[int, ...]):
    with pytest.raises(ChaptersMalformed):
        check_chapters([Chapter(start, "x") for start in starts], 60_000)
    check_chapters([Chapter(start, "x") for start in (0, 5_000, 59_999)], 60_000)
    check_chapters([], 60_000)


def test_tags_are_written_in_one_way():
    assert clean_tags(["#Harbour", "harbour ", "Old  Town", "", "#"]) == ["harbour", "old town"]
