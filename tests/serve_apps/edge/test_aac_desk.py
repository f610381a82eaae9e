"""Who makes AAC, for how many lives, and until when: a real process, a clock of the test's."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from kit.clock import ManualClock
from media.live.fragments import AUDIO
from media.live.sound_tap import AAC_CHILD, SoundTap
from serve_apps.edge.aac_desk import IDLE_S, AacBusy, AacDesk, AacShow
from tests.media.live.programme import Programme

pytestmark = pytest.mark.media


class OnAir:
    """A live with some sound, as the desk sees a broadcast."""

    def __init__(self) -> None:
        self.room_id = uuid.uuid4()
        programme = Programme()
        programme.run(5)
        self.window = programme.window
        self.changed = asyncio.Event()

    async def wait_change(self) -> None:
        """Return when told to."""
        await self.changed.wait()

    def change(self) -> None:
        """Wake who waits."""
        self.changed.set()
        self.changed = asyncio.Event()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tap() -> SoundTap:
    return SoundTap(AAC_CHILD)


@pytest.fixture
async def desk(clock: ManualClock, tap: SoundTap) -> AsyncIterator[AacDesk]:
    made = AacDesk(clock, lives_max=1, tap=tap)
    yield made
    await made.close()
    await made.close()


async def await_sound(show: AacShow) -> None:
    async with asyncio.timeout(60):
        while not show.is_playable:
            await show.wait_change()


async def await_none(desk: AacDesk, live: OnAir) -> None:
    async with asyncio.timeout(60):
        while len(desk):
            live.change()
            await asyncio.sleep(0.02)


async def test_one_live_more_than_may_is_refused_until_nobody_asks_for_the_first(
    desk: AacDesk, clock: ManualClock, tap: SoundTap
) -> None:
    first, second = OnAir(), OnAir()
    show = desk.open(first, first.window)
    assert desk.open(first, first.window) is show
    await await_sound(show)
    with pytest.raises(AacBusy) as refused:
        desk.open(second, second.window)
    assert (refused.value.status, refused.value.retry_after_s) == (503, 10)

    clock.advance(IDLE_S - 1)
    desk.open(first, first.window)
    clock.advance(IDLE_S - 1)
    first.change()
    await asyncio.sleep(0)
    assert desk.find(first.room_id) is show
    clock.advance(2)
    await await_none(desk, first)
    assert show.is_over
    async with asyncio.timeout(60):
        while tap.pid is not None:  # nobody needs the process either
            await asyncio.sleep(0.02)
    await await_sound(desk.open(second, second.window))


async def test_a_live_whose_window_is_another_one_gets_another_lane(desk: AacDesk) -> None:
    live = OnAir()
    show = desk.open(live, live.window)
    await await_sound(show)
    first = show.lane.window.list_entries(AUDIO)[0].name
    live.window = OnAir().window
    again = desk.open(live, live.window)
    assert show.is_over
    await await_sound(again)
    assert again.lane.window.list_entries(AUDIO)[0].name != first  # caches keep the one before
    live.window = None  # the broadcast is over
    await await_none(desk, live)
