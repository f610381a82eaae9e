"""The supervisor's end of the crew: starts the process, keeps its last report, asks for stops.

One JSON line per message. A crew that ends is noticed by `is_alive`; nothing here restarts it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
from pathlib import Path
from typing import Any

from cluster.records import Record, make_record, signal_record
from cluster.topology import Kind
from kit.errors import AppError
from kit.logs import get_log

LINE_BYTES_MAX = 1 << 20
END_GRACE_S = 3.0

log = get_log("cluster.crew_link")


class CrewFailed(AppError):
    """The crew did not do what it was asked."""

    code, status, message = "crew_failed", 503, "The actors could not be reached."


class CrewLink:
    """A running crew process; `members`, `api` and `nodes` are its latest report."""

    def __init__(self, process: asyncio.subprocess.Process, record: Record) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ids = itertools.count(1)
        self._reading = asyncio.create_task(self._read())
        self.record = record
        self.is_connected = False
        self.is_stranger = False
        """Whether the head runs and does not know this machine's Ray node: it began anew."""
        self.members: dict[str, dict[str, Any]] = {}
        self.api: dict[str, Any] = {"state": "starting", "fault": ""}
        self.nodes: list[dict[str, Any]] = []
        self.reported = asyncio.Event()

    @property
    def is_alive(self) -> bool:
        """Say whether the process still runs."""
        return self._process.returncode is None and not self._reading.done()

    async def go(self) -> None:
        """Let the crew read its settings and connect; raises CrewFailed."""
        assert self._process.stdin is not None, "the crew is started with a pipe"
        try:
            self._process.stdin.write(b"\n")
            await self._process.stdin.drain()
        except ConnectionError as error:
            raise CrewFailed("The crew ended before it began.") from error

    async def stop_kind(self, kind: Kind, *, deadline_s: float) -> None:
        """Have the actors of a kind drained and ended; raises CrewFailed."""
        assert self._process.stdin is not None, "the crew is started with a pipe"
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        request = {"id": number, "kind": kind.value, "deadline_s": deadline_s}
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            await self._process.stdin.drain()
            result = await asyncio.wait_for(answer, deadline_s + 3.0)
        except (TimeoutError, ConnectionError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not answer.cancelled():
                raise
            raise CrewFailed(f"The crew did not stop {kind.value} in time.") from error
        finally:
            self._answers.pop(number, None)
        if not result["ok"]:
            raise CrewFailed(f"The crew could not stop {kind.value}: {result['fault']}")

    async def end(self) -> None:
        """End the process; the actors go on."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), END_GRACE_S)
        except TimeoutError:
            signal_record(self.record, signal.SIGKILL)
            await self._process.wait()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        assert self._process.stdout is not None, "the crew is started with a pipe"
        while line := await self._process.stdout.readline():
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError):
                log.exception("crew.unreadable", line=line[:200])
        for answer in self._answers.values():
            answer.cancel()
        await self._process.wait()
        self.reported.set()

    def _take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "connected":
                self.is_connected, self.is_stranger = True, False
            case "stranger":
                self.is_stranger = True
            case "crew":
                self.members, self.api = event["members"], event["api"]
                self.nodes = event["nodes"]
            case "answer" if (answer := self._answers.get(event["id"])) and not answer.done():
                answer.set_result(event)
        self.reported.set()


async def start_crew(environment: dict[str, str], log_file: Path, module: str) -> CrewLink:
    """Start a crew process in its own session; raises CrewFailed."""
    with log_file.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            start_new_session=True,
            limit=LINE_BYTES_MAX,
        )
    record = make_record("crew", process.pid)
    if record is None:
        raise CrewFailed(f"The crew ended at once; see {log_file}.")
    return CrewLink(process, record)
