"""The embedded Valkey from outside, in both roles."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from storage.embedded.errors import (
    OptionsDiffer,
    PortTaken,
    ServerStartFailed,
    ServerStateLost,
    ServerStillStarting,
)
from storage.embedded.ports import get_free_port
from storage.embedded.valkey import (
    Role,
    ValkeyOptions,
    ValkeyServer,
    find_valkey,
    start_valkey,
    stop_valkey,
)

from .conftest import StartChild

pytestmark = pytest.mark.db

START_AND_PRINT = """
import json
from pathlib import Path
from storage.embedded.valkey import ValkeyOptions, start_valkey
server = start_valkey(ValkeyOptions(root=Path({root!r}), role="gcs"))
print(json.dumps(dict(pid=server.pid, joined=server.joined)))
"""


def _connect(server: ValkeyServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=60, decode_responses=True)


@pytest.mark.parametrize("role", ["cache", "gcs"])
def test_start_join_find_and_stop_speak_of_one_server(home: Path, role: Role) -> None:
    options = ValkeyOptions(root=home / "vk", role=role)
    assert find_valkey(home / "vk") is None
    assert stop_valkey(home / "vk") is False
    started, joined, found = start_valkey(options), start_valkey(options), find_valkey(home / "vk")
    assert found is not None
    assert (started.joined, joined.joined) == (False, True)
    assert started.pid == joined.pid == found.pid
    assert started.url == joined.url == found.url
    assert os.getsid(started.pid) == started.pid
    with _connect(joined) as client:
        assert client.ping() is True
    assert stop_valkey(home / "vk") is True
    assert find_valkey(home / "vk") is None


def test_the_gcs_store_keeps_what_was_written_through_kill_9(home: Path) -> None:
    options = ValkeyOptions(root=home / "vk", role="gcs")
    server = start_valkey(options)
    with _connect(server) as client:
        for number in range(500):
            client.set(f"k{number}", number)
    os.kill(server.pid, signal.SIGKILL)
    again = start_valkey(options)
    assert not again.joined
    assert again.url == server.url
    with _connect(again) as client:
        assert client.dbsize() == 500
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


def test_the_gcs_store_starts_with_a_record_cut_short_by_a_crash(home: Path) -> None:
    options = ValkeyOptions(root=home / "vk", role="gcs")
    with _connect(start_valkey(options)) as client:
        client.set("whole", "1")
    stop_valkey(home / "vk", immediate=True)
    file = next((home / "vk/data/appendonlydir").glob("*.incr.aof"))
    with file.open("ab") as log:
        log.write(b"*3\r\n$3\r\nSET\r\n$3\r\nhal")
    with _connect(start_valkey(options)) as client:
        assert client.get("whole") == "1"
        assert client.dbsize() == 1


def test_the_cache_stays_within_its_memory_and_writes_nothing(home: Path) -> None:
    server = start_valkey(ValkeyOptions(root=home / "vk", role="cache", maxmemory_mb=8))
    with _connect(server) as client:
        for number in range(12):
            client.set(f"k{number}", b"x" * (1 << 20))
        assert int(client.info("stats")["evicted_keys"]) > 0
        assert client.config_get("maxmemory") == {"maxmemory": str(8 << 20)}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    stop_valkey(home / "vk")
    assert list((home / "vk/data").iterdir()) == []


def test_a_wrong_or_missing_password_is_refused(home: Path) -> None:
    server = start_valkey(ValkeyOptions(root=home / "vk", role="cache"))
    for password in ("wrong", None):
        client = redis.Redis(port=server.port, password=password, retry=Retry(NoBackoff(), 0))
        with client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_it_listens_on_loopback_alone(home: Path) -> None:
    server = start_valkey(ValkeyOptions(root=home / "vk", role="cache"))
    table = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    listeners = [line for line in table.splitlines() if f":{server.port:04X} 0" in line]
    assert listeners
    assert all(f"0100007F:{server.port:04X}" in line for line in listeners)


def test_neither_command_line_nor_environment_nor_log_shows_the_password(home: Path) -> None:
    server = start_valkey(ValkeyOptions(root=home / "vk", role="gcs"))
    secret = server.password.encode()
    assert len(secret) >= 32
    for process in Path("/proc").glob("[0-9]*"):
        try:
            assert secret not in (process / "cmdline").read_bytes()
        except OSError:
            continue
    assert secret not in Path(f"/proc/{server.pid}/environ").read_bytes()
    assert secret not in (home / "vk/valkey.log").read_bytes()
    assert server.password not in repr(server)
    assert (home / "vk/state.json").stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_refused_naming_its_holder(home: Path) -> None:
    with socket.create_server(("127.0.0.1", get_free_port())) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} is taken by process {os.getpid()} "):
            start_valkey(ValkeyOptions(root=home / "vk", role="cache", port=port))
    assert start_valkey(ValkeyOptions(root=home / "vk", role="cache", port=port)).port == port


def test_a_remembered_port_that_somebody_took_is_replaced(home: Path) -> None:
    options = ValkeyOptions(root=home / "vk", role="cache")
    first = start_valkey(options)
    stop_valkey(home / "vk")
    assert start_valkey(options).port == first.port
    stop_valkey(home / "vk")
    with socket.create_server(("127.0.0.1", first.port)):
        moved = start_valkey(options)
    assert moved.port != first.port


def test_two_starters_at_once_get_one_server(home: Path, start_child: StartChild) -> None:
    code = START_AND_PRINT.format(root=str(home / "vk"))
    children = [start_child(code) for _ in range(2)]
    answers = [json.loads(child.communicate(timeout=60)[0].splitlines()[-1]) for child in children]
    assert len({answer["pid"] for answer in answers}) == 1
    assert sorted(answer["joined"] for answer in answers) == [False, True]


def test_a_folder_keeps_its_role(home: Path) -> None:
    start_valkey(ValkeyOptions(root=home / "vk", role="cache"))
    stop_valkey(home / "vk")
    with pytest.raises(OptionsDiffer, match="cache"):
        start_valkey(ValkeyOptions(root=home / "vk", role="gcs"))


def test_a_lost_state_file_is_told_while_the_server_runs_and_renewed_after(home: Path) -> None:
    options = ValkeyOptions(root=home / "vk", role="gcs")
    before = start_valkey(options)
    with _connect(before) as client:
        client.set("kept", "1")
    (home / "vk/state.json").unlink()
    with pytest.raises(ServerStateLost):
        start_valkey(options)
    stop_valkey(home / "vk")
    after = start_valkey(options)
    assert after.password != before.password
    with _connect(after) as client:
        assert client.get("kept") == "1"


def test_records_it_cannot_read_are_told_with_the_log(home: Path) -> None:
    options = ValkeyOptions(root=home / "vk", role="gcs")
    start_valkey(options)
    stop_valkey(home / "vk")
    manifest = next((home / "vk/data/appendonlydir").glob("*.manifest"))
    manifest.write_text("not a manifest\n")
    with pytest.raises(ServerStartFailed, match=r"(?i)manifest"):
        start_valkey(options)


def test_a_root_with_spaces_and_quotes_works(home: Path) -> None:
    odd = home / 'it\'s a "root" \\ here'
    server = start_valkey(ValkeyOptions(root=odd, role="gcs"))
    with _connect(server) as client:
        assert client.set("k", "v") is True
    assert stop_valkey(odd) is True


def test_a_server_nobody_waited_for_is_joined_or_stopped(home: Path) -> None:
    options = ValkeyOptions(root=home / "vk", role="gcs")
    with pytest.raises(ServerStillStarting):
        start_valkey(dataclasses.replace(options, timeout_s=0.0))
    assert start_valkey(options).joined
    stop_valkey(home / "vk")
    with pytest.raises(ServerStillStarting):
        start_valkey(dataclasses.replace(options, timeout_s=0.0))
    assert stop_valkey(home / "vk") is True
