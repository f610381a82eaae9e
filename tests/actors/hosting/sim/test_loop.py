"""The simulated loop: virtual time, pauses, kills, skewed clocks, and the same order every time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from tests.actors.hosting.sim.loop import LATENESS_MAX_S, ProcessLoop, ProcessSpins, Timeline

pytestmark = pytest.mark.unit


def test_time_passes_without_waiting() -> None:
    timeline = Timeline(1)
    loop = ProcessLoop(timeline, "p")
    seen: list[float] = []

    async def work() -> None:
        await asyncio.sleep(3600)
        seen.append(loop.time())
        try:
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append(loop.time())

    loop.spawn(work(), "work")
    timeline.run(10_000)
    assert seen == [pytest.approx(3600, abs=2 * LATENESS_MAX_S), pytest.approx(3660, abs=0.01)]


def test_a_timer_is_never_early_and_late_by_a_moment_at_most() -> None:
    timeline = Timeline(2)
    loop = ProcessLoop(timeline, "p", rate=1.1, offset_s=500)
    lateness: list[float] = []

    async def work() -> None:
        for _ in range(200):
            due_s = loop.time() + 0.05
            await asyncio.sleep(0.05)
            lateness.append(loop.time() - due_s)

    loop.spawn(work(), "work")
    timeline.run(60)
    assert len(lateness) == 200
    assert min(lateness) >= -1e-9
    assert max(lateness) <= LATENESS_MAX_S * 1.1 + 1e-9


def test_clocks_run_at_their_own_rate() -> None:
    timeline = Timeline(3)
    slow = ProcessLoop(timeline, "slow", rate=0.5, offset_s=100)
    woken: list[float] = []

    async def work() -> None:
        await asyncio.sleep(1)
        woken.append(timeline.now_s)

    slow.spawn(work(), "work")
    timeline.run(10)
    assert woken == [pytest.approx(2, abs=0.01)]
    assert slow.time() == 105


def test_a_paused_process_stands_still_and_then_catches_up_in_order() -> None:
    timeline = Timeline(4)
    loop = ProcessLoop(timeline, "p")
    seen: list[tuple[int, float]] = []

    async def work(number: int) -> None:
        await asyncio.sleep(number)
        seen.append((number, timeline.now_s))

    for number in (1, 2, 3):
        loop.spawn(work(number), "work")
    timeline.at(1.5, loop.pause)
    timeline.at(9.0, loop.resume)
    timeline.run(8)
    assert [number for number, _ in seen] == [1]
    timeline.run(10)
    assert seen[1:] == [(2, 9.0), (3, 9.0)]


def test_a_killed_process_runs_nothing_more_not_even_cleaning() -> None:
    timeline = Timeline(5)
    loop = ProcessLoop(timeline, "p")
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(2)
        finally:
            seen.append("cleaned")

    task = loop.spawn(work(), "work")
    timeline.run(1)
    loop.kill()
    loop.deliver(1.5, seen.append, "delivered")
    timeline.run(5)
    assert seen == []
    assert not task.done()
    loop.bury()


def test_a_process_that_never_waits_is_found_out() -> None:
    timeline = Timeline(6)
    loop = ProcessLoop(timeline, "p")

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    loop.spawn(spin(), "spin")
    with pytest.raises(ProcessSpins):
        timeline.run(1)


RACE = """
import asyncio
from tests.actors.hosting.sim.loop import ProcessLoop, Timeline

order = []
timeline = Timeline({seed})
loop = ProcessLoop(timeline, "p")

async def step(name):
    await asyncio.sleep(1)
    order.append(name)

async def work():
    tasks = {{asyncio.create_task(step(n)) for n in range(40)}}
    await asyncio.wait(tasks)
    order.extend(task.number for task in tasks)

loop.spawn(work(), "work")
timeline.run(5)
print(order)
"""


def test_the_same_seed_gives_the_same_order_in_another_process_and_another_seed_does_not() -> None:
    def run(seed: int, hash_seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", RACE.format(seed=seed)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    first = run(7, "1")
    assert first == run(7, "2")
    assert first != run(8, "1")
