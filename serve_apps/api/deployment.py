"""The API as a Ray Serve deployment whose replicas listen themselves.

Serve gives replication, health, replacement and rolling updates; requests never pass through it.
No secret is an argument: each replica loads the settings file itself.
"""

from __future__ import annotations

import os
from typing import Any

from ray import serve

from kit.logs import configure_logs
from kit.settings import SETTINGS_VARIABLE, load_settings
from serve_apps.api.server import ApiServer
from serve_apps.api.shell import HostActors

Application = serve.Application
DEPLOYMENT = "api"
DRAIN_S = 10.0
DRAIN_MARGIN_S = 5.0
HEALTH_PERIOD_S = 1.0
HEALTH_TIMEOUT_S = 3.0


class ApiReplica:
    """One replica; `generation` only makes Serve roll when it changes."""

    # Serve awaits an asynchronous constructor; the type system knows no such thing.
    async def __init__(self, generation: str = "") -> None:  # type: ignore[misc]
        settings = load_settings()
        configure_logs(settings.log_level)
        self._generation = generation
        self._server = ApiServer(settings, HostActors(settings.cluster.namespace))
        await self._server.start()

    async def check_health(self) -> None:
        """Raise when the server has stopped; a loop that hangs misses the deadline instead."""
        self._server.check_serving()

    async def describe(self) -> dict[str, Any]:
        """Return what `status` shows."""
        return {"pid": os.getpid(), "healthy": True, "generation": self._generation}

    async def __del__(self) -> None:
        # Serve awaits this before it stops a replica in a roll, a downscale or a shutdown.
        await self._server.drain(DRAIN_S)


def bind_api(
    replicas: int,
    place: dict[str, float],
    settings_file: str | None = None,
    generation: str = "",
) -> Application:
    """Describe the API's deployment for `serve.run`; only the path of the settings travels.

    `place` is the custom resources that each replica asks for.
    """
    variables = {SETTINGS_VARIABLE: settings_file} if settings_file else {}
    deployment = serve.deployment(
        name=DEPLOYMENT,
        num_replicas=replicas,
        health_check_period_s=HEALTH_PERIOD_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=DRAIN_S + DRAIN_MARGIN_S,
        ray_actor_options={
            "num_cpus": 0,
            "resources": place,
            "runtime_env": {"env_vars": variables},
        },
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )(ApiReplica)
    return deployment.bind(generation)
