"""The local Ray as the supervisor sees it: processes with records, started, mended, ended.

The head has two, the control service and its node process; a machine that joined has one. Imports
nothing of Ray. Every call blocks (up to 40 s for a start): run it in a thread. Ray's state lies in
the head's store; a full start uses a store emptied before and a fresh namespace in it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.home import Home, prepare_ray_folder
from cluster.nvenc import count_nvenc_places
from cluster.processes import end_processes, list_marked
from cluster.records import Record, RecordShelf, make_record
from cluster.topology import is_head, list_ports, list_resources
from kit.errors import AppError
from kit.logs import get_log
from kit.settings import Settings
from storage.embedded.ports import choose_port, is_port_free
from storage.embedded.valkey import ValkeyServer

CONTROL = "ray-control"
NODE = "ray-node"
NAMESPACE_VARIABLE = "RAY_external_storage_namespace"
PATIENCE_VARIABLE, PATIENCE_S = "RAY_gcs_rpc_server_reconnect_timeout_s", "3600"
"""A node away from the head goes on so long without it; Ray's own minute would end every socket."""
START_TIMEOUT_S = 60.0
END_GRACE_S = 4.0
SESSIONS_KEPT = 2
ERROR_TAIL_CHARS = 1500

log = get_log("cluster.ray")


class RayStartFailed(AppError):
    """Ray's processes did not come up; the text carries the end of what they said."""

    code, status, message = "ray_start_failed", 500, "Ray did not start."


@dataclass(frozen=True)
class RayContext:
    """What starting Ray needs to know."""

    home: Home
    settings: Settings
    environment: dict[str, str] = field(repr=False)
    shelf: RecordShelf
    is_brisk: bool = False
    """Whether the environment makes Ray look for lost nodes often."""


@dataclass(frozen=True)
class RayRunning:
    """A running Ray: where it answers and which processes it is here."""

    address: str
    control: Record | None
    node: Record


def find_ray(context: RayContext) -> RayRunning | None:
    """Return the running Ray when all of its processes live that this machine should have."""
    control = context.shelf.find_alive(CONTROL)
    node = context.shelf.find_alive(NODE)
    if node is None or (control is None and is_head(context.settings)):
        return None
    address = control.details["address"] if control else context.settings.cluster.head
    return RayRunning(address, control, node)


def start_ray(context: RayContext, store: ValkeyServer, *, namespace: str | None) -> RayRunning:
    """Start both processes, ending what is left of earlier ones; raises RayStartFailed.

    `namespace` None begins with nothing; a given one brings the actors of that one back.
    """
    earlier = context.shelf.find(CONTROL)
    end_ray(context, grace_s=0.0)
    _remove_old_sessions(prepare_ray_folder(context.home))
    name = namespace or f"up-{secrets.token_hex(4)}"
    wanted = int(earlier.details["port"]) if earlier and namespace else 0
    port = choose_port(
        wanted or context.settings.cluster.ray_port,
        {need.port for need in list_ports(context.settings)},
    )
    request = {
        "port": port,
        "store_address": f"127.0.0.1:{store.port}",
        "store_password": store.password,
        "dashboard": context.settings.cluster.dashboard,
    }
    answer = _launch(context, request, {NAMESPACE_VARIABLE: name})
    details = {
        "address": answer["address"],
        "namespace": name,
        "port": port,
        "session_folder": answer["session_folder"],
        "argv": _read_argv(answer["control_pid"]),
        "is_brisk": context.is_brisk,
    }
    control = make_record(CONTROL, answer["control_pid"], details)
    node = make_record(NODE, answer["node_pid"])
    if control is None or node is None:
        raise RayStartFailed(f"Ray ended right after its start; see {answer['session_folder']}.")
    context.shelf.write(control)
    _take_node(context, node, answer)
    log.info("ray.started", port=port, control_pid=control.pid, node_pid=node.pid, namespace=name)
    return RayRunning(answer["address"], control, node)


def join_ray(context: RayContext) -> RayRunning:
    """Start this machine's node process under the head's control service; raises RayStartFailed."""
    end_ray(context, grace_s=0.0)
    _remove_old_sessions(prepare_ray_folder(context.home))
    answer = _launch(context, None, {PATIENCE_VARIABLE: PATIENCE_S})
    node = make_record(NODE, answer["node_pid"])
    if node is None:
        raise RayStartFailed(f"Ray ended right after its start; see {answer['session_folder']}.")
    _take_node(context, node, answer)
    log.info("ray.joined", head=context.settings.cluster.head, node_pid=node.pid)
    return RayRunning(context.settings.cluster.head, None, node)


