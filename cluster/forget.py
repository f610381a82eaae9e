"""Takes what a machine that will not return left in the cluster: its actors, its API, its hosts.

Run by `socialflow forget` as `python -m cluster.forget` with the machine's name as JSON on standard
input and the answer as JSON on standard output: a short-lived client of Ray. Without it Ray keeps
the actors, and Serve the application, for a node that may come back: they wait for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any, cast

import ray
from ray import serve

from cluster.ray_node import find_own_folder
from cluster.topology import API_APP
from kit.logs import configure_logs
from kit.settings import Settings, load_settings
from storage.database import Database, PoolOptions
from storage.hosts import delete_hosts_of


def forget(settings: Settings, name: str) -> dict[str, Any]:
    """End what machine `name` left; returns whether it lives (then nothing was done), and what."""
    ray.init(
        address=settings.cluster.ray_address,
        namespace=settings.cluster.namespace,
        _temp_dir=find_own_folder(settings),
        log_to_driver=False,
        configure_logging=False,
    )
    nodes = cast(Any, ray).nodes()
    if any(row["NodeName"] == name and row["Alive"] for row in nodes):
        return {"is_alive": True, "ended": []}
    ended = []
    application = f"{API_APP}@{name}"
    with contextlib.suppress(ray.exceptions.RayError, serve.exceptions.RayServeException):
        if application in serve.status().applications:
            # Its replicas have no node to end on: that may take for ever, and nobody need wait.
            serve.delete(application, _blocking=False)
            ended.append(application)
    for actor in cast(Any, ray).util.list_named_actors():
        if str(actor).partition("@")[2] == name:
            with contextlib.suppress(ray.exceptions.RayError, ValueError):
                ray.kill(ray.get_actor(actor), no_restart=True)
                ended.append(str(actor))
    ended += asyncio.run(forget_rows(settings, name))
    return {"is_alive": False, "ended": sorted(set(ended))}


async def forget_rows(settings: Settings, name: str) -> list[str]:
    """Delete the machine's hosts; what they ran is placed elsewhere when it is next asked for."""
    options = PoolOptions(size=1, wait_s=settings.database.wait_s, name="socialflow-forget")
    database = Database(settings.database.url, options)
    await database.open()
    try:
        async with database.transaction() as connection:
            return await delete_hosts_of(connection, name)
    finally:
        await database.close()


def main() -> None:
    """Read the name, carry it out, answer on the original standard output."""
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    settings = load_settings()
    configure_logs(settings.log_level)
    answer.write(json.dumps(forget(settings, json.load(sys.stdin)["name"])) + "\n")
    answer.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
