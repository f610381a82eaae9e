"""The README's commands do what it says: `make up` in a terminal, a look around, Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.records import RecordShelf, make_record
from cluster.status import DEMO
from tests.product import Product, await_gone, await_true, fetch

pytestmark = [pytest.mark.ray, pytest.mark.late, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
START_S = 150
STOPPED_IN_ORDER = ["Edges", "API", "Job runner", "Room hosts", "Ray", "Valkey", "PostgreSQL"]


def make(*words: str) -> list[str]:
    """Return the command for `make` with this run's virtual environment."""
    return ["make", f"VENV={sys.prefix}", f"PYTHON={sys.executable}", *words]


@pytest.mark.parametrize("target", sorted(set(COMMANDS)))
def test_every_command_of_the_readme_is_a_make_target(target: str):
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.fixture
def product() -> Iterator[Product]:
    chosen = Product.prepare(http_replicas="1", hosts_count="1")
    yield chosen
    chosen.stop()


@contextmanager
def stand_in_for_demo(product: Product) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in place of the live that `seed` leaves on air."""
    with subprocess.Popen(["sleep", "600"]) as demo:
        record = make_record(DEMO, demo.pid)
        assert record is not None
        RecordShelf(product.place.run).write(record)
        try:
            yield demo
        finally:
            demo.kill()


def test_make_up_runs_in_the_terminal_until_ctrl_c(product: Product, tmp_path: Path):
    assert (Path(sys.prefix) / ".made").exists(), "run the tests by `make test`"
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            make("up"),
            cwd=ROOT,
            env=product.environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    end = time.monotonic() + START_S
    while "is running" not in output.read_text():
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < end, output.read_text()
        time.sleep(0.2)
    assert product.url in output.read_text()
    assert b"<title>" in fetch(product.url)
    status = subprocess.run(
        make("status"),
        cwd=ROOT,
        env=product.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "PostgreSQL" in status.stdout
    with stand_in_for_demo(product) as demo:
        everything = product.list_processes()
        shown = len(output.read_text())
        # A terminal sends the signal to its whole foreground group: ours must hold nobody else.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
        await_true(lambda: await_gone(everything) == [], "everything has ended")
        assert demo.wait(timeout=60) == -signal.SIGTERM
    said = output.read_text()[shown:]
    places = [said.index(f"✓ {title}") for title in STOPPED_IN_ORDER]
    assert places == sorted(places)
    assert "Stopped." in said
    assert product.status()["state"] == "stopped"
