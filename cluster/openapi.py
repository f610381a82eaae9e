"""Prints the API's description: `python -m cluster.openapi`; builds the app, opens nothing.

A process of its own, so that the command line does not carry the whole API.
"""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from pathlib import Path

from kit.clock import SystemClock
from kit.settings import Settings
from serve_apps.api.app import build_app
from serve_apps.http.state import ApiPorts
from storage.cache import Cache
from storage.database import Database, PoolOptions
from storage.objects import ObjectStore


class _NoRooms:
    """Rooms of a product that does not run."""

    async def end_live(self, room_id: uuid.UUID) -> None:
        """Refuse: nothing is served from here."""
        raise RuntimeError(f"room {room_id} cannot be ended while only describing the API")


def describe(objects_folder: Path) -> dict[str, object]:
    """Return the OpenAPI document of this code."""
    ports = ApiPorts(
        settings=Settings(),
        database=Database("postgresql://localhost/unopened", PoolOptions(size=1, name="openapi")),
        cache=Cache("redis://localhost/0"),
        objects=ObjectStore.open(f"file://{objects_folder}"),
        clock=SystemClock(),
        rooms=_NoRooms(),
    )
    return dict(build_app(ports).openapi())


def main() -> None:
    """Print the document."""
    with tempfile.TemporaryDirectory() as folder:
        document = describe(Path(folder))
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
