"""What runs right now: the board, checked against the machine, with memory, CPU and health.

Used by `socialflow status` and by tests. Works without a supervisor: a pid counts only while its
start time is the one on the board.
"""

from __future__ import annotations

import http.client
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from cluster.board import find_board
from cluster.health import find_health
from cluster.home import Home
from cluster.processes import list_family, list_marked, measure
from cluster.ray_node import NODE
from cluster.records import Record, is_alive
from cluster.servers import TITLES
from cluster.topology import API_APP, Kind, get_api_url, get_edge_url, get_slot
from kit.settings import SETTINGS_VARIABLE, Settings, load_settings

SAMPLE_S = 0.5
ON_RAY = {Kind.HOST, Kind.RUNNER, Kind.EDGE, Kind.API}
REPLICA_TITLE = "ray::ServeReplica"
CONTROLLER_TITLES = ("ray::ServeController", "ray::Proxy")
AGENT_TITLES = ("ray::RuntimeEnvAgent", "ray::DashboardAgent")
WORKERS, CONTROLLER, AGENTS, DEMO = "media workers", "serve-controller", "ray-agents", "demo-live"


@dataclass(frozen=True)
class PartStatus:
    """One part: its processes, what they use, and whether it is well."""

    name: str
    kind: str
    health: str
    pids: list[int]
    cpu_percent: float
    pss_mb: float
    uptime_s: float
    fault: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ProductStatus:
    """The whole: `state` is running, starting, stopping, unsupervised or stopped."""

    state: str
    url: str
    edge_urls: list[str]
    home: str
    parts: list[PartStatus]
    pss_mb: float
    cpu_percent: float
    faults: list[dict[str, Any]]
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def read_status(home: Home, *, sample_s: float = SAMPLE_S) -> ProductStatus:
    """Look at every part, measuring CPU over `sample_s` seconds; reads only."""
    board = find_board(home.run / "status.json") or {"parts": [], "faults": [], "state": "stopped"}
    settings = _find_running_settings(home)
    families = _list_families(home, board)
    usage = measure(families, over_s=sample_s)
    known = {str(row["name"]): row for row in board["parts"]}
    is_local = NODE in known
    parts = []
    for name, pids in families.items():
        row = known.get(name, {})
        kind = str(row.get("kind") or _kind_of(name))
        parts.append(
            PartStatus(
                name=name,
                kind=kind,
                health=_judge(row or {"name": name}, pids, settings, is_local=is_local),
                pids=pids,
                cpu_percent=usage[name].cpu_percent,
                pss_mb=usage[name].pss_mb,
                uptime_s=round(time.time() - float(row["since"])) if row.get("since") else 0,
                fault=str(row.get("fault") or ""),
                facts=dict(row.get("facts") or {}),
            )
        )
    parts = [part for part in parts if part.pids or part.name in known]
    edges = [part for part in parts if part.kind == Kind.EDGE]
    return ProductStatus(
        state=_decide_state(board, families),
        url=settings.http.public_url if settings else "",
        edge_urls=[get_edge_url(settings, get_slot(p.name)) for p in edges] if settings else [],
        home=str(home.root),
        parts=parts,
        pss_mb=round(sum(part.pss_mb for part in parts), 1),
        cpu_percent=round(sum(part.cpu_percent for part in parts), 1),
        faults=list(board["faults"]),
        facts=dict(board.get("facts") or {}),
    )


def _find_running_settings(home: Home) -> Settings | None:
    path = home.running_settings_file
    return load_settings({SETTINGS_VARIABLE: str(path)}) if path.exists() else None


def _find_supervisor(board: dict[str, Any]) -> int | None:
    row = board.get("supervisor")
    record = Record(**row) if row else None
    return record.pid if record and is_alive(record) else None


def _list_families(home: Home, board: dict[str, Any]) -> dict[str, list[int]]:
    """Assign every process of the installation to one part."""
    marked = {record.pid: record for record in list_marked(home.running_settings_file)}
    boot_id = str(board.get("boot_id", ""))
    families: dict[str, list[int]] = {}
    supervisor = _find_supervisor(board)
    families["supervisor"] = [supervisor] if supervisor else []
    taken = set(families["supervisor"])
    for row in board["parts"]:
        name, pid, ticks = str(row["name"]), row["pid"], row["start_ticks"]
        is_here = pid and ticks and is_alive(Record(name, pid, ticks, boot_id))
        pids = [int(pid)] if is_here else []
        if pids and row["kind"] == Kind.SERVER:
            pids = list_family(pids[0])
        families[name] = pids
        taken.update(pids)
    for pid, record in marked.items():
        if pid not in taken:
            families.setdefault(_name_of(record.name), []).append(pid)
    return families


def _name_of(title: str) -> str:
    if title.startswith(REPLICA_TITLE):
        return API_APP
    if title.startswith(CONTROLLER_TITLES):
        return CONTROLLER
    if title.startswith(AGENT_TITLES) or "ray_agent.py" in title:
        return AGENTS
    if "cluster.seed.demo_live" in title:
        return DEMO
    return WORKERS if title.startswith("ray::") else "other"


def _kind_of(name: str) -> str:
    return {
        "supervisor": "supervisor",
        CONTROLLER: Kind.RAY,
        AGENTS: Kind.RAY,
        WORKERS: "worker",
    }.get(name, "other")


def _judge(
    row: dict[str, Any], pids: list[int], settings: Settings | None, *, is_local: bool
) -> str:
    """Say how a part is: asked over HTTP where it can be, else by its process and the board."""
    name, state = str(row["name"]), str(row.get("state") or "running")
    if not pids and (is_local or state != "running" or row.get("kind") not in ON_RAY):
        return "stopped" if state in {"running", "stopped"} else state
    if state == "drained":
        return state
    url = ""
    if settings and is_local and name == API_APP:
        url = get_api_url(settings)
    elif settings and is_local and name.startswith("edge-"):
        url = get_edge_url(settings, get_slot(name))
    if not url:
        return "healthy" if state == "running" else state
    answer = find_health(url)
    if answer == http.client.OK:
        return "healthy"
    return "silent" if answer is None else f"HTTP {answer}"


def _decide_state(board: dict[str, Any], families: dict[str, list[int]]) -> str:
    if families["supervisor"]:
        return str(board["state"])
    runs = any(pids for name, pids in families.items() if name != "supervisor")
    return "unsupervised" if runs else "stopped"


def get_title(name: str) -> str:
    """Return the name a person reads."""
    return TITLES.get(name, name)
