"""Who gets smaller pictures, and when they are given up: real processes, a clock of the test's."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.clock import ManualClock
from kit.metrics import LIVE_LADDERS_REFUSED, LIVE_RUNGS_SHED
from media.live.fragments import VIDEO
from media.live.ladder_lane import HELD_MAX
from media.live.playlists import LivePlaylists
from media.live.samples import VideoSample
from media.live.shedding import GRACE_S, LATE_MAX_S, RETRY_S, SheddingTerms
from serve_apps.edge.ladder_desk import IDLE_S, LadderDesk, LadderTerms
from serve_apps.edge.ladder_show import LATE, PROCESS, LadderShow
from serve_apps.edge.node_slots import NodeSlots
from tests.media.live.ladder_stage import Film, LadderStage

pytestmark = pytest.mark.media

DEADLINE_S = 60
SIDES = (240, 144)
PACE = SheddingTerms(niceness=0)
"""Not behind whatever else the machine does: only the clock here makes a ladder late."""


class OnAir:
    """A live whose publisher sends when told to, as the desk sees a broadcast."""

    def __init__(self, samples: list[VideoSample]) -> None:
        self.room_id = uuid.uuid4()
        self._stage = LadderStage()
        self.window = self._stage.window
        self.playlists = LivePlaylists(self.window)
        self._samples = samples
        self._sent = 0
        self._changed = asyncio.Event()
        self.send(3)

    def send(self, seconds: float) -> None:
        """Publish so much more."""
        count = round(seconds * 30)
        for sample in self._samples[self._sent : self._sent + count]:
            self._stage.packager.add_video(sample)
        self._sent += count
        self.change()

    def change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_change(self) -> None:
        await self._changed.wait()


@pytest.fixture(scope="module")
def samples() -> list[VideoSample]:
    return Film().encode(20 * 30)[1]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def make_desk(clock: ManualClock, folder: Path, lives_max: int = 1) -> LadderDesk:
    slots = NodeSlots(folder, "ladder", lives_max)
    return LadderDesk(clock.monotonic_s, LadderTerms(SIDES, slots, PACE))


@pytest.fixture
async def desk(clock: ManualClock, tmp_path: Path) -> AsyncIterator[LadderDesk]:
    made = make_desk(clock, tmp_path)
    yield made
    await made.close()
    await made.close()


async def until(live: OnAir, is_so) -> None:
    """Wait while the desk looks at the live again and again."""
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():
            live.change()
            await asyncio.sleep(0.02)


def list_names(desk: LadderDesk, live: OnAir) -> list[str]:
    return [variant.folder for variant in desk.list_variants(live.room_id)]


def get_show(desk: LadderDesk, live: OnAir, name: str = "144p") -> LadderShow:
    rung = desk.find(live.room_id, name)
    assert rung is not None
    return rung.show


def is_made(desk: LadderDesk, live: OnAir, name: str) -> bool:
    """Say whether a rung has everything that the live has."""
    rung = desk.find(live.room_id, name)
    return rung is not None and rung.track.window.get_edge(VIDEO) == live.window.get_edge(VIDEO)


def read_pid(desk: LadderDesk, live: OnAir) -> int | None:
    lane = get_show(desk, live).lane
    return None if lane is None else lane.tap.pid


def count_waiting(desk: LadderDesk, live: OnAir) -> int:
    lane = get_show(desk, live).lane
    return 0 if lane is None else lane.waiting_count


def read_shed(reason: str) -> float:
    return LIVE_RUNGS_SHED.labels(reason)._value.get()


async def test_a_late_ladder_loses_its_costliest_rung_then_the_other_and_gets_them_back(
    desk: LadderDesk, clock: ManualClock, samples: list[VideoSample]
) -> None:
    live, before = OnAir(samples), read_shed(LATE)
    desk.watch(live)
    assert list_names(desk, live) == ["240p", "144p"]
    await until(live, lambda: is_made(desk, live, "240p") and is_made(desk, live, "144p"))
    costly = desk.find(live.room_id, "240p")
    assert costly is not None
    pid = read_pid(desk, live)
    assert pid is not None

    os.kill(pid, signal.SIGSTOP)
    clock.advance(GRACE_S)
    live.send(2)
    await until(live, lambda: count_waiting(desk, live) > HELD_MAX)
    assert list_names(desk, live) == ["240p", "144p"]  # late, but not yet too late
    clock.advance(LATE_MAX_S + 0.1)
    await until(live, lambda: list_names(desk, live) == ["144p"])
    assert costly.is_over
    assert desk.find(live.room_id, "240p") is None
    folder = costly.track.folder
    kept = desk.find(live.room_id, "240p", folder)
    assert kept is not None, "what was listed can still be fetched"
    assert (read_shed(LATE) - before, [b.folder for b in live.playlists.rungs]) == (1, ["144p"])

    os.kill(pid, signal.SIGCONT)  # one rung fewer: it keeps up
    await until(live, lambda: is_made(desk, live, "144p"))
    clock.advance(RETRY_S / 2)
    desk.watch(live)  # it is not tried again yet
    await get_show(desk, live).step()
    assert list_names(desk, live) == ["144p"]
    clock.advance(RETRY_S / 2 + 0.1)
    desk.watch(live)
    await until(live, lambda: list_names(desk, live) == ["240p", "144p"])
    live.send(6)
    await until(live, lambda: is_made(desk, live, "240p") and is_made(desk, live, "144p"))
    again = desk.find(live.room_id, "240p")
    assert again is not None
    assert again.track.folder != folder  # caches keep the one before
    text = live.playlists.render(VIDEO, is_delta=False).body.decode()
    for name in ("audio", "240p", "144p"):
        assert f'RENDITION-REPORT:URI="../{name}/index.m3u8"' in text

    os.kill(pid, signal.SIGSTOP)
    live.send(2)
    await until(live, lambda: count_waiting(desk, live) > HELD_MAX)
    for left in (["144p"], []):
        clock.advance(GRACE_S + LATE_MAX_S + 0.1)
        desk.watch(live)
        await until(live, lambda left=left: list_names(desk, live) == left)
    await until(live, lambda: not is_alive(pid))  # nothing is made: no process
    assert len(desk) == 1
    clock.advance(RETRY_S + 0.1)
    desk.watch(live)
    await until(live, lambda: list_names(desk, live) == ["144p"])
    live.send(6)
    await until(live, lambda: is_made(desk, live, "144p"))


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_ladder_whose_process_dies_too_often_rests(
    desk: LadderDesk, clock: ManualClock, samples: list[VideoSample]
) -> None:
    live, before = OnAir(samples), read_shed(PROCESS)
    desk.watch(live)
    await until(live, lambda: is_made(desk, live, "144p"))
    show, killed = get_show(desk, live), set()
    while list_names(desk, live):
        await until(
            live,
            lambda: (
                show.lane is None
                or show.lane.tap.is_given_up
                or show.lane.tap.pid not in {None, *killed}
            ),
        )
        pid = None if show.lane is None else show.lane.tap.pid
        if pid is not None and pid not in killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        await asyncio.sleep(0.02)
        live.change()
    assert len(killed) == 4  # the first, and three anew
    assert read_shed(PROCESS) - before == 2
    clock.advance(RETRY_S + 0.1)
    desk.watch(live)
    await until(live, lambda: list_names(desk, live) == ["144p"])
    await until(live, lambda: is_made(desk, live, "144p"))


async def test_one_live_more_than_the_node_may_gets_none_until_nobody_watches_the_first(
    desk: LadderDesk, clock: ManualClock, samples: list[VideoSample], tmp_path: Path
) -> None:
    first, second = OnAir(samples), OnAir(samples)
    other_edge = make_desk(clock, tmp_path)
    before = LIVE_LADDERS_REFUSED._value.get()
    desk.watch(first)
    for watching in (desk, other_edge):
        watching.watch(second)
        assert list_names(watching, second) == []
    assert LIVE_LADDERS_REFUSED._value.get() - before == 2
    await until(first, lambda: is_made(desk, first, "144p"))
    pid = read_pid(desk, first)
    assert pid is not None
    clock.advance(IDLE_S + 0.1)
    await until(first, lambda: len(desk) == 0 and not is_alive(pid))
    other_edge.watch(second)
    assert list_names(other_edge, second) == ["240p", "144p"]
    await other_edge.close()


async def test_a_live_that_is_hardly_larger_gets_none(
    desk: LadderDesk, samples: list[VideoSample]
) -> None:
    small = OnAir(Film(width=256, height=144).encode(90)[1])
    desk.watch(small)
    assert list_names(desk, small) == []
    assert len(desk) == 0
