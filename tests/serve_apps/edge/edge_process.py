"""An edge as a process of its own, for tests that kill it: `… SETTINGS_FILE OBJECTS_URL SLOT`."""

from __future__ import annotations

import asyncio
import sys

from kit.logs import configure_logs
from kit.settings import SETTINGS_VARIABLE, load_settings
from storage.objects import ObjectStore
from tests.serve_apps.edge.edge_stage import run_edge


async def serve(settings_file: str, objects_url: str, slot: str) -> None:
    """Run until killed; say where once it serves."""
    configure_logs("error")
    settings = load_settings({SETTINGS_VARIABLE: settings_file})
    async with run_edge(settings, ObjectStore.open(objects_url), int(slot)) as edge:
        sys.stdout.write(f"{edge.address.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))
