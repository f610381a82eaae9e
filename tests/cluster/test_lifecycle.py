"""One product through its life, in this order: up, joined, wounded, taken over, killed, down."""

import json
import os
import signal
import socket
import ssl
import stat
import urllib.request
from collections.abc import Iterator

import psutil
import pytest

from cluster.records import signal_record
from storage.embedded.ports import is_port_free
from tests.product import Product, await_gone, await_true, fetch, is_running

pytestmark = [pytest.mark.ray, pytest.mark.late, pytest.mark.timeout(300)]

PARTS = {"supervisor", "crew", "postgres", "cache", "ray-store", "ray-control", "ray-node"}
PASSWORD = "correct horse battery staple"
ACTORS = {"host-0", "host-1", "runner", "edge-0", "api"}


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """Lend one running product to the whole module."""
    lent = Product.start(cluster_stuck_after_s="8")
    yield lent
    lent.stop()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status == 200
    except OSError:
        return False


def await_answers(product: Product) -> None:
    """Wait until the API and the edge answer."""
    for url in (product.url, product.edge_url):
        await_true(lambda url=url: answers(f"{url}/health"), f"{url} answers")


def list_unwell(product: Product) -> set[str]:
    return {part.name for part in product.look().parts if part.health != "healthy"}


def test_up_brings_every_part_and_prints_where_it_is(product: Product):
    await_answers(product)
    assert product.url in product.output
    await_true(lambda: product.look().state == "running", "the product runs")
    await_true(lambda: list_unwell(product) == set(), "all are well")
    status = product.status()
    parts = {row["name"]: row for row in status["parts"]}
    assert parts.keys() >= PARTS | ACTORS
    assert len(parts["api"]["pids"]) == product.settings.http.replicas
    print(f"\nboot {status['facts']['boot_s']} s, {status['pss_mb']} MB in all")
    for name, row in parts.items():
        print(f"  {name:18} {row['pss_mb']:7.1f} MB")
    assert status["pss_mb"] < 2000


def test_a_second_up_joins_and_says_so(product: Product):
    before = product.pids("supervisor")
    result = product.run("up")
    assert result.returncode == 0
    assert "joins" in result.stdout
    assert product.url in result.stdout
    assert product.pids("supervisor") == before


def test_secrets_lie_in_private_files_and_on_no_command_line(product: Product):
    place, settings = product.place, product.settings
    for path in (place.settings_file, place.running_settings_file, *place.keys.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for folder in (place.run, place.keys, place.short_folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    states = [
        json.loads((folder / "state.json").read_text())
        for folder in (place.postgres, place.cache, place.ray_store)
    ]
    auth = settings.auth
    secrets = {auth.token_key, auth.grant_private_key, auth.content_key, settings.cluster.key}
    secrets |= {value for state in states for name, value in state.items() if "password" in name}
    secrets.add((place.keys / "ray.token").read_text())
    assert len(secrets) == 9
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        assert not [secret for secret in secrets if secret in line], process


def test_ports_open_to_the_network_refuse_whoever_has_no_certificate(product: Product):
    owned = {record.pid for record in product.list_processes()}
    listening = [
        entry.laddr
        for entry in psutil.net_connections("tcp")
        if entry.pid in owned and entry.status == psutil.CONN_LISTEN
    ]
    wide = {port for address, port in listening if address in {"0.0.0.0", "::"}}
    assert wide, "each Serve replica opens one such port"
    for port in wide:
        assert talk_plainly(port) == b""
        assert talk_without_certificate(port) == b""


def talk_plainly(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        try:
            return wire.recv(1)
        except ConnectionError:
            return b""


def talk_without_certificate(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as wire,
            context.wrap_socket(wire) as safe,
        ):
            safe.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            return safe.recv(1)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_whatever_is_killed_comes_back(product: Product):
    parts = {row.name: row.pids for row in product.look().parts}
    doomed = ("postgres", "cache", "crew", "ray-control", "host-0", "edge-0", "runner")
    killed = {part: parts[part][0] for part in doomed}  # one look: the first death changes others
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    for part, pid in killed.items():
        assert product.await_new(part, pid) != pid
    await_true(lambda: answers(f"{product.url}/health"), "the API answers again")
    await_true(lambda: product.look().state == "running", "the product runs")
    faults = {fault["part"] for fault in product.look().faults}
    assert faults >= {"postgres", "cache"}


def list_lasting(product: Product) -> dict[str, list[int]]:
    """Return the processes that outlive a supervisor; of PostgreSQL's, which come and go, one."""
    lasting = {part: product.pids(part) for part in ACTORS | PARTS - {"supervisor", "crew"}}
    return {**lasting, "postgres": lasting["postgres"][:1]}


def test_the_product_outlives_its_supervisor_and_up_takes_it_over(product: Product):
    before = list_lasting(product)
    product.kill("supervisor")
    await_true(lambda: product.pids("supervisor") == [], "the supervisor is gone")
    await_answers(product)
    assert product.status()["state"] == "unsupervised"
    product.up()
    await_true(lambda: product.look().state == "running", "the product runs")
    assert list_lasting(product) == before
    killed = product.kill("cache")
    assert product.await_new("cache", killed) != killed


def post(product: Product, path: str, body: dict[str, str]) -> None:
    """Have the API take it."""
    await_answers(product)
    request = urllib.request.Request(
        f"{product.url}{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    fetch(request)


def make_account(name: str) -> dict[str, str]:
    return {"username": name, "email": f"{name}@example.org", "password": PASSWORD}


def test_a_lost_ray_node_brings_everything_on_it_back(product: Product):
    before = {part: product.pids(part) for part in ("host-0", "edge-0", "runner", "api")}
    killed = product.kill("ray-node")
    product.await_new("ray-node", killed)
    for part, pids in before.items():
        product.await_new(part, pids[0], timeout_s=90.0)
    post(product, "/v1/auth/register", make_account("ada"))


def test_an_actor_that_hangs_is_ended_and_made_anew(product: Product):
    stuck = product.kill("host-1", signal.SIGSTOP)
    assert product.await_new("host-1", stuck) != stuck
    assert not is_running(stuck)


def test_killing_every_process_loses_no_row(product: Product):
    post(product, "/v1/auth/register", make_account("grace"))
    everything = product.list_processes()
    for record in everything:
        signal_record(record, signal.SIGKILL)
    assert await_gone(everything) == []
    product.up()
    for name in ("ada", "grace"):
        post(product, "/v1/auth/login", {"login": name, "password": PASSWORD})


def test_down_from_another_terminal_ends_every_process(product: Product):
    everything = product.list_processes()
    assert len(everything) > len(PARTS)
    ports = [product.settings.http.port, product.settings.edge.port]
    result = product.run("down")
    assert result.returncode == 0, result.stdout
    assert await_gone(everything) == []
    assert all(is_port_free(port) for port in ports)
    assert not product.place.running_settings_file.exists()
    assert product.status()["state"] == "stopped"
    assert product.run("down").returncode == 0


def test_a_taken_port_is_named_with_its_holder():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        blocked = Product.prepare(http_port=str(port))
        try:
            result = blocked.run("up")
            assert result.returncode == 1
            said = " ".join(result.stdout.split())
            assert f"Port {port}/tcp for the page and the API is taken by process" in said
            assert str(os.getpid()) in said
            assert "SOCIALFLOW_HTTP_PORT" in said
        finally:
            blocked.stop()
