"""A publisher far from its edge, over a link that loses packets: what is recorded of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import pytest

from kit.clock import SystemClock
from kit.settings import Settings
from media.live.fragments import VIDEO
from media.sfu.reception import NACK_EVERY_S
from serve_apps.edge.server import EdgeServer
from storage.database import Database
from storage.live_segments import (
    SegmentRange,
    StoredSegment,
    list_segments,
    make_live_key,
    make_segment_name,
)
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_host
from tests.media.live.packets_stage import FRAME_TICKS
from tests.media.live.programme import iterate_fragments
from tests.media.sfu.impaired_link import HERE, Conditions, ImpairedLink
from tests.serve_apps.edge.edge_stage import invite, run_edge, use_free_ports
from tests.serve_apps.edge.live_publisher import publish
from tests.storage.live_rows import create_room_row
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media

ROUND_TRIP_S = 0.28
LOST = 12
STANDING_MAX_S = 0.02


class SteadyClock(SystemClock):
    """Does not count the time in which a busy machine let the process stand still."""

    def __init__(self) -> None:
        self._steady_s = self._asked_s = super().monotonic_s()

    def monotonic_s(self) -> float:
        before_s, self._asked_s = self._asked_s, super().monotonic_s()
        self._steady_s += min(self._asked_s - before_s, STANDING_MAX_S)
        return self._steady_s


async def list_rows(database: Database, room_id: uuid.UUID) -> Sequence[StoredSegment]:
    async with database.connection() as connection:
        return await list_segments(connection, SegmentRange(room_id, 0, 1000))


def knows_way(edge: EdgeServer, room_id: uuid.UUID) -> bool:
    """Tell whether the edge has learnt that the publisher's repeats take long."""
    return edge._sfu._rooms[str(room_id)].tracks["video"].missing._every_s > 1.5 * NACK_EVERY_S


async def test_the_recording_has_every_picture_that_a_publisher_far_away_repeats(
    settings: Settings, database: Database, objects: ObjectStore
) -> None:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    async with (
        asyncio.timeout(60),
        run_host(settings),
        run_edge(settings, objects, clock=SteadyClock()) as edge,
    ):
        link = ImpairedLink((HERE, edge._sfu.port), seed=1)
        await link.start()
        async with publish(settings, edge, room_id, link=link) as publisher:
            publisher.speed, publisher.picture_bytes = 1, 2500
            # Its way grows longer, so that nothing depends on how soon the first repeat comes.
            link.down.conditions = Conditions(delay_s=ROUND_TRIP_S / 4)
            link.up.conditions = Conditions(delay_s=ROUND_TRIP_S / 4, loss=0.05)
            await wait_until(lambda: knows_way(edge, room_id))
            link.down.conditions = Conditions(delay_s=ROUND_TRIP_S / 2)
            link.up.conditions = Conditions(delay_s=ROUND_TRIP_S / 2, loss=0.02)
            lost = link.up.lost + LOST
            await wait_until(lambda: link.up.lost >= lost)
            link.up.conditions = link.down.conditions
            count = len(await list_rows(database, room_id)) + 2
            while len(rows := await list_rows(database, room_id)) < count:
                await asyncio.sleep(0.05)
        link.close()
    end = 0
    for row in rows:
        name = make_segment_name(row.number)
        data = await objects.get(make_live_key(room_id, row.origin_gen, VIDEO, name))
        for start, length, keys in iterate_fragments(data):
            assert (row.number, start) == (row.number, end or start)
            assert length == FRAME_TICKS * len(keys), f"pictures are missing in {row.number}"
            end = start + length
    assert not any(row.is_discontinuous for row in rows[1:])
