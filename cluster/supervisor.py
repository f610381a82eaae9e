"""The supervisor: holds the installation's lock, starts the product, watches it, stops it.

Run by `socialflow up` in the foreground (or detached). Only it hears Ctrl-C: everything it starts
has a session of its own. Killed, it takes nothing with it; the next one takes over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.boot import boot
from cluster.halt import halt, halt_hard
from cluster.site import Site
from cluster.topology import get_edge_url
from cluster.watch import Watch
from kit.errors import AppError
from kit.file_locks import take_lock
from kit.logs import get_log

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOCK_NAME = "supervisor.lock"

log = get_log("cluster.supervisor")


@dataclass
class StopRequests:
    """How often somebody asked to stop: once is in order, twice is hard."""

    count: int = 0
    first: asyncio.Event | None = None
    second: asyncio.Event | None = None

    def hear(self) -> None:
        """Count one more request."""
        self.count += 1
        event = self.first if self.count == 1 else self.second
        if event is not None:
            event.set()


def find_lock(run_folder: Path) -> int | None:
    """Return a descriptor holding the supervisor's lock; None while another supervisor has it."""
    descriptor = os.open(run_folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if take_lock(descriptor):
        return descriptor
    os.close(descriptor)
    return None


class Supervisor:
    """One run from start to stop over a site; the caller holds the lock."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = StopRequests()

    async def run(self) -> int:
        """Start, watch until told to stop, stop; return the exit status."""
        site = self._site
        async with self._hearing_signals():
            site.board.write()
            try:
                status = await self._start()
                if status is None:
                    await self._watch()
                    status = 0
            finally:
                if self._stop.count or site.board.state == "running":
                    await self._halt()
            return status

    async def stop(self, *, hard: bool = False) -> int:
        """Stop a product that has no supervisor."""
        self._site.board.state = "unsupervised"
        async with self._hearing_signals():
            await (halt_hard(self._site) if hard else self._halt())
        return 0

    async def _start(self) -> int | None:
        """Start the product; None when it runs, else the exit status."""
        site = self._site
        try:
            if not await self._until_stop(boot(site)):
                return 130
        except (AppError, OSError, ExceptionGroup) as error:
            log.exception("start.failed")
            if not site.is_joined:
                await self._give_up(_first(error))
                return 1
            # Something ran before we came: what is left of it is better than nothing.
            site.screen.plan(0)
            site.say_fault("start", f"Not everything could be joined: {_show(_first(error))}")
        site.board.state = "running"
        site.board.write()
        self._print_welcome()
        return None

    async def _give_up(self, error: BaseException) -> None:
        site = self._site
        text = _show(error)
        site.screen.refuse(text, f"Logs: {site.home.logs}")
        site.board.add_fault("start", text)
        await halt_hard(site)

    async def _watch(self) -> None:
        await self._until_stop(Watch(self._site).run())

    async def _halt(self) -> None:
        """Stop in order; a second request makes it hard."""
        site = self._site
        site.screen.say("\n  Stopping. Ctrl-C again stops hard; nothing acknowledged is lost.")
        ordered = asyncio.create_task(halt(site))
        assert self._stop.second is not None, "signals are heard while stopping"
        again = asyncio.create_task(self._stop.second.wait())
        await asyncio.wait({ordered, again}, return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        if ordered.done():
            try:
                ordered.result()
            except AppError as error:
                site.screen.fault(str(error))
                await halt_hard(site)
        else:
            ordered.cancel()
            await asyncio.gather(ordered, return_exceptions=True)
            site.screen.close()
            site.screen.say("  Stopping hard.")
            await halt_hard(site)
        site.screen.close()
        site.screen.say("  Stopped.")

    async def _until_stop(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run the work until it ends (True) or somebody asks to stop (False)."""
        assert self._stop.first is not None, "signals are heard while working"
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stop.first.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            task.result()
            return True
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False

    @contextlib.asynccontextmanager
    async def _hearing_signals(self) -> AsyncIterator[None]:
        """Count SIGINT and SIGTERM as requests to stop; a closed terminal is none."""
        self._stop.first, self._stop.second = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._stop.hear)
        loop.add_signal_handler(signal.SIGHUP, lambda: log.info("terminal.closed"))
        try:
            yield
        finally:
            for number in (*STOP_SIGNALS, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _print_welcome(self) -> None:
        site = self._site
        http = site.settings.http
        took_s = site.board.facts.get("boot_s", 0)
        say = site.screen.say
        say(f"\n  [bold green]Social Flow is running[/] (started in {took_s} s)")
        say(f"\n    [bold]{http.public_url}[/]        the page")
        say(f"    {http.public_url}/docs   the API, to try in the browser")
        if site.settings.edge.count:
            say(f"    {get_edge_url(site.settings, 0)}        edge 0: video, lives, WebSocket")
        say("\n  First steps: open the page, register, upload a video, go live.")
        say("  A small world to look at: [bold]socialflow seed[/]")
        say("  Every part: [bold]socialflow status[/]   Logs: " + str(site.home.logs))
        say("  Ctrl-C stops.\n")


def _first(error: BaseException) -> BaseException:
    """Return the first plain error of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _show(error: BaseException) -> str:
    """Return the sentence of our own errors, the form of others."""
    return error.text if isinstance(error, AppError) else repr(error)
