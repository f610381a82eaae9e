"""Storms of connections: let in at a stated rate, told when to come back, one address bounded."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections import Counter

import aiohttp
import pytest

from kit.clock import ManualClock
from kit.setting_sections import EdgeSettings
from kit.settings import Settings
from serve_apps.edge.admissions import Admissions, EdgeFull, TooManyArrivals
from serve_apps.edge.server import EdgeServer
from storage.objects import ObjectStore
from tests.serve_apps.edge.edge_stage import run_edge, use_free_ports

pytestmark = pytest.mark.db

RATE = 20


async def arrive(edge: EdgeServer, caller: str = "") -> tuple[int, str | None]:
    """Open a socket and leave; return the status and Retry-After."""
    headers = {"X-Forwarded-For": caller} if caller else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        try:
            async with session.ws_connect(f"{edge.address.url}/ws"):
                return 101, None
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status, (refused.headers or {}).get("Retry-After")


async def test_a_storm_is_let_in_at_the_stated_rate(
    settings: Settings, objects: ObjectStore, clock: ManualClock
) -> None:
    settings = use_free_ports(settings, handshakes_per_s_max=RATE)
    async with run_edge(settings, objects, clock=clock) as edge:
        for second, admitted in ((0.0, RATE), (0.5, RATE // 2), (60.0, RATE)):
            clock.advance(second)
            outcomes = Counter(await asyncio.gather(*(arrive(edge) for _ in range(3 * RATE))))
            assert outcomes == {(101, None): admitted, (503, "1"): 3 * RATE - admitted}


async def test_an_edge_out_of_breath_admits_nobody_until_it_has_caught_up(
    settings: Settings, objects: ObjectStore
) -> None:
    async def hog() -> None:
        while True:
            await asyncio.sleep(0.2)  # the watch is between two looks
            time.sleep(0.6)

    async with run_edge(use_free_ports(settings, loop_lag_max_ms=500), objects) as edge:
        async with asyncio.timeout(60):
            assert await arrive(edge) == (101, None)
            hogging = asyncio.create_task(hog())
            while (came := await arrive(edge)) != (503, "1"):
                assert came == (101, None), "the watch has not looked yet"
            hogging.cancel()
            while await arrive(edge) != (101, None):
                await asyncio.sleep(0.1)


async def test_one_address_does_not_keep_the_others_out(
    settings: Settings, objects: ObjectStore, clock: ManualClock
) -> None:
    settings = use_free_ports(settings, handshakes_per_address_s_max=2)
    http = dataclasses.replace(settings.http, trusted_proxies=("127.0.0.1/32",))
    settings = dataclasses.replace(settings, http=http)
    async with run_edge(settings, objects, clock=clock) as edge:
        outcomes = Counter([await arrive(edge, "198.51.100.1") for _ in range(20)])
        assert outcomes == {(101, None): 2, (429, "1"): 18}
        assert await arrive(edge, "198.51.100.2") == (101, None)
        assert await arrive(edge) == (101, None)


def test_an_address_keeps_a_bounded_number_open() -> None:
    rules = EdgeSettings(sockets_per_address_max=3, handshakes_per_address_s_max=100)
    admissions = Admissions(rules, 0.0)
    for _ in range(3):
        admissions.admit("192.0.2.1", 0, 0.0)
        admissions.note_opened("192.0.2.1")
    with pytest.raises(TooManyArrivals):
        admissions.admit("192.0.2.1", 3, 0.0)
    admissions.admit("192.0.2.2", 3, 0.0)
    admissions.note_closed("192.0.2.1")
    admissions.admit("192.0.2.1", 2, 0.0)


def test_the_rate_holds_over_time() -> None:
    admissions = Admissions(EdgeSettings(handshakes_per_s_max=10), 0.0)

    def count_admitted(now_s: float) -> int:
        admitted = 0
        for _ in range(50):
            with contextlib.suppress(EdgeFull):
                admissions.admit("127.0.0.1", 0, now_s)
                admitted += 1
        return admitted

    assert [count_admitted(now_s) for now_s in (0.0, 0.0, 0.5, 60.0)] == [10, 0, 5, 10]
