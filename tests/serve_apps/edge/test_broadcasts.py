"""A room that comes in at this edge: what is stored of it, and what players find meanwhile."""

from __future__ import annotations

import asyncio
import errno
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kit.clock import ManualClock, SystemClock
from media.live.fragments import AUDIO, VIDEO
from media.live.h264 import build_format
from media.live.packets import wait_briefly
from media.live.samples import VIDEO_TIMESCALE, VideoSample
from media.live.slates import Slate, SlateBook, SlateShape
from media.live.window import UNSAVED_SEGMENTS_MAX
from serve_apps.edge.broadcasts import Broadcast
from serve_apps.edge.live_shelf import FRESH_S, LiveShelf
from serve_apps.edge.segment_writer import SegmentWriter, WriterPorts
from serve_apps.edge.waiting_samples import WaitingSamples
from storage.database import Database
from storage.live_segments import (
    LISTING_S,
    SegmentRange,
    StoredSegment,
    list_segments,
    make_live_key,
)
from storage.objects import ObjectStore
from tests.media.live.packets_stage import PPS, SPS_320
from tests.media.live.programme import EPOCH, Programme
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db

FORM = build_format(SPS_320, [PPS])
FPS = 30


class NoSlates(SlateBook):
    """Nothing is shown in the place of who is away."""

    async def get(self, shape: SlateShape) -> Slate | None:
        return None


class HeldStore(ObjectStore):
    """A store that holds a key until it is told to go on, and refuses as often as it is told."""

    held = ""
    refusals = 0
    reached: asyncio.Event
    may_go: asyncio.Event

    async def put(self, key: str, data: object, *, if_absent: bool = False) -> bool:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.held and key.endswith(self.held):
            self.reached.set()
            await self.may_go.wait()
        assert isinstance(data, bytes)
        return await super().put(key, data, if_absent=if_absent)


@dataclass
class Stage:
    """A live whose publishers are granted by hand."""

    database: Database
    objects: HeldStore
    live_id: uuid.UUID
    broadcasts: list[Broadcast] = field(default_factory=list)

    async def grant(self, session: str, gen: int) -> None:
        async with self.database.connection() as connection:
            await connection.execute(
                "UPDATE lives SET status = 'live', origin = $1, origin_gen = $2",
                {"session": session},
                gen,
            )

    async def open_writer(self) -> SegmentWriter:
        await self.grant("s", 1)
        ports = WriterPorts(self.database, self.objects, SystemClock())
        writer = SegmentWriter(self.live_id, ports)
        assert await writer.open("s", lambda: False)
        return writer

    def open_broadcast(self) -> Broadcast:
        ports = WriterPorts(self.database, self.objects, SystemClock())
        slates = NoSlates(SystemClock().monotonic_s)
        made = Broadcast(self.live_id, ports, slates, lambda: None, wait_briefly)
        self.broadcasts.append(made)
        return made

    async def list_rows(self) -> Sequence[StoredSegment]:
        async with self.database.connection() as connection:
            return await list_segments(connection, SegmentRange(self.live_id, 0, 9999))


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    folder = tmp_path / "held"
    folder.mkdir()
    objects = HeldStore.open(f"file://{folder}")
    objects.reached, objects.may_go = asyncio.Event(), asyncio.Event()
    async with database.connection() as connection:
        live_id = await create_room_row(connection, await create_user_row(connection, "ada"))
    made = Stage(database, objects, live_id)
    yield made
    for broadcast in made.broadcasts:
        await broadcast.close()


def send(frames: WaitingSamples, seconds: int) -> None:
    """Send pictures for so long, a keyframe every two seconds."""
    for number in range(seconds * FPS):
        ticks = number * VIDEO_TIMESCALE // FPS
        is_key = number % (2 * FPS) == 0
        frames.add_video(VideoSample(FORM, b"\0\0\0\1\x65", ticks, ticks, is_key))


