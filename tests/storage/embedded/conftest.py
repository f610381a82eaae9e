"""Folders that the servers' account can reach, and one PostgreSQL set up for all tests."""

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
        stop = stop_valkey if '"role"' in state.read_text() else stop_postgres
        stop(state.parent, immediate=True)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty folder that every user may enter; servers left in it are stopped at the end."""
    home = _make_home()
    yield home
    _remove_home(home)


@pytest.fixture(scope="session")
def kept_root() -> Iterator[Path]:
    """The folder of a PostgreSQL that was set up once for all tests, and is stopped."""
    home = _make_home()
    start_postgres(PostgresOptions(root=home / "pg"))
    stop_postgres(home / "pg")
    yield home / "pg"
    _remove_home(home)


@pytest.fixture
def root(kept_root: Path) -> Iterator[Path]:
    """The folder of a stopped PostgreSQL to start as often as one likes; tables stay in it."""
    yield kept_root
    stop_postgres(kept_root)


@pytest.fixture
def root_to_spoil(home: Path, kept_root: Path) -> Path:
    """A copy of a stopped PostgreSQL's folder, to be moved or damaged (about 0.5 s)."""
    subprocess.run(["cp", "-a", "--sparse=always", str(kept_root), str(home / "pg")], check=True)
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
