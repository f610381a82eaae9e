"""A head that carries nothing and a worker that carries all, with every file in a bucket.

The head is killed under chat, and stopped.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import av
import pytest

from tests.buckets import list_keys, make_bucket, serve_buckets
from tests.e2e.conftest import OPTIONS, small_film
from tests.e2e.load import (
    ChatLoad,
    Viewer,
    await_video,
    end_live,
    insist,
    register,
    wait_for_in_flight,
)
from tests.e2e.test_kills import open_room
from tests.e2e.test_nodes import SECOND, check_nothing_lost, get_nodes, socket_at
from tests.e2e.test_video_kills import fetch, start_uploads, wait_until_ready
from tests.product import Product, await_true
from tests.serve_apps.edge.films import publish_film

__all__ = ["small_film"]  # the fixture

pytestmark = [pytest.mark.ray, pytest.mark.late, pytest.mark.timeout(300)]

DEADLINE_S = 60
BARE = {
    "http_replicas": "0",
    "hosts_count": "0",
    "edge_count": "0",
    "cluster_runners": "0",
    "cluster_media_workers": "0",
}
THE_YEAR_AFTER = (
    "UPDATE videos SET deleted_at = deleted_at - interval '1 year'",
    "UPDATE pgqueuer SET execute_after = now() WHERE entrypoint LIKE '%.purge%'",
)
"""What makes it a year since videos were deleted: their bytes go after a month."""
FULL = {
    "http_replicas": "1",
    "hosts_count": "2",
    "edge_count": "1",
    "cluster_runners": "1",
    "cluster_media_workers": "1",
}


@dataclass(frozen=True)
class Bucket:
    """Where all files of the product are."""

    address: str
    name: str


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """Lend an empty bucket, which processes find by their environment."""
    with serve_buckets() as address:
        yield Bucket(address, make_bucket(address))


@pytest.fixture(scope="module")
def head(bucket: Bucket) -> Iterator[Product]:
    """Lend a head that carries nothing."""
    running = Product.start(**{**OPTIONS, **BARE}, objects_url=f"s3://{bucket.name}")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def worker(head: Product) -> Iterator[Product]:
    """Lend the node that carries everything."""
    address = f"http://{SECOND}:{head.settings.http.port}"
    member = head.prepare_member(**{**FULL, "http_public_url": address})
    member.join(head.invite("worker", SECOND))
    yield member
    member.stop()


async def test_the_head_carries_nothing(head: Product, worker: Product):
    names = {row["name"] for row in head.status()["parts"]}
    assert not [name for name in names if name.startswith(("host-", "edge-", "runner", "api"))]
    assert get_nodes(worker) == {head.settings.node_name: True, "worker": True}


def count_pictures(address: str) -> int:
    """Play a playlist or a file to its end."""
    with av.open(address, timeout=DEADLINE_S) as container:
        return sum(1 for _picture in container.decode(video=0))


async def test_a_video_and_a_recording_live_in_the_bucket_until_they_are_deleted(
    head: Product, worker: Product, bucket: Bucket, small_film: Path
):
    async with aiohttp.ClientSession() as session:
        (upload,) = await start_uploads(session, worker, small_film, 1)
        await upload.send(session)
        await wait_until_ready(session, worker, [upload])
        owner = await register(session, worker.url)
        _, live = await insist(
            session, "POST", f"{worker.url}/v1/live", json={"title": "B"}, headers=owner.headers
        )
        ingest = live["ingest"]
        encoder = await publish_film(f"{ingest['rtmp']}/{live['stream_key']}")
        async with asyncio.timeout(DEADLINE_S):
            while not any(key.endswith("/1.m4s") for key in list_keys(bucket.address, bucket.name)):
                await asyncio.sleep(0.5)
        await encoder.stop()
        async with asyncio.timeout(DEADLINE_S):
            recording_id = await end_live(session, worker.url, live["id"], owner)
        owners = {upload.video_id: upload.owner, recording_id: owner}
        for video_id, whose in owners.items():
            address = f"{worker.url}/v1/videos/{video_id}"
            async with asyncio.timeout(DEADLINE_S):
                playback = (await await_video(session, address))["playback"]
            counts = [
                await asyncio.to_thread(count_pictures, playback[way])
                for way in ("hls", "download")
            ]
            assert counts[0] == counts[1] > 0
            assert (await insist(session, "DELETE", address, headers=whose.headers))[0] == 204
    async with asyncio.timeout(DEADLINE_S):
        while list_keys(bucket.address, bucket.name):
            for statement in THE_YEAR_AFTER:
                await fetch(head, statement)
            await asyncio.sleep(0.5)
    assert not list(worker.place.root.rglob("*.m4s"))


def await_parts(product: Product, killed: dict[str, int]) -> None:
    """Wait until others than the killed processes do their work."""
    for part, pid in killed.items():
        product.await_new(part, pid)


async def test_chat_sockets_and_new_rooms_go_on_while_the_head_is_away(
    head: Product, worker: Product
):
    async with aiohttp.ClientSession() as session:
        room, _socket, people = await open_room(session, worker)
        newcomer = await register(session, worker.url)
    viewers = [Viewer(socket_at(worker), room, people[n]) for n in range(2)]
    for viewer in viewers:
        await viewer.start()
    load = ChatLoad(socket_at(worker), room, people)
    await load.start()
    killed = {part: head.pids(part)[0] for part in ("ray-control", "ray-node")}
    carried = {part: worker.pids(part) for part in ("host-0@worker", "edge-0@worker", "api")}
    caught = await wait_for_in_flight(load)
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    coming = asyncio.create_task(asyncio.to_thread(await_parts, head, killed))
    await load.await_more(50)
    async with aiohttp.ClientSession() as session:
        title = {"title": "while the head is away"}
        status, live = await insist(
            session, "POST", f"{worker.url}/v1/live", json=title, headers=newcomer.headers
        )
        assert status == 201, live
        late = Viewer(socket_at(worker), live["id"], newcomer)
        await late.start()
        await late.stop()
        opened_s = time.monotonic() - started
    was_away = not coming.done()
    await coming
    ray_s = time.monotonic() - started
    await asyncio.to_thread(
        await_true, lambda: all(get_nodes(head).values()), "the head knows its nodes", timeout_s=60
    )
    back_s = time.monotonic() - started
    await load.await_more(50)
    await load.stop()
    await check_nothing_lost(head, room, load, viewers)
    print(
        f"\nhead {killed}: {caught} in flight, {len(load.acknowledged)} acknowledged, "
        f"{load.failures} failures, a new room after {opened_s:.1f} s, "
        f"Ray back after {ray_s:.1f} s, its crew after {back_s:.1f} s"
    )
    assert caught >= 10
    assert was_away, "chat and new rooms go on before Ray is back"
    assert load.failures == 0
    assert [viewer.reconnects for viewer in viewers] == [0, 0]
    assert {part: worker.pids(part) for part in carried} == carried


async def test_a_head_that_was_stopped_and_started_finds_its_worker_again(
    head: Product, worker: Product
):
    stopped = await asyncio.to_thread(head.run, "down")
    assert stopped.returncode == 0, stopped.stdout
    await asyncio.to_thread(head.up)
    started = time.monotonic()

    def is_whole() -> bool:
        health = {part.health for part in worker.look().parts}
        return health == {"healthy"} and get_nodes(head).get("worker", False)

    await asyncio.to_thread(await_true, is_whole, "the worker is back", timeout_s=90)
    print(f"\nthe worker is back {time.monotonic() - started:.1f} s after the head")
    async with aiohttp.ClientSession() as session:
        room, socket_url, people = await open_room(session, worker)
    viewer = Viewer(socket_url, room, people[0])
    await viewer.start()
    await viewer.stop()
