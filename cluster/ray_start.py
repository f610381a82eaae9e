"""Starts Ray's processes on this machine, then ends; they go on: a node process, on the head the
control service before it.

Run by the supervisor as `python -m cluster.ray_start` with the request as JSON on standard input
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


@dataclass(frozen=True)
class NodeRequest:
    """The node to start; sizes in bytes. With a `head` (host:port) it joins that one."""

    name: str
    host: str
    folder: str
    cpus: int
    object_store_bytes: int
    resources: dict[str, float]
    labels: dict[str, str]
    head: str = ""


@dataclass(frozen=True)
class ControlRequest:
    """The control service to start before the node."""

    port: int
    store_address: str
    store_password: str = field(repr=False)
    dashboard: bool = False


@dataclass(frozen=True)
class RayStarted:
    """What runs now; `control_pid` is 0 on a machine that joined."""

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


def start_head(request: NodeRequest, control: ControlRequest) -> RayStarted:
    """Start both processes (about 2 s); they outlive this one. Raises what Ray raises."""
    services.start_ray_process = cast(Any, _StartProcess(services.start_ray_process, control))
    params = _make_params(
        request,
        gcs_server_port=control.port,
        include_dashboard=control.dashboard,
        external_addresses=[control.store_address, control.store_address],
        redis_password=control.store_password,
    )
    return _describe(_Head(params, head=True, shutdown_at_exit=False, spawn_reaper=False))


def start_member(request: NodeRequest) -> RayStarted:
    """Start a node process that joins the head's control service; raises what Ray raises."""
    services.start_ray_process = cast(Any, _StartProcess(services.start_ray_process, None))
    params = _make_params(request, gcs_address=request.head, webui="", dashboard_port=0)
    return _describe(ray_node.Node(params, head=False, shutdown_at_exit=False, spawn_reaper=False))


def _make_params(request: NodeRequest, **more: Any) -> Any:
    return cast(Any, RayParams)(
        node_ip_address=request.host,
        node_name=request.name,
        min_worker_port=0,
        max_worker_port=0,
        num_cpus=request.cpus,
        resources=request.resources,
        labels=request.labels,
        object_store_memory=request.object_store_bytes,
        temp_dir=request.folder,
        dashboard_host=request.host,
        include_log_monitor=False,
        no_monitor=True,
        dashboard_agent_listen_port=0,
        resource_isolation_config=ResourceIsolationConfig(),
        **more,
    )


def _describe(started: Any) -> RayStarted:
    pids = {name: found[0].process.pid for name, found in started.all_processes.items()}
    return RayStarted(
        pids.get("gcs_server", 0),
        pids["raylet"],
        started.gcs_address,
        started.get_session_dir_path(),
    )


class _StartProcess:
    """Ray's own starter, with two command lines changed on the way."""

    def __init__(self, original: Any, control: ControlRequest | None) -> None:
        self._original = original
        self._control = control

    def __call__(self, command: list[str], process_type: str, fate_share: bool, **rest: Any) -> Any:  # noqa: FBT001 -- Ray's signature
        if process_type == "gcs_server" and self._control is not None:
            # gflags reads FLAGS_<name> for the flags listed here: the password stays off argv.
            command = [*command, "--fromenv=redis_password"]
            rest["env_updates"] = {"FLAGS_redis_password": self._control.store_password}
        if process_type == "raylet" and not (self._control and self._control.dashboard):
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
    asked = json.load(sys.stdin)
    node = NodeRequest(**asked["node"])
    if asked["control"] is None:
        started = start_member(node)
    else:
        started = start_head(node, ControlRequest(**asked["control"]))
    answer.write(json.dumps(asdict(started)) + "\n")
    answer.flush()
    # Leaving without Ray's exit hooks: the processes just started must go on.
    os._exit(0)


if __name__ == "__main__":
    main()
