"""A whole product in a temporary home on free ports, for end-to-end tests.

`Product.start()` runs `socialflow up --detach` as a person would; `stop()` leaves nothing behind:
no process, no folder. It never touches a product that runs from the working folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.home import Home
from cluster.processes import end_processes, list_marked, wait_gone
from cluster.records import Record, find_start_ticks, make_record
from cluster.status import PartStatus, ProductStatus, read_status
from kit.settings import SETTINGS_VARIABLE, Settings, copy_environment, load_settings
from tests.free_ports import lend_port

ROOT = Path(__file__).resolve().parents[1]
UP_TIMEOUT_S = 240
COMMAND_TIMEOUT_S = 120
TOO_BUSY = (429, 503)
OWN_PREFIXES = ("SOCIALFLOW_", "RAY_")
OWN_NAMES = {"DATABASE_URL", "REDIS_URL", "PUBLIC_URL"}


@dataclass
class Product:
    """A running product; `environment` is what its commands are run with."""

    home: Path
    environment: dict[str, str] = field(repr=False)
    output: str = ""
    started: list[Record] = field(default_factory=list, repr=False)

    @classmethod
    def start(cls, home: Path | None = None, **options: str) -> Product:
        """Start a product; options are settings such as `edge_count="2"`. Raises ProductFailed."""
        product = cls.prepare(home, **options)
        try:
            product.up()
        except BaseException:
            product.stop()
            raise
        return product

    @classmethod
    def prepare(cls, home: Path | None = None, **options: str) -> Product:
        """Choose home and ports without starting anything."""
        if home is None:
            folder = Path(tempfile.mkdtemp(prefix="sf-e2e-"))
            # Another user runs the database when we are root.
            folder.chmod(0o755)
            home = folder / "home"
        inherited = copy_environment()
        kept = {
            name: value
            for name, value in inherited.items()
            if not name.startswith(OWN_PREFIXES) and name not in OWN_NAMES
        }
        path = [entry for entry in kept.get("PYTHONPATH", "").split(os.pathsep) if entry]
        edges = int(options.get("edge_count", "1"))
        values = {
            "home": str(home),
            "http_port": str(lend_port()),
            "edge_port": str(lend_port(slots=edges)),
            "edge_udp_port": str(lend_port("udp", slots=edges)),
            "rtmp_port": str(lend_port()),
            "cluster_ray_port": str(lend_port()),
            **options,
        }
        own = {f"SOCIALFLOW_{name.upper()}": value for name, value in values.items()}
        search = os.pathsep.join([*path, str(ROOT)])
        return cls(home, {**kept, **own, "PYTHONPATH": search})

    def invite(self, name: str, host: str) -> Path:
        """Write an invitation for another node; return the file. Raises ProductFailed."""
        file = self.home.parent / f"{name}.toml"
        result = self.run("invite", name, "--host", host, "--write", str(file))
        if result.returncode != 0:
            raise ProductFailed(f"{result.stdout}\n{result.stderr}")
        return file

    def prepare_member(self, **options: str) -> Product:
        """Choose a home for another node of this product without starting anything.

        Its settings come from the invitation; `options` are its own, as in `start`.
        """
        values = {
            "edge_udp_port": str(lend_port("udp")),
            "rtmp_port": str(lend_port()),
            **options,
        }
        kept = {
            name: value
            for name, value in self.environment.items()
            if not name.startswith(OWN_PREFIXES)
        }
        home = Path(tempfile.mkdtemp(prefix="sf-e2e-"))
        home.chmod(0o755)
        own = {f"SOCIALFLOW_{name.upper()}": value for name, value in values.items()}
        home = home / "home"
        return Product(home, {**kept, **own, "SOCIALFLOW_HOME": str(home)})

    def join(self, invitation: Path) -> str:
        """Run `socialflow join --detach`; return what it printed. Raises ProductFailed."""
        result = self.run("join", str(invitation), "--detach", timeout_s=UP_TIMEOUT_S)
        self.output = result.stdout
        if result.returncode != 0:
            raise ProductFailed(f"{result.stdout}\n{result.stderr}\n{self.read_logs()}")
        self.started += self.list_processes()
        return result.stdout

    @property
    def place(self) -> Home:
        """Return the home's layout."""
        return Home(self.home)

    @property
    def settings(self) -> Settings:
        """Return the settings the running processes read, secrets and addresses included."""
        return load_settings({SETTINGS_VARIABLE: str(self.place.running_settings_file)})

    @property
    def url(self) -> str:
        """Return the address of the page and the API."""
        return self.settings.http.public_url

    @property
    def edge_url(self) -> str:
        """Return the address of edge 0, as browsers use it."""
        return f"http://{self.settings.edge.public_host}:{self.settings.edge.port}"

    def up(self) -> str:
        """Run `socialflow up --detach`; return what it printed. Raises ProductFailed."""
        result = self.run("up", "--detach", timeout_s=UP_TIMEOUT_S)
        self.output = result.stdout
        if result.returncode != 0:
            raise ProductFailed(f"{result.stdout}\n{result.stderr}\n{self.read_logs()}")
        self.started += self.list_processes()
        return result.stdout

    def run(
        self, *words: str, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of `socialflow` in this product's home."""
        return subprocess.run(
            [sys.executable, "-m", "cluster.cli", *words],
            env=self.environment,
            cwd=self.home.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """Return `socialflow status --json`."""
        return dict(json.loads(self.run("status", "--json").stdout))

    def look(self) -> ProductStatus:
        """Return what `status` finds, without its process and its measuring over time."""
        return read_status(self.place, sample_s=0.0)

    def find_part(self, part: str) -> PartStatus | None:
        """Return a part as `status` finds it, without measuring; "api", "edge-0", "postgres" …"""
        return next((row for row in self.look().parts if row.name == part), None)

    def pids(self, part: str) -> list[int]:
        """Return the processes of a part."""
        found = self.find_part(part)
        return list(found.pids) if found else []

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send kill -9 to the first process of a part; return its pid."""
        pid = self.pids(part)[0]
        os.kill(pid, number)
        return pid

    def list_processes(self) -> list[Record]:
        """List every process of the product, the supervisor and the servers included."""
        found = {record.pid: record for record in list_marked(self.place.running_settings_file)}
        for row in self.look().parts:
            for pid in row.pids:
                record = make_record(row.name, pid)
                if record is not None:
                    found.setdefault(pid, record)
        return list(found.values())

    def await_new(self, part: str, killed: int, *, timeout_s: float = 60.0) -> int:
        """Wait until the part is healthy in another process; return its pid."""
        found: list[int] = []

        def is_back() -> bool:
            row = self.find_part(part)
            found[:] = [pid for pid in (row.pids if row else []) if pid != killed]
            return bool(found) and row is not None and row.health == "healthy"

        await_true(is_back, f"{part} is back after {killed}", timeout_s=timeout_s)
        return found[0]

    def read_logs(self) -> str:
        """Return the ends of the supervisor's and the crew's logs."""
        text = ""
        for name in ("up.log", "supervisor.log", "crew.log"):
            with contextlib.suppress(OSError):
                text += f"--- {name}\n{(self.place.logs / name).read_text()[-3000:]}\n"
        return text

    def stop(self) -> None:
        """End the product at once, and remove its folders: how it stops is asked elsewhere."""
        if self.place.run.exists():
            self.run("down", "--now")
        # Also when the folder was taken away under the product's feet.
        end_processes(list_marked(self.place.running_settings_file), grace_s=0.0)
        end_processes(self.started, grace_s=0.0)
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self.place.short_folder, ignore_errors=True)
        if self.home.parent.name.startswith("sf-e2e-"):
            shutil.rmtree(self.home.parent, ignore_errors=True)


class ProductFailed(AssertionError):
    """The product did not come up; the text holds what it said and its logs."""


def await_true(check: Callable[[], bool], what: str, *, timeout_s: float = 60.0) -> None:
    """Ask until the check holds; fails the test when it does not in time."""
    end = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < end, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.25)


def fetch(request: str | urllib.request.Request, *, timeout_s: float = 60.0) -> bytes:
    """Return what is answered; asks again as long as the product is too busy to answer that."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refusal:
            if refusal.code not in TOO_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.25)


def await_gone(records: list[Record], *, timeout_s: float = 60.0) -> list[Record]:
    """Wait for processes to end; return those still there."""
    return wait_gone(records, timeout_s=timeout_s)


def is_running(pid: int) -> bool:
    """Say whether a process lives (a zombie does not)."""
    return find_start_ticks(pid) is not None
