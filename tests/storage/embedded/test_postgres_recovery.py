"""The embedded PostgreSQL after kill -9, crashed starters and leftover files."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import asyncpg
import pytest

from storage.embedded.accounts import find_account
from storage.embedded.errors import FolderBusy, ServerStillStarting
from storage.embedded.folders import hold_folder, open_folder
from storage.embedded.postgres import (
    PostgresOptions,
    PostgresServer,
    find_postgres,
    start_postgres,
    stop_postgres,
)
from storage.embedded.processes import read_command

from .conftest import StartChild

pytestmark = pytest.mark.db

WRITERS = 10
DEADLINE_S = 60.0


async def _write_until_killed(server: PostgresServer, first: int, acknowledged: list[int]) -> None:
    try:
        connection = await asyncpg.connect(server.dsn, timeout=60)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return  # killed before it had begun
    try:
        for number in range(first, 1_000_000, WRITERS):
            await connection.execute("INSERT INTO written VALUES ($1)", number)
            acknowledged.append(number)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return
    finally:
        connection.terminate()


async def test_kill_9_amid_writes_loses_no_acknowledged_row(root: Path) -> None:
    server = start_postgres(PostgresOptions(root=root))
    connection = await asyncpg.connect(server.dsn)
    await connection.execute("CREATE TABLE written (n bigint PRIMARY KEY)")
    await connection.close()
    acknowledged: list[int] = []
    async with asyncio.timeout(DEADLINE_S):
        writers = [
            asyncio.create_task(_write_until_killed(server, first, acknowledged))
            for first in range(WRITERS)
        ]
        while len(acknowledged) < 300:
            await asyncio.sleep(0.005)
        assert not any(writer.done() for writer in writers)
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.gather(*writers)
    assert find_postgres(root) is None
    again = start_postgres(PostgresOptions(root=root))
    assert not again.joined
    assert again.dsn == server.dsn
    connection = await asyncpg.connect(again.dsn)
    rows = {row["n"] for row in await connection.fetch("SELECT n FROM written")}
    await connection.close()
    assert set(acknowledged) <= rows
    assert len(rows) <= len(acknowledged) + WRITERS


async def _wait_until_busy(server: PostgresServer, pid: int) -> None:
    connection = await asyncpg.connect(server.dsn)
    is_busy = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1"
    async with asyncio.timeout(DEADLINE_S):
        while not await connection.fetchval(is_busy, pid):
            await asyncio.sleep(0.01)
    await connection.close()


async def test_a_busy_orphan_of_a_killed_postmaster_is_ended(root: Path) -> None:
    server = start_postgres(PostgresOptions(root=root))
    connection = await asyncpg.connect(server.dsn)
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    endless = asyncio.create_task(connection.execute("DO $$ BEGIN LOOP END LOOP; END $$"))
    await _wait_until_busy(server, pid)
    os.kill(server.pid, signal.SIGKILL)
    again = start_postgres(PostgresOptions(root=root))
    assert again.pid != server.pid
    assert not Path(f"/proc/{pid}/exe").exists()
    await asyncio.gather(endless, return_exceptions=True)
    connection.terminate()


@pytest.mark.parametrize(
    "holder", ["zombie", "stranger", "stranger and lost state", "garbage", "gone"]
)
async def test_a_stale_lock_file_does_not_keep_the_server_from_starting(
    root: Path, holder: str
) -> None:
    server = start_postgres(PostgresOptions(root=root))
    lock_file, sockets = root / "data/postmaster.pid", root / "run"
    lines = lock_file.read_text().splitlines()
    stop_postgres(root)
    command = ["sleep", "60"] if holder.startswith("stranger") else ["true"]
    # PostgreSQL minds only what it may signal, so the process is one of its own account.
    account = find_account(root)
    process = subprocess.Popen(
        command,
        user=account.child_uid,
        group=account.child_gid,
        extra_groups=account.child_groups,
        cwd="/",
    )
    try:
        if holder == "gone":
            process.wait()
        elif holder == "zombie":
            # Waits for its end without reaping it.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        lines[0] = str(process.pid) if holder != "garbage" else ""
        lock_file.write_text("\n".join(lines) + "\n")
        os.chown(lock_file, account.uid, account.gid)
        (sockets / f".s.PGSQL.{server.port}.lock").write_text("\n".join(lines[:6]) + "\n")
        if holder.endswith("lost state"):
            (root / "state.json").unlink()
        assert find_postgres(root) is None
        assert stop_postgres(root) is False
        again = start_postgres(PostgresOptions(root=root))
        assert not again.joined
        if holder.startswith("stranger"):
            assert process.poll() is None, "a stranger's process was ended"
    finally:
        process.kill()
        process.wait()


async def test_a_starter_killed_during_the_first_setup_leaves_nothing_behind(
    home: Path, start_child: StartChild
) -> None:
    root = home / "pg"
    code = (
        "from pathlib import Path\n"
        "from storage.embedded.postgres import PostgresOptions, start_postgres\n"
        f"start_postgres(PostgresOptions(root=Path({str(root)!r})))\n"
    )
    child = start_child(code)
    end = time.monotonic() + DEADLINE_S
    while not (root / "data.new/base").exists():
        assert time.monotonic() < end
        await asyncio.sleep(0.002)
    child.kill()
    child.wait()
    assert find_postgres(root) is None
    server = start_postgres(PostgresOptions(root=root))
    connection = await asyncpg.connect(server.dsn)
    assert await connection.fetchval("SELECT '[1]'::vector::text") == "[1]"
    await connection.close()
    assert not (root / "data.new").exists()
    assert not (root / "passing").exists()


async def test_a_stop_ends_what_a_killed_postmaster_left(root: Path) -> None:
    server = start_postgres(PostgresOptions(root=root))
    connection = await asyncpg.connect(server.dsn)
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    endless = asyncio.create_task(connection.execute("DO $$ BEGIN LOOP END LOOP; END $$"))
    await _wait_until_busy(server, pid)
    os.kill(server.pid, signal.SIGKILL)
    stop_postgres(root)
    assert not Path(f"/proc/{pid}/exe").exists()
    await asyncio.gather(endless, return_exceptions=True)
    connection.terminate()


async def test_open_transactions_do_not_hold_up_a_stop(root: Path) -> None:
    server = start_postgres(PostgresOptions(root=root))
    connection = await asyncpg.connect(server.dsn)
    await connection.execute("BEGIN; CREATE TABLE never (n int)")
    # Who waited for the transaction would wait until the deadline, and raise.
    assert stop_postgres(root, timeout_s=DEADLINE_S) is True
    connection.terminate()


async def test_an_immediate_stop_keeps_what_was_committed(root: Path) -> None:
    server = start_postgres(PostgresOptions(root=root))
    connection = await asyncpg.connect(server.dsn)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    assert stop_postgres(root, immediate=True) is True
    connection.terminate()
    again = start_postgres(PostgresOptions(root=root))
    connection = await asyncpg.connect(again.dsn)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()


def test_a_folder_held_by_somebody_else_is_told_busy_after_the_deadline(root: Path) -> None:
    with hold_folder(open_folder(root), timeout_s=1), pytest.raises(FolderBusy):
        start_postgres(PostgresOptions(root=root, timeout_s=0.1))


def test_a_server_not_ready_in_time_goes_on_and_is_joined_later(root: Path) -> None:
    with pytest.raises(ServerStillStarting) as raised:
        start_postgres(PostgresOptions(root=root, timeout_s=0.0))
    joined = start_postgres(PostgresOptions(root=root))
    assert joined.joined
    assert joined.pid == raised.value.details["pid"]


def test_a_server_that_a_signal_has_stopped_is_not_taken_for_a_running_one(root: Path) -> None:
    server = start_postgres(PostgresOptions(root=root))
    os.kill(server.pid, signal.SIGSTOP)
    try:
        assert find_postgres(root) is None
        with pytest.raises(ServerStillStarting, match="does not answer"):
            start_postgres(PostgresOptions(root=root, timeout_s=0.1))
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert start_postgres(PostgresOptions(root=root)).pid == server.pid


def test_a_server_nobody_waited_for_can_be_stopped_at_once(root: Path) -> None:
    with pytest.raises(ServerStillStarting) as raised:
        start_postgres(PostgresOptions(root=root, timeout_s=0.0))
    assert stop_postgres(root) is True
    assert read_command(int(str(raised.value.details["pid"]))) == ()
