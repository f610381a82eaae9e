"""Waiting for a fact with a deadline, for tests that watch other tasks or processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def wait_until(is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Return as soon as `is_so()` holds; raises TimeoutError after `timeout_s` seconds."""
    async with asyncio.timeout(timeout_s):
        while not is_so():
            await asyncio.sleep(0.01)
