"""Ticks of a forwarding plane, of which some fail."""

from __future__ import annotations

import pytest

from media.sfu import ticker as module
from media.sfu.ticker import Ticker
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media


async def test_a_tick_that_fails_is_followed_by_the_next() -> None:
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count < 4:
            raise KeyError("a session")

    ticker = Ticker(tick)
    ticker.start()
    await wait_until(lambda: count > 4)
    await ticker.stop()
    await ticker.stop()
    assert not ticker.is_running


async def test_ticks_that_fail_again_and_again_end_and_nobody_new_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FAILED_MAX", 3)
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        raise KeyError("a session")

    ticker = Ticker(tick)
    ticker.start()
    assert ticker.is_running
    await wait_until(lambda: not ticker.is_running)
    assert count == 3
    await ticker.stop()
