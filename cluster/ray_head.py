"""Starts Ray's control service and node process on this machine, then ends; they go on.

Run by the supervisor as `python -m cluster.ray_head` with the request as JSON on standard input
(the store's password is in it) and the answer as JSON on standard output. Ray's own `ray start`
puts that password on every command line, and starts helpers we do not use (300 MB).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from ray._private import node as ray_node
from ray._private import services
from ray._private.parameter import RayParams
from ray._private.resource_isolation_config import ResourceIsolationConfig

AGENT = Path(__file__).with_name("ray_agent.py")
AGENT_FLAG = "--dashboard_agent_command="
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class HeadRequest:
    """What to start; sizes in bytes."""

    port: int
    folder: str
    store_address: str
    store_password: str = field(repr=False)
    cpus: int
    object_store_bytes: int
    resources: dict[str, float]
    labels: dict[str, str]
    dashboard: bool = False


@dataclass(frozen=True)
class HeadStarted:
    """What runs now."""

    control_pid: int
    node_pid: int
    address: str
    session_folder: str


class _Head(ray_node.Node):
    """Ray's node without the helpers that serve a dashboard."""

    def start_api_server(self, **options: Any) -> None:
        """Start Ray's web server only when the dashboard is wanted."""
        if self._ray_params.include_dashboard:
            super().start_api_server(**options)
        else:
            self._webui_url = ""

    def start_gcs_server(self) -> None:
        """Start the control service; from here on nobody needs the store's password."""
        self._ray_params.redis_password = ""
        cast(Any, super()).start_gcs_server()


def start_head(request: HeadRequest) -> HeadStarted:
    """Start both processes (about 2 s); they outlive this one. Raises what Ray raises."""
    services.start_ray_process = cast(Any, _StartProcess(services.start_ray_process, request))
    params = cast(Any, RayParams)(
        node_ip_address=LOOPBACK,
        node_name="head",
        gcs_server_port=request.port,
        min_worker_port=0,
        max_worker_port=0,
        num_cpus=request.cpus,
        resources=request.resources,
        labels=request.labels,
        object_store_memory=request.object_store_bytes,
        temp_dir=request.folder,
        include_dashboard=request.dashboard,
        dashboard_host=LOOPBACK,
        include_log_monitor=False,
        no_monitor=True,
        dashboard_agent_listen_port=0,
        external_addresses=[request.store_address, request.store_address],
        redis_password=request.store_password,
        resource_isolation_config=ResourceIsolationConfig(),
    )
    head: Any = _Head(params, head=True, shutdown_at_exit=False, spawn_reaper=False)
    pids = {name: found[0].process.pid for name, found in head.all_processes.items()}
    return HeadStarted(
        pids["gcs_server"], pids["raylet"], head.gcs_address, head.get_session_dir_path()
    )


class _StartProcess:
    """Ray's own starter, with two command lines changed on the way."""

    def __init__(self, original: Any, request: HeadRequest) -> None:
        self._original = original
        self._request = request

    def __call__(self, command: list[str], process_type: str, fate_share: bool, **rest: Any) -> Any:  # noqa: FBT001 -- Ray's signature
        if process_type == "gcs_server":
            # gflags reads FLAGS_<name> for the flags listed here: the password stays off argv.
            command = [*command, "--fromenv=redis_password"]
            rest["env_updates"] = {"FLAGS_redis_password": self._request.store_password}
        if process_type == "raylet" and not self._request.dashboard:
            command = [_replace_agent(part, command) for part in command]
        return self._original(command, process_type, fate_share, **rest)


def _replace_agent(part: str, command: list[str]) -> str:
    if not part.startswith(AGENT_FLAG):
        return part
    flags = dict(flag.split("=", 1) for flag in command if flag.startswith("--") and "=" in flag)
    words = [
        *(sys.executable, "-I", "-S", str(AGENT)),
        f"--session-dir={flags['--session_dir']}",
        f"--node-id={flags['--node_id']}",
    ]
    return AGENT_FLAG + subprocess.list2cmdline(words)


def main() -> None:
    """Read the request, start, answer on the original standard output."""
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    started = start_head(HeadRequest(**json.load(sys.stdin)))
    answer.write(json.dumps(asdict(started)) + "\n")
    answer.flush()
    # Leaving without Ray's exit hooks: the processes just started must go on.
    os._exit(0)


if __name__ == "__main__":
    main()
