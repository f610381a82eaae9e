"""Where the product is put together: which class runs as which actor, and the API.

`cluster/` asks here what to start. Actor classes are plain and read their settings themselves, so
nothing secret travels as an argument; each stands in a module of its own, which is all that its
process imports.
"""

from __future__ import annotations

from serve_apps.api import deployment
from serve_apps.edges import Edge
from serve_apps.hosting import Host
from serve_apps.runners import Runner


def host_class() -> type:
    """Return the class that runs hosted objects; its argument is the host's id."""
    return Host


def edge_class() -> type:
    """Return the class that holds long-lived sockets; its argument is the slot."""
    return Edge


def runner_class() -> type:
    """Return the class that runs jobs and delivers events; it takes no argument."""
    return Runner


def bind_api(replicas: int, place: dict[str, float]) -> deployment.Application:
    """Return the API as a Serve application whose replicas each ask for `place`."""
    return deployment.bind_api(replicas, place)
