"""A runner in a process of its own, to be killed: its one job writes a line and never ends.

Run as `python -m tests.actors.job_runner.doomed_runner DSN FILE`.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from actors.job_runner.ports import JobPorts
from actors.job_runner.runner import JobRunner, RunnerOptions
from kit.setting_sections import DatabaseSettings
from kit.settings import Settings
from storage.database import Database, PoolOptions
from storage.objects import ObjectStore
from tests.actors.job_runner.runner_world import make_ports


async def never_end(file: Path, _ports: JobPorts, payload: bytes) -> None:
    with file.open("ab") as log:
        log.write(payload + b"\n")
    await asyncio.Event().wait()


async def main(dsn: str, file: Path) -> None:
    database = Database(dsn, PoolOptions(size=2))
    await database.open()
    ports = make_ports(
        Settings(database=DatabaseSettings(url=dsn)), database, ObjectStore.open("memory:///")
    )
    options = RunnerOptions(poll_every_s=0.2)
    await JobRunner(ports, {"write": partial(never_end, file)}, {}, options).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
