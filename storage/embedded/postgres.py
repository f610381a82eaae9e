"""Starts, joins, finds and stops the embedded PostgreSQL of a folder.

Called by the command line's supervisor and by test fixtures, from any process and as any user
that owns the folder; root runs the server as an ordinary user. Opens no database connection.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from kit.logs import get_log
from storage.embedded.errors import (
    FolderBusy,
    ServerStartFailed,
    ServerStateLost,
    ServerStillStarting,
    ServerStopTimedOut,
)
from storage.embedded.folders import (
    ServerFolder,
    ServerLog,
    find_alive_lock,
    find_folder,
    hold_folder,
    is_server_gone,
    make_socket_folder,
    open_folder,
    open_log,
    remove_short_folder,
)
from storage.embedded.ports import LOOPBACK, check_port_free, choose_port, is_port_free
from storage.embedded.postgres_setup import (
    SUPERUSER,
    PostgresOptions,
    PostgresState,
    Setup,
    find_postgres_state,
    make_setup,
    prepare_data,
    write_configuration,
    write_postgres_state,
)
from storage.embedded.processes import (
    POLL_S,
    Launch,
    await_true,
    has_process,
    launch_server,
    list_titled,
    read_command,
    signal_process,
)

__all__ = ["PostgresOptions", "PostgresServer", "find_postgres", "start_postgres", "stop_postgres"]

LONGEST_SOCKET_NAME = ".s.PGSQL.65535"
ORPHAN_GRACE_S = 1.0
PORT_ATTEMPTS_MAX = 3
LOCK_FILE_LINES = 8
ANSWER_S = 1.0
# PostgreSQL documentation, "Message Formats", SSLRequest: length, then the request's code.
TLS_REQUEST = struct.pack("!ii", 8, 80_877_103)

log = get_log("storage.embedded")


@dataclass(frozen=True)
class PostgresServer:
    """A server that accepts connections; the DSNs hold passwords and stay out of repr.

    `dsn` and `unix_dsn` are of the product's role, `admin_dsn` of the superuser.
    """

    pid: int
    port: int
    dsn: str = field(repr=False)
    unix_dsn: str = field(repr=False)
    admin_dsn: str = field(repr=False)
    joined: bool
    data: Path


@dataclass(frozen=True)
class _Postmaster:
    """A living postmaster as its lock file shows it."""

    pid: int
    port: int
    socket_folder: str
    is_ready: bool


def start_postgres(options: PostgresOptions) -> PostgresServer:
    """Start the folder's server, or join the running one (then `options.port` has no say).

    A join takes milliseconds, a start about 0.1 s, the first one 1-2 s. Raises the errors
    of storage.embedded.errors; after ServerStillStarting the server goes on and can be joined.
    """
    began = time.monotonic()
    folder = open_folder(options.root)
    with hold_folder(folder, timeout_s=options.timeout_s):
        settled = _await_settled(folder, end=began + options.timeout_s)
        if isinstance(settled, _Postmaster):
            return _describe(folder, settled, joined=True)
        try:
            setup = make_setup(folder, settled)
            _clear_stale_lock(folder)
            state = prepare_data(setup, options)
            postmaster = _launch(setup, state, options)
        finally:
            os.close(settled)
        took_ms = round((time.monotonic() - began) * 1000)
        log.info("postgres.started", pid=postmaster.pid, port=postmaster.port, took_ms=took_ms)
        return _describe(folder, postmaster, joined=False)


def find_postgres(root: Path) -> PostgresServer | None:
    """Return the folder's server if it is up and ready; raises FolderUnusable, ServerStateLost."""
    folder = find_folder(root)
    postmaster = _find_postmaster(folder) if folder else None
    if folder is None or postmaster is None or not _is_answering(postmaster):
        return None
    return _describe(folder, postmaster, joined=True)


def stop_postgres(root: Path, *, immediate: bool = False, timeout_s: float = 20.0) -> bool:
    """Stop the folder's server and wait until its last process is gone; False if none ran.

    Open sessions are ended and transactions rolled back; `immediate` skips the final checkpoint
    and waits for no other starter: the next start recovers. Raises ServerStopTimedOut, FolderBusy.
    """
    folder = find_folder(root)
    if folder is None:
        return False
    end = time.monotonic() + timeout_s
    if immediate:
        return _stop(folder, signal.SIGQUIT, end=end)
    with hold_folder(folder, timeout_s=timeout_s):
        return _stop(folder, signal.SIGINT, end=end)


