"""Where a video goes on, and when it counts as watched."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from serve_apps.videos.history_service import decide_resume, is_finished
from storage.history import Watched

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("position_ms", "duration_ms", "expected"),
    [
        (0, 10_000, False),
        (9_400, 10_000, False),
        (9_500, 10_000, True),
        (3_569_000, 3_600_000, False),
        (3_570_000, 3_600_000, True),
        (5_000, None, False),
        (0, 0, False),
    ],
)
def test_a_twentieth_and_at_most_half_a_minute_is_the_end(
    position_ms: int, duration_ms: int | None, expected: bool
):
    assert is_finished(position_ms, duration_ms) is expected


@pytest.mark.parametrize(
    ("position_ms", "finished", "resume_ms"),
    [(4_999, False, 0), (5_000, False, 5_000), (90_000, True, 0)],
)
def test_a_video_goes_on_unless_it_was_hardly_begun_or_is_finished(
    position_ms: int, finished: bool, resume_ms: int
):
    watched = Watched(uuid.uuid4(), position_ms, finished, datetime(2026, 1, 1, tzinfo=UTC))
    assert decide_resume(watched) == resume_ms
    assert decide_resume(None) == 0
