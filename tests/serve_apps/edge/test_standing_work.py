"""Work that an edge does as long as it runs, and that fails."""

from __future__ import annotations

import asyncio

import pytest

from kit.metrics import EDGE_WORK_FAILED
from serve_apps.edge.standing_work import StandingWork
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.unit


async def test_work_that_fails_is_counted_and_begun_anew_beside_the_others() -> None:
    begun, looked = 0, 0

    async def stumble() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise KeyError("somebody")
        await asyncio.Event().wait()

    async def look() -> None:
        nonlocal looked
        while True:
            looked += 1
            await asyncio.sleep(0)

    before = EDGE_WORK_FAILED.labels("stumble")._value.get()
    work = StandingWork(again_after_s=0.0)
    work.begin({"stumble": stumble, "look": look})
    await wait_until(lambda: begun == 3)
    assert EDGE_WORK_FAILED.labels("stumble")._value.get() - before == 2
    seen = looked
    await wait_until(lambda: looked > seen)
    await work.close()
    await work.close()
    seen = looked
    await asyncio.sleep(0)
    assert (begun, looked) == (3, seen)
