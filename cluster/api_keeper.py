"""Keeps this node's API: one Serve application per node, whose replicas stay on it.

Part of every crew. Serve heals the replicas; this deploys the application when it is not there and
takes it away when the node leaves. It never deploys one that is there: Serve calls every deployment
a new version and would roll all replicas of it, the only one of a small node first.
"""

from __future__ import annotations

import asyncio
from typing import Any

import ray
from ray import serve
from ray.serve.config import ProxyLocation

from cluster.topology import name_api
from kit.logs import get_log
from kit.settings import Settings
from serve_apps import wiring

LOOK_EVERY_S = 2.0
ANYWHERE = {"api": 0.5}
"""On a Ray of others: a node offers one `api` per replica; the other half is room for a roll."""

log = get_log("cluster.api_keeper")


class ApiKeeper:
    """The application as last seen; `facts` is what the crew reports.

    `place` is what each replica asks for, so that it finds its node.
    """

    def __init__(self, settings: Settings, place: dict[str, float]) -> None:
        self.facts: dict[str, Any] = {"state": "starting", "pids": [], "fault": ""}
        self._application = name_api(settings)
        self._replicas = settings.http.replicas
        self._place = place

    async def keep(self) -> None:
        """Keep the application there until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self._look)
            except (
                ray.exceptions.RayError,
                serve.exceptions.RayServeException,
                TimeoutError,
            ) as error:
                self.facts = {**self.facts, "state": "restarting", "fault": repr(error)[:300]}
            except Exception as error:
                log.exception("api.deploy_failed")
                self.facts = {**self.facts, "state": "failing", "fault": repr(error)[:300]}
            await asyncio.sleep(LOOK_EVERY_S)

    def leave(self) -> None:
        """Drain the replicas and take the application away; the other nodes' stay."""
        serve.delete(self._application)

    def _look(self) -> None:
        status = find_application(self._application)
        if status is None:
            self._deploy()
            status = find_application(self._application)
        self.facts = status or {"state": "absent", "fault": ""}

    def _deploy(self) -> None:
        logging = {"enable_access_log": False, "log_level": "WARNING"}
        serve.start(proxy_location=ProxyLocation.Disabled, logging_config=logging)
        application = wiring.bind_api(self._replicas, self._place)
        serve.run(application, name=self._application, route_prefix=None, blocking=False)
        log.info("api.deployed", application=self._application, replicas=self._replicas)


def find_application(name: str) -> dict[str, Any] | None:
    """Return the state of a Serve application; None when it, or Serve itself, is not there."""
    try:
        application = serve.status().applications.get(name)
    except ray.exceptions.ActorDiedError:
        # Somebody shut Serve down; a controller that merely restarts is "unavailable".
        return None
    if application is None:
        return None
    states: dict[str, int] = {}
    for deployment in application.deployments.values():
        for state, count in deployment.replica_states.items():
            word = str(getattr(state, "value", state)).lower()
            states[word] = states.get(word, 0) + count
    overall = str(application.status.value).lower()
    return {"state": overall, "replicas": states, "fault": application.message[-300:]}
