"""Imports obey pyproject's contracts; docs/ARCHITECTURE.md draws exactly the imports there are."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = ROOT / "pyproject.toml"
PACKAGES = set(tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]["root_packages"])
LIBRARIES = {
    *("ray", "fastapi", "aiohttp", "asyncpg", "redis", "av", "aiortc", "cv2"),
    *("torch", "transformers", "stripe"),
}

# One planted fault for each contract: (contract id, file, line added at its top).
FAULTS = [
    ("layers", "kit/ids.py", "import storage.database"),
    ("cycles", "storage/database.py", "import storage.users"),
    ("rules-without-ray", "serve_apps/posts/service.py", "import fastapi"),
    ("cores-without-sockets", "actors/hosting/log.py", "import asyncio"),
    ("hosting-through-ports", "actors/hosting/ticks.py", "import storage.rooms"),
    ("kinds-apart", "actors/hosting/roster.py", "import actors.live_room.entries"),
    ("ray-door", "serve_apps/posts/service.py", "import ray"),
    ("database-door", "serve_apps/posts/service.py", "import asyncpg"),
    ("media-door", "serve_apps/edge/server.py", "import aiortc"),
    ("aiortc-door", "media/vod/ladder.py", "import aiortc"),
    ("models-door", "serve_apps/posts/service.py", "import torch"),
    ("hosts-stay-light", "actors/hosting/shell.py", "import aiohttp"),
    ("edges-stay-light", "serve_apps/edges.py", "import actors.job_runner.ports"),
    ("edge", "serve_apps/edge/server.py", "import serve_apps.posts.service"),
    ("features", "serve_apps/posts/service.py", "import serve_apps.videos.service"),
]


def lint(root: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    chosen = [f"--contract={contract}" for contract in contracts]
    code = "from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache", *chosen],
        cwd=root, env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_contracts_hold():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


def test_every_package_folder_is_under_contract():
    folders = {init.parent.name for init in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert folders == PACKAGES


def test_every_contract_has_a_planted_fault():
    contracts = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in contracts} == {fault[0] for fault in FAULTS}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the packages; whoever plants a fault takes it away again."""
    root = tmp_path_factory.mktemp("packages")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(PYPROJECT, root)
    return root


@pytest.mark.parametrize(("contract", "file", "line"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_planted_fault_is_caught(copy: Path, contract: str, file: str, line: str):
    target = copy / file
    source = target.read_text()
    target.write_text(
        source.replace(
            "\nfrom __future__ import annotations\n",
            f"\nfrom __future__ import annotations\n{line}\n",
            1,
        )
    )
    assert line in target.read_text()
    try:
        result = lint(copy, contract)
    finally:
        target.write_text(source)
    assert result.returncode == 1, result.stdout + result.stderr
    module = file.removesuffix(".py").replace("/", ".")
    # The cycle contract names siblings relative to their package.
    shown = f".{module.partition('.')[2]}" if contract == "cycles" else module
    assert shown in result.stdout


def test_diagram_is_the_import_graph():
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    drawn = set(re.findall(r"^\s*(\w+) --> (\w+)$", page, re.MULTILINE))
    graph = grimp.build_graph(*sorted(PACKAGES), include_external_packages=True, cache_dir=None)
    real = {
        (importer.partition(".")[0], imported.partition(".")[0])
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    real = {(a, b) for a, b in real if a != b and b in PACKAGES | LIBRARIES}
    assert drawn - real == set(), "drawn, but nothing imports it"
    assert real - drawn == set(), "imported, but not drawn"
