"""A reachable home and quick, stopped PostgreSQL folders for the launchers' tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.embedded.postgres import PostgresOptions, start_postgres, stop_postgres
from storage.embedded.valkey import stop_valkey

REPOSITORY = Path(__file__).resolve().parents[3]
StartChild = Callable[[str], "subprocess.Popen[str]"]


def _make_home() -> Path:
    # pytest's own temporary folders are closed to others, so root's servers could not enter them.
    home = Path(tempfile.mkdtemp(prefix="sf-", dir="/tmp"))
    home.chmod(0o755)
    return home


def _remove_home(home: Path) -> None:
    for state in home.rglob("state.json"):
        stop_postgres(state.parent, immediate=True)
        stop_valkey(state.parent, immediate=True)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty folder that every user may enter; servers left in it are stopped at the end."""
    home = _make_home()
    yield home
    _remove_home(home)


@pytest.fixture(scope="session")
def stopped_postgres() -> Iterator[Path]:
    """The folder of a server that was set up, started and stopped once."""
    home = _make_home()
    start_postgres(PostgresOptions(root=home / "pg"))
    stop_postgres(home / "pg")
    yield home / "pg"
    _remove_home(home)


@pytest.fixture
def root(home: Path, stopped_postgres: Path) -> Path:
    """A copy of a stopped server's folder, ready to start: saves the first setup."""
    subprocess.run(["cp", "-a", str(stopped_postgres), str(home / "pg")], check=True)
    return home / "pg"


@pytest.fixture
def start_child() -> Iterator[StartChild]:
    """Run Python code in another process of ours; it is ended with the test."""
    children: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            env={"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()
