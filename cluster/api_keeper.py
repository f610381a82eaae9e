"""Keeps the API's Serve application: as many replicas as the nodes of the cluster want to carry.

Part of the head's crew. Serve places and heals the replicas; this says how many there are to be,
and deploys the application when it is not there.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import ray
from ray import serve
from ray.core.generated import autoscaler_pb2
from ray.serve.config import ProxyLocation

from cluster.processes import list_marked
from cluster.topology import API_APP
from kit.logs import get_log
from serve_apps import wiring

LOOK_EVERY_S = 2.0
LEAVE_POLL_S = 0.2
REPLICA_TITLE = "ray::ServeReplica"

log = get_log("cluster.api_keeper")


class ApiKeeper:
    """The application as last seen; `facts` is what the crew reports."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {"state": "starting", "pids": [], "fault": ""}
        self._deployed = 0

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

    def _look(self) -> None:
        wanted = int(cast(Any, ray).cluster_resources().get("api", 0))
        status = find_application()
        if status is not None and not self._deployed:
            self._deployed = sum(status["replicas"].values())  # an earlier crew's work goes on
        if wanted and (status is None or wanted != self._deployed):
            self._deploy(wanted)
            status = find_application()
        self.facts = status or {"state": "absent", "fault": ""}

    def _deploy(self, replicas: int) -> None:
        """Deploy the application, or change its number of replicas."""
        logging = {"enable_access_log": False, "log_level": "WARNING"}
        serve.start(proxy_location=ProxyLocation.Disabled, logging_config=logging)
        application = wiring.bind_api(replicas)
        serve.run(application, name=API_APP, route_prefix=None, blocking=False)
        self._deployed = replicas
        log.info("api.deployed", replicas=replicas)


def find_application() -> dict[str, Any] | None:
    """Return the state of the Serve application; None when it, or Serve itself, is not there."""
    try:
        application = serve.status().applications.get(API_APP)
    except ray.exceptions.ActorDiedError:
        # Somebody shut Serve down; a controller that merely restarts is "unavailable".
        return None
    if application is None:
        return None
    states: dict[str, int] = {}
    for deployment in application.deployments.values():
        for state, count in deployment.replica_states.items():
            name = str(getattr(state, "value", state)).lower()
            states[name] = states.get(name, 0) + count
    overall = str(application.status.value).lower()
    return {"state": overall, "replicas": states, "fault": application.message[-300:]}


def leave_serve(running_settings_file: Path, deadline_s: float) -> None:
    """Have Serve move this node's replicas to others; returns when it did, or at the deadline.

    Ray then takes no new work here, and ends its node process once nothing runs on it.
    """
    until_ms = int((time.time() + deadline_s) * 1000)
    control = cast(Any, ray)._private.worker.global_worker.gcs_client
    reason = cast(Any, autoscaler_pb2).DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION
    node_id = ray.get_runtime_context().get_node_id()
    is_accepted, refusal = control.drain_node(node_id, reason, "this node leaves", until_ms)
    if not is_accepted:
        log.warning("node.drain_refused", reason=refusal)
        return
    end = time.monotonic() + deadline_s
    while time.monotonic() < end and _has_replicas(running_settings_file):
        time.sleep(LEAVE_POLL_S)


def _has_replicas(running_settings_file: Path) -> bool:
    return any(
        record.name.startswith(REPLICA_TITLE) for record in list_marked(running_settings_file)
    )
