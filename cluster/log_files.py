"""Where each part writes its log, and reading the end of one. Used by `socialflow logs`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from cluster.home import Home
from cluster.servers import CACHE, POSTGRES, STORE
from cluster.status import ProductStatus

TAIL_BYTES_MAX = 256 << 10
FOLLOW_EVERY_S = 0.2


def list_logs(home: Home, status: ProductStatus | None = None) -> dict[str, Path]:
    """List the logs there are, by part; actors need a status to be found by their process."""
    wanted = {
        "supervisor": home.logs / "supervisor.log",
        "crew": home.logs / "crew.log",
        POSTGRES: home.postgres / "postgres.log",
        CACHE: home.cache / "valkey.log",
        STORE: home.ray_store / "valkey.log",
        "ray-control": home.logs / "ray" / "gcs_server.out",
        "ray-node": home.logs / "ray" / "raylet.out",
    }
    for part in status.parts if status else ():
        files = [
            path
            for pid in part.pids
            for path in sorted((home.logs / "ray").glob(f"worker-*-{pid}.err"))
        ]
        for number, path in enumerate(files):
            wanted[part.name if number == 0 else f"{part.name}.{number}"] = path
    return {name: path for name, path in wanted.items() if path.exists()}


def read_tail(path: Path, lines: int) -> str:
    """Return the last lines of a file, from its last 256 KiB."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES_MAX))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def follow_log(path: Path) -> Iterator[str]:
    """Yield what is written to the file from now on, until interrupted."""
    with path.open(errors="replace") as file:
        file.seek(0, 2)
        while True:
            line = file.readline()
            if line:
                yield line
            else:
                time.sleep(FOLLOW_EVERY_S)