async def test_a_publisher_who_left_before_it_was_granted_leaves_no_window_of_another(
    stage: Stage,
) -> None:
    broadcast, frames = stage.open_broadcast(), WaitingSamples()
    await stage.grant("first", 1)
    broadcast.begin_frames("first", frames, None)
    send(frames, 5)
    await wait_until(lambda: broadcast.is_playable)
    serving = broadcast._serving
    assert serving is not None
    broadcast.end()
    broadcast.begin_frames("second", WaitingSamples(), None)  # its room cannot be reached
    await asyncio.wait([serving])
    broadcast.end()
    await wait_until(lambda: broadcast.is_over)
    assert not broadcast.is_playable, "the live goes on elsewhere, and nobody here hears of it"
    assert broadcast.window is None


async def test_hls_is_off_no_longer_than_its_publisher_is_there(stage: Stage) -> None:
    broadcast = stage.open_broadcast()
    broadcast.begin("first", {"video": "VP8", "audio": "OPUS"})
    assert not broadcast.has_hls
    broadcast.end()
    assert broadcast.has_hls, "the live may go on elsewhere, in a codec that HLS carries"


async def test_the_wall_clock_of_whole_frames_begins_with_the_first_of_them(stage: Stage) -> None:
    broadcast, frames = stage.open_broadcast(), WaitingSamples()
    frames.began_at = EPOCH  # it waited until it was known how it can be shown
    await stage.grant("first", 1)
    broadcast.begin_frames("first", frames, None)
    send(frames, 5)
    await wait_until(lambda: broadcast.is_playable)
    assert broadcast.window is not None
    first = broadcast.window.list_entries(VIDEO)[0]
    assert broadcast.window.get_moment(first) == EPOCH


async def test_a_segment_that_the_window_gives_up_while_it_is_stored_is_stored_whole(
    stage: Stage,
) -> None:
    writer, programme = await stage.open_writer(), Programme()
    programme.run(5)
    stage.objects.held = f"/{VIDEO}/0.m4s"
    storing = asyncio.create_task(writer.store(programme.window, 0))
    await stage.objects.reached.wait()
    programme.run(2.5 * UNSAVED_SEGMENTS_MAX)
    given_up = programme.window.find_entry(AUDIO, 0)
    assert given_up is not None
    assert not given_up.parts
    stage.objects.may_go.set()
    await storing
    (row,) = await stage.list_rows()
    for track in (VIDEO, AUDIO):
        stored = await stage.objects.get(make_live_key(stage.live_id, 1, track, "0.m4s"))
        assert len(stored) == row.tracks[track].size_bytes


async def test_a_full_disk_is_waited_for(stage: Stage) -> None:
    writer, programme = await stage.open_writer(), Programme()
    programme.run(5)
    stage.objects.refusals = 2
    await writer.store(programme.window, 0)
    assert [row.number for row in await stage.list_rows()] == [0]
    stored = programme.window.find_entry(VIDEO, 0)
    assert stored is not None
    assert stored.is_stored


async def test_an_ended_live_is_over_elsewhere_once_its_last_segment_is_listed(
    stage: Stage,
) -> None:
    writer, programme, clock = await stage.open_writer(), Programme(), ManualClock()
    programme.run(7)
    await writer.store(programme.window, 0)
    shelf = LiveShelf(stage.database, clock, "http://elsewhere")

    async def end(ended: str) -> None:
        async with stage.database.connection() as connection:
            await connection.execute(
                f"UPDATE lives SET status = 'ended', origin = NULL, ended_at = {ended}"
            )

    async def look() -> tuple[int, bool]:
        clock.advance(FRESH_S)
        window = (await shelf.get(stage.live_id)).window
        assert window is not None
        return len(window.list_entries(VIDEO)), window.is_ended

    await end("now()")
    assert await look() == (1, False)
    await writer.store(programme.window, 1)
    await writer.close()
    assert await look() == (2, True)

    shelf = LiveShelf(stage.database, clock, "http://elsewhere")
    async with stage.database.connection() as connection:
        await connection.execute("UPDATE live_origins SET closed_at = NULL")
    await end(f"now() - interval '{LISTING_S + 1} seconds'")
    assert await look() == (2, True), "its edge did not live to list more"
