"""The hard ways to go: Ray's node lost, everything killed at once, Ctrl-C at the terminal."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from cluster.records import RecordShelf, make_record, signal_record
from cluster.status import DEMO
from tests.product import Product, await_gone, await_true, is_running

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """Lend one running product to the whole module."""
    lent = Product.start(cluster_stuck_after_s="8")
    yield lent
    lent.stop()


def post(product: Product, path: str, body: dict[str, str]) -> int:
    request = urllib.request.Request(
        f"{product.url}{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return int(response.status)


def test_a_lost_ray_node_brings_everything_on_it_back(product: Product):
    before = {part: product.pids(part) for part in ("host-0", "edge-0", "runner", "api")}
    killed = product.kill("ray-node")
    product.await_new("ray-node", killed)
    for part, pids in before.items():
        product.await_new(part, pids[0], timeout_s=90.0)
    assert post(product, "/v1/auth/register", make_account("ada")) in {200, 201}


def test_an_actor_that_hangs_is_ended_and_made_anew(product: Product):
    stuck = product.kill("host-1", signal.SIGSTOP)
    assert product.await_new("host-1", stuck) != stuck
    assert not is_running(stuck)


def test_killing_every_process_loses_no_row(product: Product):
    assert post(product, "/v1/auth/register", make_account("grace")) in {200, 201}
    everything = product.list_processes()
    for record in everything:
        signal_record(record, signal.SIGKILL)
    assert await_gone(everything) == []
    product.up()
    for name in ("ada", "grace"):
        answer = post(product, "/v1/auth/login", {"login": name, "password": PASSWORD})
        assert answer == 200


def test_ctrl_c_stops_in_order_and_leaves_nothing(product: Product):
    product.run("down")
    terminal = subprocess.Popen(
        [sys.executable, "-m", "cluster.cli", "up"],
        env=product.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert terminal.stdout is not None
        said = ""
        while "Ctrl-C stops." not in said:
            line = terminal.stdout.readline()
            assert line, f"ended early:\n{said}\n{product.read_logs()}"
            said += line
        demo = subprocess.Popen(["sleep", "600"])  # in place of the live that `seed` leaves on air
        record = make_record(DEMO, demo.pid)
        assert record is not None
        RecordShelf(product.place.run).write(record)
        everything = product.list_processes()
        # A terminal sends the signal to its whole foreground group: ours must hold nobody else.
        os.killpg(terminal.pid, signal.SIGINT)
        rest, _errors = terminal.communicate(timeout=60)
        assert terminal.returncode == 0
        order = ["Edges", "API", "Job runner", "Room hosts", "Ray", "Valkey", "PostgreSQL"]
        places = [rest.index(f"✓ {title}") for title in order]
        assert places == sorted(places)
        assert "Stopped." in rest
        await_true(lambda: await_gone(everything) == [], "everything has ended")
        assert demo.wait(timeout=60) == -signal.SIGTERM
    finally:
        if is_running(terminal.pid):
            terminal.kill()


def make_account(name: str) -> dict[str, str]:
    return {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
