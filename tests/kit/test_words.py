"""Ids, times, errors and the manual clock."""

import uuid
from datetime import UTC, datetime

import pytest

from kit.clock import ManualClock, format_time
from kit.errors import AppError, NotFound, RateLimited
from kit.ids import make_id, make_token, parse_id

pytestmark = pytest.mark.unit


def test_ids_are_uuid_version_7_and_sort_by_time():
    ids = [make_id() for _ in range(200)]
    assert all(isinstance(one, uuid.UUID) and one.version == 7 for one in ids)
    assert ids == sorted(ids)


def test_a_text_that_is_no_id_is_none():
    assert parse_id("nonsense") is None
    assert parse_id(str(uuid.UUID(int=7))) == uuid.UUID(int=7)


def test_tokens_carry_their_prefix_and_differ():
    assert make_token("sk_").startswith("sk_")
    assert make_token() != make_token()


def test_times_are_written_in_utc_with_milliseconds():
    assert (
        format_time(datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)) == "2026-01-02T03:04:05.678Z"
    )


def test_a_manual_clock_moves_both_hands():
    clock = ManualClock()
    before, mono = clock.now(), clock.monotonic_s()
    clock.advance(1.5)
    assert (clock.now() - before).total_seconds() == clock.monotonic_s() - mono == 1.5


def test_errors_carry_their_code_text_and_details():
    error = RateLimited("Slow down.", retry_after_s=3)
    assert (error.code, error.status, error.text, error.retry_after_s) == (
        "rate_limited",
        429,
        "Slow down.",
        3,
    )
    assert NotFound().text == NotFound.message
    assert AppError.status == 500
