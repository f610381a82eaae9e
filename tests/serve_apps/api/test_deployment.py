"""The API under Ray Serve: replicas that listen themselves, replaced, rolled and drained."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from ray import serve
from ray.serve.config import ProxyLocation

from kit.setting_sections import HttpSettings, LimitSettings
from kit.settings import Settings
from serve_apps.api.deployment import DEPLOYMENT, bind_api
from tests.actors.hosting.stage import write_settings
from tests.free_ports import lend_port
from tests.ray_node import lend_ray

pytestmark = [pytest.mark.ray, pytest.mark.beside, pytest.mark.timeout(400)]

APP = "api-test"


@pytest.fixture(scope="module")
def ray_node() -> Iterator[None]:
    with lend_ray(api=2):
        serve.start(proxy_location=ProxyLocation.Disabled)
        yield
        serve.shutdown()


@dataclass
class Asking:
    """What a client that asks without pause has met."""

    answers: int = 0
    failures: list[tuple[float, str]] = field(default_factory=list)
    """When each request that failed was begun, and why it did."""

    async def await_more(self, count: int) -> None:
        """Return once so many more requests were answered."""
        wanted = self.answers + count
        async with asyncio.timeout(60):
            while self.answers < wanted:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Asking]:
    """Ask without pause over fresh connections, so that every replica gets its share."""
    met, stopping = Asking(), asyncio.Event()

    async def ask() -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            while not stopping.is_set():
                began_s = time.monotonic()
                try:
                    answer = await client.get(url)
                    assert answer.status_code == 200
                    met.answers += 1
                except httpx.HTTPError as error:
                    met.failures.append((began_s, repr(error)))
                await asyncio.sleep(0.1)

    tasks = [asyncio.create_task(ask()) for _ in range(2)]
    yield met
    stopping.set()
    await asyncio.gather(*tasks)


async def list_pids(replicas: int) -> set[int]:
    """Ask Serve until it names so many different replicas; they load the whole API first."""
    handle = serve.get_deployment_handle(DEPLOYMENT, APP)
    async with asyncio.timeout(120):
        while True:
            found = [(await handle.describe.remote())["pid"] for _ in range(8)]
            if len(set(found)) == replicas:
                return set(found)
            await asyncio.sleep(0.2)


async def test_replicas_are_replaced_rolled_and_drained_without_losing_requests(
    ray_node: None, settings: Settings, tmp_path: Path
):
    port = lend_port()
    placed = dataclasses.replace(
        settings, http=HttpSettings(port=port), limits=LimitSettings(rates_enabled=False)
    )
    file = str(write_settings(placed, tmp_path / "settings.toml"))
    url = f"http://127.0.0.1:{port}/v1/feed/explore"

    def deploy(generation: str) -> None:
        serve.run(bind_api(2, {"api": 0.5}, file, generation), name=APP, route_prefix=None)

    await asyncio.to_thread(deploy, "1")
    before = await list_pids(2)
    assert os.getpid() not in before

    async with asking(url) as met:
        await met.await_more(10)
        killed = psutil.Process(before.copy().pop())
        killed.kill()
        await asyncio.to_thread(killed.wait, 60)
        gone_s = time.monotonic()
        after = await list_pids(2)
        await met.await_more(10)
    assert len(after & before) == 1
    assert [text for began_s, text in met.failures if began_s > gone_s] == []

    async with asking(url) as met:
        await asyncio.to_thread(deploy, "2")
        rolled = await list_pids(2)
        await met.await_more(10)
    print(f"rolled {after} to {rolled}: {met.answers} answers, {len(met.failures)} failures")
    assert not rolled & after
    assert met.failures == []

    await asyncio.to_thread(serve.delete, APP)
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
