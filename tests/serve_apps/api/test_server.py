"""A replica on real sockets: it listens, shares its port, drains, and fails clearly."""

from __future__ import annotations

import asyncio
import dataclasses
import socket

import httpx
import pytest

from kit.setting_sections import HttpSettings
from kit.settings import Settings
from serve_apps.api.server import ApiServer, PortTaken, open_sockets
from tests.free_ports import lend_port
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db


@pytest.fixture
def placed(settings: Settings) -> Settings:
    port = lend_port()
    return dataclasses.replace(settings, http=HttpSettings(port=port))


async def test_a_replica_answers_on_every_address_and_drains(placed: Settings):
    server = ApiServer(placed)
    await server.start()
    try:
        for host in ("127.0.0.1", "[::1]"):
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"http://{host}:{placed.http.port}/health/ready")
                assert answer.status_code == 200
        server.check_serving()
    finally:
        await server.drain(60)
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{placed.http.port}/health/live")


async def test_no_request_fails_while_one_of_two_replicas_drains(placed: Settings):
    first, second = ApiServer(placed), ApiServer(placed)
    await first.start()
    await second.start()
    stopping, answers, failures = asyncio.Event(), [], []

    async def ask_often(client: httpx.AsyncClient) -> None:
        while not stopping.is_set():
            try:
                url = f"http://127.0.0.1:{placed.http.port}/v1/feed/explore"
                answers.append((await client.get(url)).status_code)
            except httpx.HTTPError as error:
                failures.append(repr(error))

    try:
        # One client keeps its connections, the other opens one per request.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with (
            httpx.AsyncClient(timeout=60) as keeping,
            httpx.AsyncClient(limits=limits, timeout=60) as opening,
        ):
            asking = [asyncio.create_task(ask_often(client)) for client in (keeping, opening)]
            await wait_until(lambda: len(answers) > 10 or bool(failures))
            await first.drain(60)
            at_drain = len(answers)
            await wait_until(lambda: len(answers) > at_drain + 10 or bool(failures))
            stopping.set()
            await asyncio.gather(*asking)
    finally:
        await second.drain(60)
    assert failures == []
    assert set(answers) <= {200, 429}


async def test_a_taken_port_is_named(placed: Settings):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", placed.http.port))
        holder.listen()
        with pytest.raises(PortTaken) as raised:
            open_sockets(placed.http)
    assert raised.value.details["port"] == placed.http.port
