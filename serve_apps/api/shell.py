"""Hosts as the API reaches them besides their links: named actors that Ray finds.

For rare commands of operators alone; whatever concerns an object goes over the links.
"""

from __future__ import annotations

import asyncio
from typing import Any

import ray

from kit.logs import get_log
from serve_apps.http.state import HostAway

DRAIN_S = 10.0
MARGIN_S = 5.0
LOOK_TIMEOUT_S = 1.0

log = get_log("api")


class HostActors:
    """Commands hosts by their names in a Ray namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    async def drain(self, host_id: str) -> None:
        """Have the host hand everything over and rest; raises HostAway."""
        await self._call(host_id, "drain", DRAIN_S)

    async def resume(self, host_id: str) -> None:
        """Have the host serve again; raises HostAway."""
        await self._call(host_id, "start")

    async def is_resting(self, host_id: str) -> bool:
        """Say whether the host was drained and its process lives; False when nobody can tell."""
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                handle = await self._find(host_id)
                facts = await handle.describe.remote()
        except (ray.exceptions.RayError, ValueError, TimeoutError):
            return False
        return bool(facts["health"] == "drained")

    async def _find(self, host_id: str) -> Any:
        return await asyncio.to_thread(ray.get_actor, host_id, namespace=self._namespace)

    async def _call(self, host_id: str, method: str, *arguments: float) -> None:
        try:
            async with asyncio.timeout(DRAIN_S + MARGIN_S):
                handle = await self._find(host_id)
                await getattr(handle, method).remote(*arguments)
        except (ray.exceptions.RayError, ValueError, TimeoutError) as error:
            # ValueError: there is no actor of this name. RayError: it ended, or could not do it.
            log.warning("host.not_commanded", host=host_id, method=method, error=repr(error)[:300])
            raise HostAway from error
