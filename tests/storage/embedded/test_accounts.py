"""Who runs the embedded servers, as root and as an ordinary user, and what that user can reach."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from storage.embedded.accounts import Account, find_account, run_as
from storage.embedded.binaries import ensure_runnable, get_postgres_tree, get_valkey_tree
from storage.embedded.errors import BinariesMissing, FolderUnreachable, FolderUnusable
from storage.embedded.postgres import PostgresOptions, start_postgres, stop_postgres
from storage.embedded.valkey import ValkeyOptions, start_valkey, stop_valkey

from .conftest import REPOSITORY

pytestmark = pytest.mark.db

IS_ROOT = os.geteuid() == 0

# Both servers from nothing: start, join by a second call, a query, kill -9, start, stop. Root turns
# into the ordinary user after the imports: the interpreter itself may lie below root's home.
WHOLE_LIFE = """
import asyncio, json, os, signal
from pathlib import Path
import asyncpg
from storage.embedded.binaries import get_postgres_tree, get_valkey_tree
from storage.embedded.postgres import PostgresOptions, start_postgres, stop_postgres
from storage.embedded.valkey import ValkeyOptions, start_valkey, stop_valkey

# These import parts of the standard library at their first use.
"localhost".encode("idna"), get_postgres_tree(), get_valkey_tree()
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid({gid}, {gid}, {gid})
    os.setresuid({uid}, {uid}, {uid})

home = Path({home!r})
pg, vk = PostgresOptions(root=home / "pg"), ValkeyOptions(root=home / "vk", role="gcs")

async def fetch(dsn, query):
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()

try:
    first, store = start_postgres(pg), start_valkey(vk)
    asyncio.run(fetch(first.dsn, "CREATE TABLE kept AS SELECT 5 AS n"))
    joined = start_postgres(pg).joined and start_valkey(vk).joined
    os.kill(first.pid, signal.SIGKILL)
    os.kill(store.pid, signal.SIGKILL)
    second, store = start_postgres(pg), start_valkey(vk)
    kept = asyncio.run(fetch(second.unix_dsn, "SELECT n FROM kept"))
    owners = [os.stat(f"/proc/{{pid}}").st_uid for pid in (second.pid, store.pid)]
finally:
    stopped = [stop_postgres(pg.root), stop_valkey(vk.root)]
print(json.dumps(dict(uid=os.geteuid(), joined=joined, kept=kept, owners=owners, stopped=stopped)))
"""


def _get_ordinary_account() -> Account:
    return find_account(Path("/nonexistent"))


def test_both_servers_live_their_whole_life_as_an_ordinary_user(home: Path) -> None:
    account = _get_ordinary_account()
    assert account.uid != 0
    if IS_ROOT:
        os.chown(home, account.uid, account.gid)
        program = get_postgres_tree().base / get_postgres_tree().program
        if run_as(account, [str(program), "--version"]).returncode != 0:
            pytest.skip(f"user {account.name} cannot reach the installed {program}")
    code = WHOLE_LIFE.format(home=str(home), uid=account.uid, gid=account.gid)
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.defpath},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    facts = json.loads(answer.stdout.splitlines()[-1])
    assert facts == {
        "uid": account.uid,
        "joined": True,
        "kept": 5,
        "owners": [account.uid, account.uid],
        "stopped": [True, True],
    }


def test_no_server_runs_as_root(root: Path, home: Path) -> None:
    store = start_valkey(ValkeyOptions(root=home / "vk", role="cache"))
    for pid in (start_postgres(PostgresOptions(root=root)).pid, store.pid):
        status = Path(f"/proc/{pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        assert set(uids) == {str(_get_ordinary_account().uid)}


def test_a_home_the_server_cannot_use_is_refused_and_the_cure_named(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir()
    closed.chmod(0o700 if IS_ROOT else 0o500)
    error = FolderUnreachable if IS_ROOT else FolderUnusable
    with pytest.raises(error, match="SOCIALFLOW_HOME"):
        start_postgres(PostgresOptions(root=closed / "home/pg"))
    with pytest.raises(error, match="SOCIALFLOW_HOME"):
        start_valkey(ValkeyOptions(root=closed / "home/vk", role="cache"))


def test_a_file_in_the_place_of_the_folder_is_refused(home: Path) -> None:
    (home / "pg").write_text("")
    with pytest.raises(FolderUnusable):
        start_postgres(PostgresOptions(root=home / "pg"))


def test_the_owner_of_existing_data_runs_it(home: Path) -> None:
    account = Account(12_345, 12_345, is_other=True) if IS_ROOT else _get_ordinary_account()
    (home / "vk/data").mkdir(parents=True)
    for path in (home / "vk", home / "vk/data"):
        path.chmod(0o700)
        if IS_ROOT:
            os.chown(path, account.uid, account.gid)
    server = start_valkey(ValkeyOptions(root=home / "vk", role="gcs"))
    assert Path(f"/proc/{server.pid}").stat().st_uid == account.uid
    for name in ("state.json", "valkey.log", "start.lock", "alive.lock"):
        assert (home / "vk" / name).stat().st_uid == account.uid
    assert stop_valkey(home / "vk") is True


def test_programs_out_of_reach_are_copied_once_and_run(home: Path) -> None:
    account, cache = _get_ordinary_account(), home / "cache"
    for tree in (get_postgres_tree(), get_valkey_tree()):
        base = home / "closed" / tree.name
        for part in tree.parts:
            shutil.copytree(tree.base / part, base / part, symlinks=True)
        (home / "closed").chmod(0o700)
        closed = dataclasses.replace(tree, base=base)
        program = ensure_runnable(closed, account, (cache,))
        assert program.is_relative_to(cache if account.is_other else base)
        assert ensure_runnable(closed, account, (cache,)) == program
        for name in {"postgres": ("postgres", "initdb", "pg_dump")}.get(tree.name, (program.name,)):
            answer = run_as(account, [str(program.with_name(name)), "--version"])
            assert answer.returncode == 0, answer.stderr


def test_programs_for_another_machine_are_told(home: Path) -> None:
    tree = dataclasses.replace(get_valkey_tree(), base=home)
    with pytest.raises(BinariesMissing, match="no program for this machine"):
        ensure_runnable(tree, _get_ordinary_account(), (home / "cache",))


def test_stopping_is_possible_for_who_did_not_start_it(root: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from storage.embedded.postgres import PostgresOptions, start_postgres\n"
        f"start_postgres(PostgresOptions(root=Path({str(root)!r})))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY, timeout=60)
    assert stop_postgres(root) is True
