"""A process beside the edge that decodes or encodes for it, kept at work.

`sound_tap.py` and `ladder_tap.py` own one each. It is started anew when it dies; what was inside is
lost. It inherits no secrets, and nothing it does holds the loop up.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from os import defpath, pathsep
from typing import Any

from kit.logs import get_log

RESTART_PAUSE_S = 0.5

log = get_log("kept_child")


@dataclass(frozen=True)
class ChildRules:
    """What is run, and how it speaks."""

    module: str
    header: struct.Struct
    """In front of all that it says; the last field counts the bytes that follow."""
    hear: Callable[[tuple[Any, ...], bytes], None]
    """Takes the header's fields and the bytes."""
    note_death: Callable[[], None]
    """The process ended by itself; called before the next one starts."""
    restarts_max: int | None = None
    """So often is it started anew, then no more; None: always."""
    arguments: tuple[str, ...] = ()
    """For the module."""


class KeptChild:
    """One process after another; `close()` ends it."""

    def __init__(self, rules: ChildRules) -> None:
        self.restarts = 0
        self.is_given_up = False
        self._rules = rules
        self._has_process = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that works at present."""
        return None if self._process is None else self._process.pid

    @property
    def waiting_bytes(self) -> int | None:
        """What it has not read yet of what was written; None: there is no process."""
        pipe = self._find_pipe()
        return None if pipe is None else pipe.transport.get_write_buffer_size()

    def start(self) -> None:
        """Start the process, unless it was started before."""
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="kept-child")
            self._running.add_done_callback(_report_end)

    def write(self, data: bytes) -> None:
        """Write to the process, while there is one; what it does not read yet waits."""
        pipe = self._find_pipe()
        if pipe is not None:
            pipe.write(data)

    async def wait_process(self) -> None:
        """Return once a process takes orders."""
        await self._has_process.wait()

    async def close(self) -> None:
        """End the process; it can be started again. Closing twice does nothing."""
        running, self._running = self._running, None
        self._process = None
        self._has_process.clear()
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _find_pipe(self) -> asyncio.StreamWriter | None:
        """Return the way to the process; None: it is dead, though that may not be noticed yet."""
        pipe = None if self._process is None else self._process.stdin
        return None if pipe is None or pipe.transport.is_closing() else pipe

    async def _run(self) -> None:
        """Keep a process at work until cancelled, or until it died too often."""
        while True:
            try:
                process = await self._spawn()
            except OSError as error:  # the machine has no process, memory or descriptor to spare
                log.warning("kept_child.not_started", child=self._rules.module, why=error.strerror)
                await asyncio.sleep(RESTART_PAUSE_S)
                continue
            self._process = process
            self._has_process.set()
            try:
                await self._read(process)
            finally:
                if self._process is process:
                    self._process = None
                    self._has_process.clear()
                await _end(process)
            log.error("kept_child.ended", child=self._rules.module, status=process.returncode)
            limit = self._rules.restarts_max
            self.is_given_up = limit is not None and self.restarts >= limit
            self.restarts += not self.is_given_up
            self._rules.note_death()
            if self.is_given_up:
                return
            await asyncio.sleep(RESTART_PAUSE_S)

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._rules.module,
            *self._rules.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # The child decodes what strangers sent: it inherits no secrets.
            env={"PATH": defpath, "PYTHONPATH": pathsep.join(p for p in sys.path if p)},
        )

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand on what it says until the process ends."""
        assert process.stdout is not None, "a pipe was asked for"
        header = self._rules.header
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                fields = header.unpack(await process.stdout.readexactly(header.size))
                self._rules.hear(fields, await process.stdout.readexactly(fields[-1]))


def _report_end(running: asyncio.Task[None]) -> None:
    """Say so when a process is kept no longer by a fault of ours; nobody awaits the task."""
    error = None if running.cancelled() else running.exception()
    if error is not None:
        log.error("kept_child.failed", exc_info=error)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process whatever it does: it keeps nothing that would be lost."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()  # what it had still written is read and thrown away
    assert process.stdin is not None, "a pipe was asked for"
    with contextlib.suppress(OSError):  # what was written to the dead: it is known that they are
        await process.stdin.wait_closed()
