"""The job runner class with all features' handlers, apart from the wiring of the rest.

A runner's process imports this module and nothing of the API, the edge or Serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from actors.job_runner.ports import JobHandler, JobSpec, Listener
from actors.job_runner.shell import JobRunnerShell
from kit.errors import AppError
from kit.logs import get_log
from serve_apps.comments import jobs as comments
from serve_apps.live import jobs as live
from serve_apps.objects import jobs as objects
from serve_apps.posts import jobs as posts
from serve_apps.subscriptions import jobs as subscriptions
from serve_apps.users import jobs as users
from serve_apps.videos import jobs as videos
from serve_apps.videos import telling
from serve_apps.videos.recipes import make_site_recipe

log = get_log("runner")

HANDLERS: Mapping[str, JobHandler | JobSpec] = MappingProxyType(
    {**live.HANDLERS, **videos.HANDLERS, **objects.HANDLERS, **subscriptions.HANDLERS}
)
"""Every job of every feature, by name."""

LISTENERS: Mapping[str, Listener] = MappingProxyType(
    {
        **live.LISTENERS,
        **posts.LISTENERS,
        **comments.LISTENERS,
        **users.LISTENERS,
        **subscriptions.LISTENERS,
        **telling.LISTENERS,
    }
)
"""Every listener of the outbox, by name."""


class Runner(JobRunnerShell):
    """The job runner with all features' handlers."""

    def __init__(self) -> None:
        super().__init__(HANDLERS, LISTENERS)

    async def start(self) -> None:
        """Begin, and say in the log which codecs of the settings cannot be made."""
        await super().start()
        make_site_recipe(self._settings.processing)
        await self._begin_sweeping()

    async def _begin_sweeping(self) -> None:
        assert self._ports is not None, "it has just begun"
        try:
            async with self._ports.database.transaction() as connection:
                await objects.begin_sweeping(connection, self._ports.clock.now())
        except AppError as error:
            # The run before has queued the next one; else the next start does.
            log.info("objects.sweep_not_queued", code=error.code)
