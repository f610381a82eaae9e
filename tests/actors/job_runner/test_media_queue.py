"""The door to the media pool: bounded, by rank, and fair within one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.job_runner.media_queue import PREEMPTIONS_MAX, MediaQueue, MediaRank, OnProgress
from media.pool import MediaTaskCancelled

pytestmark = pytest.mark.unit


class Gatekeeper:
    """A pool whose tasks end when told to."""

    def __init__(self) -> None:
        self.running: dict[str, asyncio.Event] = {}
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.most = 0

    async def run(
        self, task_name: str, payload: Any, *, on_progress: OnProgress | None = None
    ) -> Any:
        self.begun.append(task_name)
        end = self.running[task_name] = asyncio.Event()
        self.most = max(self.most, len(self.running))
        try:
            await end.wait()
        finally:
            del self.running[task_name]
        if task_name in self.cancelled:
            self.cancelled.remove(task_name)
            raise MediaTaskCancelled
        return payload

    async def cancel(self, key: str) -> bool:
        name = key.removeprefix("/")
        if name not in self.running:
            return False
        self.cancelled.append(name)
        self.running[name].set()
        return True


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def end_all(pool: Gatekeeper) -> None:
    while pool.running:
        next(iter(pool.running.values())).set()
        await settle()


async def test_no_more_tasks_run_than_there_are_workers():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 2)
    tasks = [asyncio.create_task(queue.run(f"t{n}", n, rank=MediaRank.MORE)) for n in range(5)]
    await settle()
    assert pool.begun == ["t0", "t1"]
    assert queue.describe()["media_waiting"] == {"more": 3}
    await end_all(pool)
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4]
    assert pool.most == 2


async def test_a_worker_gets_ready_only_where_a_place_is_free():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 1)
    warming = asyncio.create_task(queue.warm_up())
    await settle()
    assert pool.begun == ["warm_up"]
    await queue.warm_up()  # it returns at once
    await end_all(pool)
    await warming
    assert pool.begun == ["warm_up"]


async def test_what_nobody_can_watch_without_goes_first():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 1)
    order = [
        ("busy", MediaRank.NEXT),
        ("ahead", MediaRank.AHEAD),
        ("batch", MediaRank.BATCH),
        ("more", MediaRank.MORE),
        ("first", MediaRank.FIRST),
        ("look", MediaRank.LOOK),
        ("first too", MediaRank.FIRST),
    ]
    tasks = [asyncio.create_task(queue.run(name, None, rank=rank)) for name, rank in order]
    await settle()
    await end_all(pool)
    await asyncio.gather(*tasks)
    assert pool.begun == ["busy", "look", "first", "first too", "more", "batch", "ahead"]


async def test_a_finer_rendition_gives_way_to_what_nobody_can_watch_without_and_is_made_again():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 2)
    fine = [asyncio.create_task(queue.run(n, n, rank=MediaRank.MORE)) for n in ("a", "b")]
    await settle()
    first = asyncio.create_task(queue.run("first", "seen", rank=MediaRank.FIRST))
    await settle()
    assert pool.begun == ["a", "b", "first"]
    assert list(pool.running) == ["a", "first"]
    await end_all(pool)
    assert await first == "seen"
    assert await asyncio.gather(*fine) == ["a", "b"]
    assert pool.begun == ["a", "b", "first", "b"]


async def test_another_version_gives_way_before_a_finer_rendition_that_began_later():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 2)
    again = asyncio.create_task(queue.run("again", None, rank=MediaRank.BATCH))
    await settle()
    finer = asyncio.create_task(queue.run("finer", None, rank=MediaRank.MORE))
    await settle()
    urgent = asyncio.create_task(queue.run("urgent", None, rank=MediaRank.FIRST))
    await settle()
    assert set(pool.running) == {"finer", "urgent"}
    await end_all(pool)
    await asyncio.gather(again, finer, urgent)
    assert pool.begun[-1] == "again"


async def test_a_task_gives_way_only_so_often():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 1)
    fine = asyncio.create_task(queue.run("fine", "fine", rank=MediaRank.MORE))
    await settle()
    for number in range(PREEMPTIONS_MAX + 1):
        urgent = asyncio.create_task(queue.run(f"u{number}", None, rank=MediaRank.LOOK))
        await settle()
        last_runs = list(pool.running)
        if number < PREEMPTIONS_MAX:
            assert last_runs == [f"u{number}"]
            pool.running[f"u{number}"].set()
            await urgent
            await settle()
    assert last_runs == ["fine"]
    await end_all(pool)
    assert await fine == "fine"


async def test_what_is_cancelled_ends_whether_it_waits_or_runs():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 1)
    tasks = [asyncio.create_task(queue.run(n, None, rank=MediaRank.MORE)) for n in ("a", "b", "c")]
    await settle()
    for name in ("b", "a"):
        await queue.cancel(name, None)
    await settle()
    assert pool.begun == ["a", "c"]
    await end_all(pool)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ended] == [MediaTaskCancelled, MediaTaskCancelled, type(None)]
    assert queue.describe()["media_waiting"] == {}


async def test_a_task_that_others_cancel_is_not_made_again():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 1)
    task = asyncio.create_task(queue.run("t", None, rank=MediaRank.MORE))
    await settle()
    await pool.cancel("/t")
    with pytest.raises(MediaTaskCancelled):
        await task


async def test_people_take_turns_however_much_one_of_them_brings():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 1)
    names = ["ada1", "ada2", "ada3", "ada4", "eve1", "bob1", "eve2"]
    tasks = [
        asyncio.create_task(queue.run(name, None, rank=MediaRank.MORE, owner=name[:3]))
        for name in names
    ]
    await settle()
    await end_all(pool)
    await asyncio.gather(*tasks)
    assert pool.begun == ["ada1", "eve1", "bob1", "ada2", "eve2", "ada3", "ada4"]


async def test_a_caller_that_goes_away_gives_its_place_to_the_next():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 1)
    running = asyncio.create_task(queue.run("running", None, rank=MediaRank.MORE))
    waiting = asyncio.create_task(queue.run("waiting", None, rank=MediaRank.MORE))
    last = asyncio.create_task(queue.run("last", "done", rank=MediaRank.MORE))
    await settle()
    waiting.cancel()
    running.cancel()
    await settle()
    assert pool.begun == ["running", "last"]
    await end_all(pool)
    assert await last == "done"
    assert await asyncio.create_task(_run_and_end(queue, pool)) == "again"


async def test_places_of_a_node_that_joins_are_lent_and_those_of_one_that_leaves_are_not():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 0)
    tasks = [asyncio.create_task(queue.run(f"t{n}", n, rank=MediaRank.MORE)) for n in range(6)]
    await settle()
    assert pool.begun == []
    queue.resize(3)
    await settle()
    assert pool.begun == ["t0", "t1", "t2"]
    queue.resize(1)
    await settle()
    assert len(pool.running) == 3  # what had begun goes on
    for ended in ("t0", "t1"):
        pool.running[ended].set()
        await settle()
        assert pool.begun == ["t0", "t1", "t2"]
    pool.running["t2"].set()
    await settle()
    assert pool.begun == ["t0", "t1", "t2", "t3"]
    queue.resize(2)
    await settle()
    assert list(pool.running) == ["t3", "t4"]
    await end_all(pool)
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4, 5]
    assert pool.most == 3


async def _run_and_end(queue: MediaQueue, pool: Gatekeeper) -> Any:
    task = asyncio.create_task(queue.run("again", "again", rank=MediaRank.MORE))
    await settle()
    await end_all(pool)
    return await task


async def test_what_is_made_ahead_leaves_one_place_free_and_gives_way_as_often_as_asked():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 2)
    ahead = [asyncio.create_task(queue.run(f"a{n}", n, rank=MediaRank.AHEAD)) for n in range(2)]
    await settle()
    assert pool.begun == ["a0"]
    for number in range(PREEMPTIONS_MAX + 1):
        urgent = [
            asyncio.create_task(queue.run(f"u{number}.{n}", n, rank=MediaRank.LOOK))
            for n in range(2)
        ]
        await settle()
        assert set(pool.running) == {f"u{number}.0", f"u{number}.1"}
        for name in list(pool.running):
            pool.running[name].set()
        await settle()
        assert await asyncio.gather(*urgent) == [0, 1]
        assert list(pool.running) == ["a0"]
    await end_all(pool)
    assert await asyncio.gather(*ahead) == [0, 1]


async def test_the_only_place_is_for_what_is_made_ahead_while_nobody_else_wants_it():
    pool = Gatekeeper()
    queue = MediaQueue(pool, 1)
    ahead = asyncio.create_task(queue.run("ahead", 1, rank=MediaRank.AHEAD))
    other = asyncio.create_task(queue.run("again", 2, rank=MediaRank.BATCH))
    await settle()
    assert pool.begun == ["ahead"]
    await end_all(pool)
    assert await asyncio.gather(ahead, other) == [1, 2]