def _take_node(context: RayContext, node: Record, answer: dict[str, Any]) -> None:
    context.shelf.write(node)
    _link_logs(context.home, Path(answer["session_folder"]))


def restart_control(context: RayContext, store: ValkeyServer) -> RayRunning | None:
    """Start the control service again under its living node process; None when there is none.

    The same command line on the same port: node, workers and drivers reconnect, actors go on.
    """
    earlier = context.shelf.find(CONTROL)
    node = context.shelf.find_alive(NODE)
    if earlier is None or node is None:
        return None
    argv = [
        f"--redis_port={store.port}" if word.startswith("--redis_port=") else word
        for word in earlier.details["argv"]
    ]
    environment = {
        **context.environment,
        NAMESPACE_VARIABLE: earlier.details["namespace"],
        "FLAGS_redis_password": store.password,
    }
    process = subprocess.Popen(  # noqa: S603 -- the command line of our own earlier process
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + START_TIMEOUT_S
    while is_port_free(earlier.details["port"]):
        if process.poll() is not None or time.monotonic() > end:
            raise RayStartFailed("Ray's control service did not come back.")
        time.sleep(0.05)
    details = {**earlier.details, "argv": argv, "is_brisk": context.is_brisk}
    control = make_record(CONTROL, process.pid, details)
    if control is None:
        raise RayStartFailed("Ray's control service ended at once.")
    context.shelf.write(control)
    log.info("ray.control_restarted", pid=control.pid)
    return RayRunning(control.details["address"], control, node)


def find_namespace(context: RayContext) -> str | None:
    """Return the namespace of the Ray started last."""
    record = context.shelf.find(CONTROL)
    return str(record.details["namespace"]) if record and "namespace" in record.details else None


def find_own_folder(settings: Settings) -> str | None:
    """Return the folder of the Ray node that this installation runs; None on one of others."""
    has_node = RecordShelf(settings.run_folder).find_alive(NODE) is not None
    return str(Home(settings.home).ray_folder) if has_node else None


def end_ray(context: RayContext, *, grace_s: float) -> None:
    """End node, workers and control service, in this order; what is already gone is no fault."""
    node = context.shelf.find_alive(NODE)
    control = context.shelf.find_alive(CONTROL)
    marked = list_marked(context.home.running_settings_file)
    workers = [record for record in marked if record.name.startswith("ray::")]
    binaries = [r for r in marked if Path(r.name.split(" ")[0]).name in {"raylet", "gcs_server"}]
    for chosen in ([node] if node else [], workers, [control] if control else []):
        end_processes(chosen, grace_s=grace_s)
    end_processes(binaries, grace_s=0.0)
    context.shelf.remove(NODE)
    context.shelf.remove(CONTROL)


def _launch(
    context: RayContext, control: dict[str, Any] | None, variables: dict[str, str]
) -> dict[str, Any]:
    cluster = context.settings.cluster
    request = {
        "node": {
            "name": context.settings.node_name,
            "host": cluster.host,
            "folder": str(context.home.ray_folder),
            "cpus": os.cpu_count() or 1,
            "object_store_bytes": cluster.object_store_mb << 20,
            "resources": list_resources(
                context.settings, count_nvenc_places(context.settings.processing)
            ),
            "labels": {"socialflow/role": "all"},
            "head": cluster.head,
        },
        "control": control,
    }
    try:
        result = subprocess.run(
            [sys.executable, "-m", "cluster.ray_start"],
            input=json.dumps(request),
            env={**context.environment, **variables},
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
            start_new_session=True,
        )
        return dict(json.loads(result.stdout.splitlines()[-1]))
    except (subprocess.TimeoutExpired, IndexError, ValueError) as error:
        said = getattr(error, "stderr", None) or (
            "" if isinstance(error, subprocess.TimeoutExpired) else result.stderr
        )
        tail = str(said).strip()[-ERROR_TAIL_CHARS:]
        raise RayStartFailed(f"Ray did not start. Its last words:\n{tail}") from error


def _read_argv(pid: int) -> list[str]:
    return [os.fsdecode(w) for w in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]]


def _remove_old_sessions(folder: Path) -> None:
    """Keep the logs of the last two starts."""
    sessions = sorted(path for path in folder.glob("session_2*") if path.is_dir())
    for path in sessions[: -SESSIONS_KEPT + 1]:
        shutil.rmtree(path, ignore_errors=True)


def _link_logs(home: Home, session: Path) -> None:
    link = home.logs / "ray"
    link.unlink(missing_ok=True)
    link.symlink_to(session / "logs")