def _stop(folder: ServerFolder, number: signal.Signals, *, end: float) -> bool:
    """Tell the postmaster, and without one what it left, to end, until no process is left.

    A server whose starter was killed is waited for until it says who it is.
    """
    told: _Postmaster | None = None
    has_told_orphans = False
    while not is_server_gone(folder):
        postmaster = _find_postmaster(folder)
        if postmaster is not None and (told is None or told.pid != postmaster.pid):
            told = postmaster
            signal_process(postmaster.pid, number)
        if postmaster is None and not has_told_orphans:
            has_told_orphans = True
            _end_orphans(folder)
        if time.monotonic() > end:
            raise ServerStopTimedOut(
                f"PostgreSQL in {folder.root} did not stop in time.",
                pid=told.pid if told else None,
            )
        time.sleep(POLL_S)
    if told is None:
        return False
    remove_short_folder(told.socket_folder)
    log.info("postgres.stopped", pid=told.pid)
    return True


def _find_postmaster(folder: ServerFolder) -> _Postmaster | None:
    """Return the living postmaster of the data, ready or not; a stale lock file counts for none."""
    try:
        lines = (folder.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    command = read_command(pid)
    if not command or Path(command[0]).name != "postgres" or str(folder.data) not in command:
        return None
    # The file grows while the server starts: absent lines mean it is not ready yet.
    lines += [""] * (LOCK_FILE_LINES - len(lines))
    port = int(lines[3]) if lines[3].strip().isdigit() else 0
    return _Postmaster(pid, port, lines[4].strip(), lines[7].strip() == "ready")


def _is_answering(postmaster: _Postmaster) -> bool:
    """Ask a server that says it is ready whether it offers TLS, which needs no password.

    Only an answer tells it from one that a signal is just ending or has stopped (deadline 1 s).
    """
    if not postmaster.is_ready:
        return False
    try:
        with socket.create_connection((LOOPBACK, postmaster.port), timeout=ANSWER_S) as wire:
            wire.sendall(TLS_REQUEST)
            return wire.recv(1) in {b"N", b"S"}
    except OSError:
        return False


def _await_settled(folder: ServerFolder, *, end: float) -> _Postmaster | int:
    """Wait until a server is ready (returned) or none is left (returns the held alive.lock).

    What a killed postmaster left behind gets a moment to notice, then SIGQUIT, which is what
    the postmaster would have sent. Raises FolderBusy, ServerStillStarting.
    """
    began, told = time.monotonic(), False
    while True:
        postmaster = _find_postmaster(folder)
        if postmaster is not None and _is_answering(postmaster):
            return postmaster
        if postmaster is None:
            alive_lock = find_alive_lock(folder)
            if alive_lock is not None:
                return alive_lock
            if not told and time.monotonic() - began > ORPHAN_GRACE_S:
                told = True
                _end_orphans(folder)
        if time.monotonic() > end:
            if postmaster is not None:
                raise ServerStillStarting(
                    f"PostgreSQL {postmaster.pid} in {folder.root} runs but does not answer.",
                    pid=postmaster.pid,
                )
            raise FolderBusy(
                f"Processes of an earlier PostgreSQL still use {folder.root}.",
                folder=str(folder.root),
            )
        time.sleep(0.02)


def _end_orphans(folder: ServerFolder) -> None:
    """Tell processes without a postmaster to quit, as the postmaster would have."""
    for pid in list_titled(f"postgres: {_name_cluster(folder)}: "):
        log.info("postgres.orphan_ended", pid=pid)
        signal_process(pid, signal.SIGQUIT)


def _name_cluster(folder: ServerFolder) -> str:
    """Return the name that the server's processes carry in their titles, one per folder."""
    return "socialflow-" + hashlib.sha256(os.fsencode(folder.root)).hexdigest()[:10]


def _clear_stale_lock(folder: ServerFolder) -> None:
    """Remove a lock file that would make PostgreSQL refuse to start; no server process is left.

    PostgreSQL itself clears the file of a process that is gone, and checks more when it does. It
    cannot know that the number now belongs to a dead process nobody reaped or to a stranger.
    """
    lock_file = folder.data / "postmaster.pid"
    if lock_file.exists():
        first = lock_file.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0].strip()
        # A single-user server writes its number negated.
        pid = first.removeprefix("-")
        if not pid.isdigit() or has_process(int(pid)):
            log.info("postgres.stale_lock_removed", file=lock_file.name, pid=first)
            lock_file.unlink()


