"""A room host as a process of its own, for tests that kill it: `… SETTINGS_FILE HOST_ID`."""

from __future__ import annotations

import asyncio
import sys

from kit.logs import configure_logs
from kit.settings import SETTINGS_VARIABLE, load_settings
from tests.actors.hosting.stage import run_host


async def serve(settings_file: str, host_id: str) -> None:
    """Run incarnations until killed."""
    configure_logs("error")
    settings = load_settings({SETTINGS_VARIABLE: settings_file})
    while True:
        async with run_host(settings, host_id) as host:
            sys.stdout.write(f"{host.incarnation}\n")
            sys.stdout.flush()
            await host.wait_over()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:3]))
