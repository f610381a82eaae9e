"""The receiving edge, in a process of its own: brings the lives it is told of, counts, says so."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.children import hear_parent, tell_parent
from kit.logs import configure_logs
from media.relay.messages import RelayPlace
from serve_apps.edge.relay_feed import Source
from tests.serve_apps.edge.relay_edge import RelayEdge

WAIT_S = 30.0


async def bring(edge: RelayEdge, message: dict[str, Any]) -> None:
    """Have every live relayed here; somebody is always about to watch."""
    place = RelayPlace(**message["place"])
    for text, publisher in message["lives"].items():
        edge.sources[uuid.UUID(text)] = Source(publisher, place)
    for room_id in edge.sources:
        await edge.feeds.bring(room_id)


async def watch(edge: RelayEdge) -> None:
    """Keep every live here, as viewers would."""
    while True:
        await asyncio.sleep(1.0)
        for room_id in edge.sources:
            await edge.feeds.bring(room_id)


def count_packets(edge: RelayEdge) -> int:
    """Return what came in."""
    return sum(room.packets_in for room in edge.sfu.stats().rooms)


async def serve(folder: str, way: str) -> None:
    """Answer the parent until it is gone."""
    configure_logs("error")
    edge = RelayEdge(Path(folder), "edge-1", way)
    await edge.start()
    watching = asyncio.create_task(watch(edge))
    while not watching.done():
        message = await asyncio.to_thread(hear_parent)
        if "lives" in message:
            await bring(edge, message)
        deadline_s = time.monotonic() + WAIT_S
        while count_packets(edge) < message.get("packets", 0) and time.monotonic() < deadline_s:
            await asyncio.sleep(0.02)
        tell_parent({"packets": count_packets(edge), "cpu_s": time.process_time()})


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:3]))
