"""Cuts publishers and viewers off a running product with two edges, and takes the time of each."""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp
import httpx

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from storage.database import Database, PoolOptions
from storage.edges import list_live_edges
from tests.product import Product
from tests.serve_apps.api_client import register
from tests.serve_apps.edge.cut_scene import CutScene, make_moderator, time_losses

LIVES, LIVES_SHORT = 4, 1
ANSWER_TIMEOUT_S = 60.0
WAYS: Mapping[str, tuple[str, ...]] = {
    "key replaced": ("whip", "rtmp"),
    "taken down": ("whep", "hls", "chat"),
}
WORK = "everybody was cut off"
OPTIONS = {
    "edge_count": "2",
    "limits_rates_enabled": "false",
    # An edge that is out of breath turns viewers away; here they share its machine.
    "edge_loop_lag_max_ms": "60000",
}
Taken = dict[str, list[float]]


@asynccontextmanager
async def open_scene(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Let people in whose lives last until they are cut."""
    async with products(**OPTIONS) as product, AsyncExitStack() as stack:
        scene = await make_scene(product, stack)

        async def replace_keys(form: Form) -> Answer:
            return await measure(scene, form, "key replaced")

        async def take_down(form: Form) -> Answer:
            return await measure(scene, form, "taken down")

        yield {"key replaced": replace_keys, "taken down": take_down}
        await scene.close_films()


async def make_scene(product: Product, stack: AsyncExitStack) -> CutScene:
    """Register an owner and a moderator."""
    enter = stack.enter_async_context
    client = await enter(httpx.AsyncClient(base_url=product.url, timeout=ANSWER_TIMEOUT_S))
    suffix = product.home.parent.name.rpartition("-")[2]
    owner = await register(client, f"cuts_owner_{suffix}")
    moderator = await register(client, f"cuts_moderator_{suffix}")
    database = Database(product.settings.database.url, PoolOptions(size=1, name="cuts"))
    await database.open()
    stack.push_async_callback(database.close)
    edges = await find_edges(database)
    return CutScene(
        client=client,
        http=await enter(aiohttp.ClientSession()),
        owner=owner,
        moderator=await make_moderator(database, client, moderator),
        edges=edges,
        stack=stack,
    )


async def replace_key(scene: CutScene, taken: Taken) -> None:
    """Replace the key of a live while it is published by WHIP, then by RTMP."""
    for way, publish in (("whip", scene.publish_whip), ("rtmp", scene.publish_rtmp)):
        live = await scene.announce()
        lose = await publish(live)
        cut = scene.owner.post(f"/v1/live/{live['id']}/key")
        taken[way].append((await time_losses(cut, {way: lose}))[way])
        await scene.owner.post(f"/v1/live/{live['id']}/end")


async def take_live_down(scene: CutScene, taken: Taken) -> None:
    """Take a live down that is watched at both edges."""
    live = await scene.announce()
    await scene.publish_whip(live)
    viewers = [await scene.watch(live, edge) for edge in scene.edges]
    cut = scene.moderator.post(f"/v1/live/{live['id']}/takedown", {"reason": "To measure."}, 204)
    ways = {
        (way, viewer.edge): lose
        for viewer in viewers
        for way, lose in zip(
            WAYS["taken down"],
            (viewer.lose_webrtc, viewer.lose_hls, viewer.lose_chat),
            strict=True,
        )
    }
    for (way, _edge), took_s in (await time_losses(cut, ways)).items():
        taken[way].append(took_s)


CUTS = {"key replaced": replace_key, "taken down": take_live_down}


async def find_edges(database: Database) -> tuple[str, str]:
    """Return both edges once they are there: questions before may have killed one."""
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        while True:
            async with database.connection() as connection:
                edges = [edge.url for edge in await list_live_edges(connection) if not edge.is_late]
            if len(edges) == 2:
                return edges[0], edges[1]
            await asyncio.sleep(0.1)


async def measure(scene: CutScene, form: Form, side: str) -> Answer:
    """Cut several lives, one after another."""
    taken: Taken = defaultdict(list)
    for _ in range(form.choose(LIVES, LIVES_SHORT)):
        async with AsyncExitStack() as stack:
            await CUTS[side](replace(scene, stack=stack), taken)
    figures = {}
    for way in WAYS[side]:
        figures[f"{way}_p50_ms"] = statistics.median(taken[way]) * 1000
        figures[f"{way}_max_ms"] = max(taken[way]) * 1000
    return Answer(figures, WORK)
