"""The embedded PostgreSQL from outside: start, join, stop, and who may do what in it."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import asyncpg
import pytest

from storage.embedded.errors import (
    DataVersionDiffers,
    FolderUnusable,
    OptionsDiffer,
    PortTaken,
    ServerStartFailed,
    ServerStateLost,
)
from storage.embedded.folders import LOG_BYTES_MAX
from storage.embedded.ports import get_free_port
from storage.embedded.postgres import (
    PostgresOptions,
    PostgresServer,
    find_postgres,
    start_postgres,
    stop_postgres,
)

from .conftest import StartChild

pytestmark = pytest.mark.db

START_AND_PRINT = """
import json, sys
from pathlib import Path
from storage.embedded.postgres import PostgresOptions, start_postgres
server = start_postgres(PostgresOptions(root=Path({root!r})))
print(json.dumps(dict(pid=server.pid, dsn=server.dsn, joined=server.joined)))
"""


@pytest.fixture
def server(root: Path) -> PostgresServer:
    """A running server with the defaults."""
    return start_postgres(PostgresOptions(root=root))


async def _fetch_value(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=60)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_start_join_find_and_stop_speak_of_one_server(root: Path) -> None:
    assert find_postgres(root) is None
    started = start_postgres(PostgresOptions(root=root))
    joined = start_postgres(PostgresOptions(root=root))
    found = find_postgres(root)
    assert found is not None
    assert not started.joined
    assert joined.joined
    assert started.pid == joined.pid == found.pid
    assert started.dsn == joined.dsn == found.dsn
    assert await _fetch_value(joined.dsn, "SELECT current_user") == "socialflow"
    assert stop_postgres(root) is True
    assert find_postgres(root) is None
    assert stop_postgres(root) is False
    assert not Path(f"/proc/{started.pid}/exe").exists()


def test_a_folder_that_never_held_a_server_is_simply_not_running(home: Path) -> None:
    assert find_postgres(home / "nothing") is None
    assert stop_postgres(home / "nothing") is False
    assert not (home / "nothing").exists()


async def test_the_products_role_owns_its_database_and_is_no_superuser(
    server: PostgresServer,
) -> None:
    row = await _fetch_value(
        server.dsn,
        "SELECT row(rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls)::text"
        " FROM pg_roles WHERE rolname = current_user",
    )
    assert row == "(f,f,f,f,f)"
    owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = 'socialflow'"
    assert await _fetch_value(server.dsn, owner) == "socialflow"
    for forbidden in ("COPY (SELECT 1) TO PROGRAM 'true'", "SELECT pg_read_file('/etc/passwd')"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await _fetch_value(server.dsn, forbidden)
    assert await _fetch_value(server.admin_dsn, "SHOW is_superuser") == "on"


async def test_extensions_are_there_and_work_for_the_products_role(server: PostgresServer) -> None:
    assert await _fetch_value(server.dsn, "SELECT 'ABC'::citext = 'abc'") is True
    assert await _fetch_value(server.dsn, "SELECT similarity('word', 'words') > 0.5") is True
    assert await _fetch_value(server.dsn, "SELECT '[1,0]'::vector <-> '[0,0]'::vector") == 1.0


async def test_text_is_unicode_and_sorted_alike_on_every_machine(server: PostgresServer) -> None:
    assert await _fetch_value(server.dsn, "SHOW server_encoding") == "UTF8"
    assert await _fetch_value(server.dsn, "SELECT upper('äß')") == "Äß"
    assert await _fetch_value(server.dsn, "SHOW timezone") == "UTC"


async def test_a_wrong_password_is_refused_by_network_and_by_socket(server: PostgresServer) -> None:
    password = server.dsn.split("@", 1)[0].rsplit(":", 1)[1]
    for dsn in (server.dsn, server.unix_dsn):
        assert await _fetch_value(dsn, "SELECT 1") == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _fetch_value(dsn.replace(password, "wrong"), "SELECT 1")


async def test_durability_cannot_be_switched_off_by_extra_configuration(root: Path) -> None:
    extra = "fsync = off\nsynchronous_commit = off\nwork_mem = '5MB'"
    server = start_postgres(PostgresOptions(root=root, extra_conf=extra, max_connections=40))
    assert await _fetch_value(server.dsn, "SHOW fsync") == "on"
    assert await _fetch_value(server.dsn, "SHOW synchronous_commit") == "on"
    assert await _fetch_value(server.dsn, "SHOW autovacuum") == "on"
    assert await _fetch_value(server.dsn, "SHOW work_mem") == "5MB"
    assert await _fetch_value(server.dsn, "SHOW max_connections") == "40"


def test_a_taken_port_is_refused_naming_its_holder(root: Path) -> None:
    with socket.create_server(("127.0.0.1", get_free_port())) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} is taken by process {os.getpid()} "):
            start_postgres(PostgresOptions(root=root, port=port))
    assert start_postgres(PostgresOptions(root=root, port=port)).port == port


async def test_a_remembered_port_that_somebody_took_is_replaced(root: Path) -> None:
    first = start_postgres(PostgresOptions(root=root))
    stop_postgres(root)
    again = start_postgres(PostgresOptions(root=root))
    assert again.port == first.port
    stop_postgres(root)
    with socket.create_server(("127.0.0.1", first.port)):
        moved = start_postgres(PostgresOptions(root=root))
    assert moved.port != first.port
    assert await _fetch_value(moved.dsn, "SELECT 1") == 1
    stop_postgres(root)
    # An edge's, for example, which begins later and may have no other.
    reserved = frozenset({moved.port})
    assert start_postgres(PostgresOptions(root, reserved_ports=reserved)).port != moved.port


async def test_two_starters_at_once_get_one_server(home: Path, start_child: StartChild) -> None:
    code = START_AND_PRINT.format(root=str(home / "pg"))
    children = [start_child(code) for _ in range(2)]
    answers = [json.loads(child.communicate(timeout=60)[0].splitlines()[-1]) for child in children]
    assert len({answer["pid"] for answer in answers}) == 1
    assert sorted(answer["joined"] for answer in answers) == [False, True]
    assert await _fetch_value(answers[0]["dsn"], "SELECT 1") == 1


def test_no_process_shows_a_password_and_the_state_is_private(home: Path) -> None:
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    seen.add((process / "cmdline").read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        server = start_postgres(PostgresOptions(root=home / "pg"))
    finally:
        done.set()
        watcher.join()
    assert any(b"initdb" in command for command in seen)
    for dsn in (server.dsn, server.admin_dsn):
        password = dsn.split("@", 1)[0].rsplit(":", 1)[1]
        assert len(password) >= 32
        assert not any(password.encode() in command for command in seen)
        assert password not in (home / "pg/postgres.log").read_text()
        assert password not in repr(server)
    assert (home / "pg/state.json").stat().st_mode & 0o777 == 0o600


def test_the_server_has_a_session_of_its_own_and_a_minimal_environment(
    server: PostgresServer,
) -> None:
    assert os.getsid(server.pid) == server.pid != os.getsid(0)
    environment = Path(f"/proc/{server.pid}/environ").read_bytes()
    assert environment.split(b"\0") == [b"PATH=/usr/bin:/bin", b"LC_ALL=C", b"TZ=UTC", b""]


async def test_a_root_too_deep_for_a_socket_gets_a_short_folder(
    root_to_spoil: Path, home: Path
) -> None:
    deep = home / ("d" * 60) / ("e" * 60) / "pg"
    deep.parent.mkdir(parents=True)
    root_to_spoil.rename(deep)
    server = start_postgres(PostgresOptions(root=deep))
    sockets = [path for path in Path("/tmp").glob("socialflow-*") if any(path.glob("*"))]
    assert any((path / f".s.PGSQL.{server.port}").exists() for path in sockets)
    assert await _fetch_value(server.unix_dsn, "SELECT 1") == 1
    stop_postgres(deep)
    assert not any((path / f".s.PGSQL.{server.port}").exists() for path in sockets)


async def test_a_root_with_spaces_quotes_and_commas_works(root_to_spoil: Path, home: Path) -> None:
    odd = home / 'it\'s, a "root" %s'
    root_to_spoil.rename(odd)
    server = start_postgres(PostgresOptions(root=odd))
    assert await _fetch_value(server.unix_dsn, "SELECT 1") == 1
    assert stop_postgres(odd) is True


async def test_a_lost_state_file_costs_the_passwords_and_not_the_rows(root: Path) -> None:
    before = start_postgres(PostgresOptions(root=root))
    await _fetch_value(before.dsn, "CREATE TABLE survivor AS SELECT 42 AS n")
    (root / "state.json").unlink()
    with pytest.raises(ServerStateLost):
        start_postgres(PostgresOptions(root=root))
    with pytest.raises(ServerStateLost):
        find_postgres(root)
    stop_postgres(root)
    after = start_postgres(PostgresOptions(root=root))
    assert after.dsn != before.dsn
    assert await _fetch_value(after.dsn, "SELECT n FROM survivor") == 42
    assert await _fetch_value(after.admin_dsn, "SELECT 1") == 1


def test_a_configuration_postgres_refuses_is_told_with_the_log(root: Path) -> None:
    with pytest.raises(ServerStartFailed, match="no_such_setting"):
        start_postgres(PostgresOptions(root=root, extra_conf="no_such_setting = 1"))
    assert find_postgres(root) is None
    assert not start_postgres(PostgresOptions(root=root)).joined


def test_data_of_another_major_version_is_refused(root_to_spoil: Path) -> None:
    (root_to_spoil / "data/PG_VERSION").write_text("17\n")
    with pytest.raises(DataVersionDiffers, match="PostgreSQL 17"):
        start_postgres(PostgresOptions(root=root_to_spoil))


def test_another_role_or_database_for_existing_data_is_refused(root: Path) -> None:
    with pytest.raises(OptionsDiffer, match="other"):
        start_postgres(PostgresOptions(root=root, database="other"))


def test_files_of_something_else_are_not_overwritten(home: Path) -> None:
    (home / "pg/data").mkdir(parents=True)
    (home / "pg/data/thesis.txt").write_text("years of work")
    home.joinpath("pg").chmod(0o755)
    with pytest.raises(FolderUnusable, match="not PostgreSQL's"):
        start_postgres(PostgresOptions(root=home / "pg"))
    assert (home / "pg/data/thesis.txt").read_text() == "years of work"


def test_a_large_log_is_put_aside_at_start(root: Path) -> None:
    (root / "postgres.log").write_bytes(b"x" * LOG_BYTES_MAX)
    start_postgres(PostgresOptions(root=root))
    assert (root / "postgres.log").stat().st_size < 10_000
    assert (root / "postgres.log.1").stat().st_size == LOG_BYTES_MAX


async def test_people_are_not_named_in_the_log(server: PostgresServer) -> None:
    await _fetch_value(server.dsn, "CREATE TABLE people (email text UNIQUE)")
    insert = "INSERT INTO people VALUES ('someone@example.org')"
    await _fetch_value(server.dsn, insert)
    with pytest.raises(asyncpg.UniqueViolationError):
        await _fetch_value(server.dsn, insert)
    text = (server.data.with_name("postgres.log")).read_text()
    assert "duplicate key" in text
    assert "someone@example.org" not in text
