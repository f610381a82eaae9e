"""The room host and the edge start as Ray actors, say how they are, serve, and drain."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import ray

from kit.settings import SETTINGS_VARIABLE, Settings
from serve_apps.wiring import edge_class, host_class
from storage.database import Database
from storage.hosts import list_live_hosts
from tests.actors.hosting.stage import write_settings
from tests.free_ports import lend_port
from tests.ray_node import lend_ray
from tests.serve_apps.edge.edge_stage import use_free_ports

pytestmark = [pytest.mark.ray, pytest.mark.beside, pytest.mark.timeout(180)]


@pytest.fixture
def ray_node() -> Iterator[None]:
    with lend_ray():
        yield


async def test_a_host_and_an_edge_run_as_actors_and_drain(
    ray_node: None, settings: Settings, database: Database, tmp_path: Path
) -> None:
    settings = use_free_ports(settings)
    settings = dataclasses.replace(
        settings, edge=dataclasses.replace(settings.edge, udp_port=lend_port("udp"))
    )
    file = write_settings(settings, tmp_path / "settings.toml")
    options = {"num_cpus": 0, "runtime_env": {"env_vars": {SETTINGS_VARIABLE: str(file)}}}

    def make(kind: type, argument: Any) -> Any:
        return ray.remote(kind).options(**options).remote(argument)

    host, edge = make(host_class(), "host-0"), make(edge_class(), 0)
    await asyncio.wait_for(asyncio.gather(host.start.remote(), edge.start.remote()), 90)
    await host.start.remote()  # starting twice is fine
    facts = await host.describe.remote()
    assert facts["healthy"] is True
    assert facts["pid"] != os.getpid()
    url = f"http://127.0.0.1:{settings.edge.port}/health"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert (await answer.json())["status"] == "ok"
    async with database.connection() as connection:
        assert [entry.id for entry in await list_live_hosts(connection)] == ["host-0"]
    await asyncio.wait_for(asyncio.gather(edge.drain.remote(5.0), host.drain.remote(5.0)), 60)
    async with database.connection() as connection:
        assert await list_live_hosts(connection) == []
        assert await connection.fetchval("SELECT state FROM edges") == "gone"
