"""Where the product is put together: which class runs as which actor, with which handlers.

`cluster/` asks here what to start; nothing else composes features. Actor classes are plain and
read their settings themselves, so nothing secret travels as an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from actors.job_runner.ports import JobHandler, JobSpec, Listener
from actors.job_runner.shell import JobRunnerShell
from serve_apps.api import deployment
from serve_apps.comments import jobs as comments
from serve_apps.edge.server import UploadRules
from serve_apps.edge.shell import EdgeShell
from serve_apps.hosting import Host
from serve_apps.live import jobs as live
from serve_apps.posts import jobs as posts
from serve_apps.users import jobs as users
from serve_apps.videos import arrivals
from serve_apps.videos import jobs as videos
from serve_apps.videos import service as video_rules

HANDLERS: Mapping[str, JobHandler | JobSpec] = MappingProxyType(
    {**live.HANDLERS, **videos.HANDLERS}
)
"""Every job of every feature, by name."""

LISTENERS: Mapping[str, Listener] = MappingProxyType(
    {**live.LISTENERS, **posts.LISTENERS, **comments.LISTENERS, **users.LISTENERS}
)
"""Every listener of the outbox, by name."""


class Runner(JobRunnerShell):
    """The job runner with all features' handlers."""

    def __init__(self) -> None:
        super().__init__(HANDLERS, LISTENERS)


class Edge(EdgeShell):
    """An edge that knows what a finished upload means."""

    def __init__(self, slot: int) -> None:
        rules = UploadRules(
            open=arrivals.open_file,
            declare=video_rules.declare_size,
            finish=video_rules.finish_upload,
            terminate=video_rules.terminate_upload,
        )
        super().__init__(slot, rules)


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
