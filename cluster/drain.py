"""Takes actors out of service or back into it by name, wherever in the cluster they run.

Run by `socialflow drain` as `python -m cluster.drain` with the request as JSON on standard input
and the answer as JSON on standard output: a short-lived client of Ray. The actors stay; one that is
drained begins again when it is resumed, or when its process is started anew.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any, cast

import ray

from cluster.ray_node import find_own_folder
from cluster.topology import Kind
from kit.logs import configure_logs, get_log
from kit.settings import Settings, load_settings

DRAIN_S = 10.0
MARGIN_S = 5.0
ORDER = (Kind.EDGE, Kind.RUNNER, Kind.HOST)
"""Edges first: their clients go elsewhere while the rooms are still here."""

log = get_log("cluster.drain")


@dataclass(frozen=True)
class DrainRequest:
    """Whom: an actor (`host-0`, `edge-1@b`) or all of a node; `is_undone` brings them back."""

    target: str
    is_undone: bool = False


def choose_actors(target: str, names: list[str], head: str) -> list[str]:
    """Return the actors that `target` means, in the order in which they are drained.

    `head` is the name of the node whose actors carry no node's name.
    """
    kinds = [kind.value for kind in ORDER]
    ours = [name for name in names if _read_kind(name) in kinds]
    chosen = [name for name in ours if name == target or (name.partition("@")[2] or head) == target]
    return sorted(chosen, key=lambda name: (kinds.index(_read_kind(name)), name))


def _read_kind(name: str) -> str:
    return name.partition("@")[0].partition("-")[0]


def drain(settings: Settings, request: DrainRequest) -> dict[str, Any]:
    """Drain or resume the chosen actors one after another; returns what became of each."""
    ray.init(
        address=settings.cluster.ray_address,
        namespace=settings.cluster.namespace,
        _temp_dir=find_own_folder(settings),
        log_to_driver=False,
        configure_logging=False,
    )
    nodes = [row for row in cast(Any, ray).nodes() if "node:__internal_head__" in row["Resources"]]
    head = str(nodes[0]["NodeName"]) if nodes else settings.node_name
    names = [str(name) for name in cast(Any, ray).util.list_named_actors()]
    outcome: dict[str, str] = {}
    for name in choose_actors(request.target, names, head):
        handle: Any = ray.get_actor(name)
        try:
            if request.is_undone:
                ray.get(handle.start.remote(), timeout=DRAIN_S + MARGIN_S)
            else:
                ray.get(handle.drain.remote(DRAIN_S), timeout=DRAIN_S + MARGIN_S)
            outcome[name] = ""
        except ray.exceptions.RayError as error:
            outcome[name] = repr(error)[:300]
    return {"actors": outcome, "known": sorted(names)}


def main() -> None:
    """Read the request, carry it out, answer on the original standard output."""
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    settings = load_settings()
    configure_logs(settings.log_level)
    answer.write(json.dumps(drain(settings, DrainRequest(**json.load(sys.stdin)))) + "\n")
    answer.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
