"""Which parts the product consists of, as plain data decided from the settings.

Read by the crew (what to keep alive), the supervisor (what to wait for) and `status`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kit.settings import Settings

API_APP = "api"
EDGE_PORT_STEP = 10
DATABASE_REFUSED = 3
"""Exit status of the migration when the server cannot serve this product at all."""


class Kind(StrEnum):
    """What a part is; the order is that of starting, its reverse that of stopping."""

    SERVER = "server"
    RAY = "ray"
    CREW = "crew"
    HOST = "host"
    RUNNER = "runner"
    API = "api"
    EDGE = "edge"


@dataclass(frozen=True)
class ActorPart:
    """One named actor: its kind names the class, `argument` is all its constructor gets."""

    name: str
    kind: Kind
    argument: str | int | None = None


def is_head(settings: Settings) -> bool:
    """Say whether this machine is the one that others join."""
    return not settings.cluster.head


def list_actors(settings: Settings) -> tuple[ActorPart, ...]:
    """List the named actors of this node; away from the head they carry the node's name."""
    where = "" if is_head(settings) else f"@{settings.node_name}"
    hosts = [f"host-{n}{where}" for n in range(settings.hosts.count)]
    runners = [f"runner{where}"] if settings.cluster.runners else []
    return (
        *(ActorPart(name, Kind.HOST, name) for name in hosts),
        *(ActorPart(name, Kind.RUNNER) for name in runners),
        *(ActorPart(f"edge-{n}{where}", Kind.EDGE, n) for n in range(settings.edge.count)),
    )


def name_api(settings: Settings) -> str:
    """Return the Serve application of this node: each has its own, so none rolls another's."""
    return API_APP if is_head(settings) else f"{API_APP}@{settings.node_name}"


def get_slot(name: str) -> int:
    """Return the slot of an edge by its name."""
    return int(name.removeprefix("edge-").partition("@")[0])


def name_place(node: str) -> str:
    """Return the custom resource that only this node has: its actors ask for a bit of it."""
    return f"at:{node}"


def list_resources(settings: Settings, nvenc_places: int = 0) -> dict[str, float]:
    """Return the custom resources of a node; `api` counts the API replicas it is to carry.

    `nvenc_places`: how many pieces its GPU encodes at a time.
    """
    counts = {
        "host": settings.hosts.count,
        "edge": settings.edge.count,
        "api": settings.http.replicas,
        "media": settings.cluster.media_workers,
        "nvenc": nvenc_places,
    }
    return {
        name_place(settings.node_name): 1.0,
        **{name: float(count) for name, count in counts.items() if count > 0},
    }


def count_connections(settings: Settings) -> int:
    """Return how many PostgreSQL connections the product opens at most, listeners included."""
    pools = settings.database
    api = settings.http.replicas * (pools.api_pool + 1)
    hosts = settings.hosts.count * pools.host_pool
    edges = settings.edge.count * (pools.edge_pool + 2)
    runners = settings.cluster.runners * (pools.runner_pool + 4)
    return api + hosts + edges + runners


def get_api_url(settings: Settings) -> str:
    """Return where this machine reaches the API."""
    host = settings.http.hosts[0] if settings.http.hosts else "127.0.0.1"
    return f"http://{_bracket(_reachable(host))}:{settings.http.port}"


def get_edge_url(settings: Settings, slot: int) -> str:
    """Return where this machine reaches an edge."""
    port = settings.edge.port + EDGE_PORT_STEP * slot
    return f"http://{_bracket(_reachable(settings.edge.host))}:{port}"


@dataclass(frozen=True)
class PortNeed:
    """A fixed port the product listens on; `kind` is tcp or udp."""

    what: str
    host: str
    port: int
    kind: str


def list_ports(settings: Settings) -> list[PortNeed]:
    """List the fixed ports of this node."""
    http, edge = settings.http, settings.edge
    hosts = http.hosts if http.replicas else ()
    needs = [PortNeed("the page and the API", host, http.port, "tcp") for host in hosts]
    for slot in range(edge.count):
        step = EDGE_PORT_STEP * slot
        needs.append(PortNeed(f"edge {slot}", edge.host, edge.port + step, "tcp"))
        needs.append(PortNeed(f"WebRTC of edge {slot}", "0.0.0.0", edge.udp_port + step, "udp"))  # noqa: S104 -- where it listens
    if edge.count:
        rtmp = (("RTMP", settings.rtmp.port), ("RTMPS", settings.rtmp.tls_port))
        needs += [PortNeed(name, edge.host, port, "tcp") for name, port in rtmp if port]
    return needs


def list_reserved_ports(settings: Settings) -> frozenset[int]:
    """List the TCP ports that whoever may choose another one leaves to those that may not."""
    fixed = {need.port for need in list_ports(settings) if need.kind == "tcp"}
    return frozenset(fixed | {settings.cluster.ray_port})


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host