def _launch(setup: Setup, state: PostgresState, options: PostgresOptions) -> _Postmaster:
    """Start the postmaster; a remembered port that somebody takes meanwhile is replaced."""
    folder = setup.folder
    sockets = make_socket_folder(folder, LONGEST_SOCKET_NAME)
    for left in sockets.glob(".s.PGSQL.*"):
        left.unlink(missing_ok=True)
    for attempt in range(1, PORT_ATTEMPTS_MAX + 1):
        state = replace(state, port=_decide_port(state, options))
        write_postgres_state(folder, state)
        config = write_configuration(
            folder, options, port=state.port, sockets=sockets, cluster=_name_cluster(folder)
        )
        argv = (str(setup.program), "-D", str(folder.data), "-c", f"config_file={config}")
        launch = Launch(argv, folder.account, setup.alive_lock)
        with open_log(folder.root / "postgres.log") as server_log:
            process = launch_server(launch, server_log.descriptor)
            try:
                return _await_ready(folder, process, server_log, options.timeout_s)
            except ServerStartFailed:
                is_final = options.port is not None or attempt == PORT_ATTEMPTS_MAX
                if is_final or is_port_free(state.port):
                    raise
                log.info("postgres.port_lost", port=state.port)
    raise AssertionError("the last attempt returns or raises")


def _decide_port(state: PostgresState, options: PostgresOptions) -> int:
    """Return the port of this start; raises PortTaken when the one asked for is held."""
    if options.port is not None:
        check_port_free(options.port)
        return options.port
    return choose_port(state.port, options.reserved_ports)


def _await_ready(
    folder: ServerFolder,
    process: subprocess.Popen[bytes],
    server_log: ServerLog,
    timeout_s: float,
) -> _Postmaster:
    found: list[_Postmaster] = []

    def is_settled() -> bool:
        postmaster = _find_postmaster(folder)
        if postmaster is not None and postmaster.pid == process.pid and postmaster.is_ready:
            found.append(postmaster)
        return bool(found) or process.poll() is not None

    # Who gives no time does not look either, however quick the server was.
    if timeout_s <= 0 or not await_true(is_settled, timeout_s=timeout_s):
        raise ServerStillStarting(
            f"PostgreSQL {process.pid} in {folder.root} is not ready after {timeout_s:g} s; it "
            "goes on, and the next start joins it.",
            pid=process.pid,
        )
    if found:
        return found[0]
    tail = server_log.read_tail()
    raise ServerStartFailed(
        f"PostgreSQL ended with code {process.returncode}; the end of {server_log.path}:\n{tail}",
        log_tail=tail,
    )


def _describe(folder: ServerFolder, postmaster: _Postmaster, *, joined: bool) -> PostgresServer:
    state = find_postgres_state(folder)
    if state is None:
        raise ServerStateLost(
            f"PostgreSQL {postmaster.pid} runs in {folder.root}, but state.json with its "
            "passwords is gone. Stop it and start it again: the passwords are then renewed.",
            pid=postmaster.pid,
        )
    user = f"{quote(state.user_name, safe='')}:{quote(state.password, safe='')}"
    database = quote(state.database, safe="")
    address = f"{LOOPBACK}:{postmaster.port}"
    sockets = quote(postmaster.socket_folder, safe="")
    return PostgresServer(
        pid=postmaster.pid,
        port=postmaster.port,
        dsn=f"postgresql://{user}@{address}/{database}",
        unix_dsn=f"postgresql://{user}@/{database}?host={sockets}&port={postmaster.port}",
        admin_dsn=f"postgresql://{SUPERUSER}:{quote(state.admin_password, safe='')}"
        f"@{address}/postgres",
        joined=joined,
        data=folder.data,
    )
