"""Starts, joins, finds and stops an embedded Valkey: the cache, or the store of Ray's GCS.

Called by the command line's supervisor and by test fixtures, from any process and as any user
that owns the folder; root runs the server as an ordinary user. The configuration with the password
goes through a pipe: neither the command line nor a file of the server shows it.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from kit.logs import get_log
from storage.embedded.binaries import SHARED_CACHE, ensure_runnable, get_valkey_tree
from storage.embedded.errors import (
    FolderBusy,
    OptionsDiffer,
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
    find_state,
    hold_folder,
    is_server_gone,
    make_account_folder,
    open_folder,
    open_log,
    write_state,
)
from storage.embedded.ports import (
    LOOPBACK,
    check_port_free,
    choose_port,
    is_listening_as,
    is_port_free,
)
from storage.embedded.processes import (
    POLL_S,
    Launch,
    await_true,
    launch_server,
    read_command,
    signal_process,
)

Role = Literal["cache", "gcs"]

CACHE_MEMORY_MB = 64
PING_TIMEOUT_S = 0.5
PING_REPLY_BYTES_MAX = 200
PORT_ATTEMPTS_MAX = 3

CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir {folder}
pidfile {pid_file}
daemonize no
databases 16
tcp-keepalive 60
save ""
maxmemory {maxmemory_bytes}
"""
ROLE_CONFIGURATION = {
    # A cache may vanish at any moment, so nothing of it is ever written.
    "cache": "maxmemory-policy allkeys-lru\nappendonly no\n",
    # Ray's actors outlive a head restart only if their records do: none is ever evicted.
    "gcs": "maxmemory-policy noeviction\nappendonly yes\nappendfsync everysec\n"
    "aof-load-truncated yes\n",
}

log = get_log("storage.embedded")


@dataclass(frozen=True)
class ValkeyOptions:
    """What a server is started with; a folder keeps its role for good.

    `port` None: the last one, or a free one that is not reserved. `maxmemory_mb` None: 64 for a
    cache, no limit for gcs.
    """

    root: Path
    role: Role
    port: int | None = None
    maxmemory_mb: int | None = None
    timeout_s: float = 10.0
    reserved_ports: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ValkeyServer:
    """A server that answers; url and password stay out of repr."""

    pid: int
    port: int
    url: str = field(repr=False)
    password: str = field(repr=False)
    joined: bool


@dataclass(frozen=True)
class _State:
    """What is kept in state.json, 0600."""

    password: str = field(repr=False)
    role: str
    port: int


def start_valkey(options: ValkeyOptions) -> ValkeyServer:
    """Start the folder's server, or join the running one (then port and memory have no say).

    Takes some 50 ms. Raises the errors of storage.embedded.errors; after ServerStillStarting the
    server goes on loading and can be joined later.
    """
    began = time.monotonic()
    folder = open_folder(options.root)
    with hold_folder(folder, timeout_s=options.timeout_s):
        state = _find_valkey_state(folder)
        if state is not None and state.role != options.role:
            raise OptionsDiffer(
                f"{folder.root} was set up with role {state.role}, not {options.role}."
            )
        settled = _await_settled(folder, state, end=began + options.timeout_s)
        if isinstance(settled, ValkeyServer):
            return settled
        try:
            server = _launch(folder, state, options, alive_lock=settled)
        finally:
            os.close(settled)
        took_ms = round((time.monotonic() - began) * 1000)
        log.info(
            "valkey.started", role=options.role, pid=server.pid, port=server.port, took_ms=took_ms
        )
        return server


def find_valkey(root: Path) -> ValkeyServer | None:
    """Return the folder's server if it answers; raises FolderUnusable, ServerStateLost."""
    folder = find_folder(root)
    pid = _find_pid(folder) if folder else None
    if folder is None or pid is None:
        return None
    state = _find_valkey_state(folder)
    if state is None:
        raise _lost_state(folder, pid)
    return _describe(pid, state, joined=True) if _is_answering(folder, state) else None


def stop_valkey(root: Path, *, immediate: bool = False, timeout_s: float = 10.0) -> bool:
    """Stop the folder's server and wait until it is gone; False if none ran.

    What gcs has acknowledged is written first, unless `immediate`, which may lose its last second.
    Raises ServerStopTimedOut, FolderBusy.
    """
    folder = find_folder(root)
    if folder is None:
        return False
    end = time.monotonic() + timeout_s
    if immediate:
        return _stop(folder, signal.SIGKILL, end=end)
    with hold_folder(folder, timeout_s=timeout_s):
        return _stop(folder, signal.SIGTERM, end=end)


def _stop(folder: ServerFolder, number: signal.Signals, *, end: float) -> bool:
    """Tell the server to end, until no process is left.

    A server whose starter was killed is waited for until it says who it is.
    """
    told: int | None = None
    while not is_server_gone(folder):
        pid = _find_pid(folder)
        if pid is not None and pid != told:
            told = pid
            signal_process(pid, number)
        if time.monotonic() > end:
            raise ServerStopTimedOut(f"Valkey in {folder.root} did not stop in time.", pid=told)
        time.sleep(POLL_S)
    if told is not None:
        log.info("valkey.stopped", pid=told)
    return told is not None


def _find_valkey_state(folder: ServerFolder) -> _State | None:
    kept = find_state(folder)
    if kept is None:
        return None
    try:
        return _State(str(kept["password"]), str(kept["role"]), int(str(kept["port"])))
    except (KeyError, ValueError):
        return None


def _find_pid(folder: ServerFolder) -> int | None:
    """Return the living server's process id; a file left by a killed one counts for none."""
    try:
        text = (folder.data / "valkey.pid").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    if not text.isdigit():
        return None
    command = read_command(int(text))
    if not command or not Path(command[0].split(" ", 1)[0]).name.startswith("valkey-server"):
        return None
    return None if is_server_gone(folder) else int(text)


def _await_settled(folder: ServerFolder, state: _State | None, *, end: float) -> ValkeyServer | int:
    """Wait until a server answers (returned) or none is left (returns the held alive.lock)."""
    while True:
        alive_lock = find_alive_lock(folder)
        if alive_lock is not None:
            return alive_lock
        pid = _find_pid(folder)
        if pid is not None:
            if state is None:
                raise _lost_state(folder, pid)
            if _is_answering(folder, state):
                return _describe(pid, state, joined=True)
        if time.monotonic() > end:
            if pid is not None:
                raise ServerStillStarting(
                    f"Valkey {pid} in {folder.root} runs but does not answer.", pid=pid
                )
            raise FolderBusy(
                f"A process of an earlier Valkey still uses {folder.root}.",
                folder=str(folder.root),
            )
        time.sleep(0.02)


def _launch(
    folder: ServerFolder, state: _State | None, options: ValkeyOptions, *, alive_lock: int
) -> ValkeyServer:
    """Start the server; a remembered port that somebody takes meanwhile is replaced."""
    caches = (SHARED_CACHE, folder.root / "binaries")
    program = ensure_runnable(get_valkey_tree(), folder.account, caches)
    make_account_folder(folder.data, folder.account)
    state = state or _State(secrets.token_urlsafe(24), options.role, 0)
    for attempt in range(1, PORT_ATTEMPTS_MAX + 1):
        (folder.data / "valkey.pid").unlink(missing_ok=True)
        state = replace(state, port=_decide_port(state, options))
        write_state(folder, asdict(state))
        launch = Launch(
            (str(program), "-"), folder.account, alive_lock, _configure(folder, state, options)
        )
        with open_log(folder.root / "valkey.log") as server_log:
            process = launch_server(launch, server_log.descriptor)
            try:
                _await_ready(folder, state, process, server_log, options.timeout_s)
            except ServerStartFailed:
                is_final = options.port is not None or attempt == PORT_ATTEMPTS_MAX
                if is_final or is_port_free(state.port):
                    raise
                log.info("valkey.port_lost", port=state.port)
                continue
        return _describe(process.pid, state, joined=False)
    raise AssertionError("the last attempt returns or raises")


def _decide_port(state: _State, options: ValkeyOptions) -> int:
    """Return the port of this start; raises PortTaken when the one asked for is held."""
    if options.port is not None:
        check_port_free(options.port)
        return options.port
    return choose_port(state.port, options.reserved_ports)


def _configure(folder: ServerFolder, state: _State, options: ValkeyOptions) -> str:
    memory_mb = options.maxmemory_mb
    if memory_mb is None:
        memory_mb = CACHE_MEMORY_MB if options.role == "cache" else 0
    common = CONFIGURATION.format(
        port=state.port,
        password=_quote_value(state.password),
        folder=_quote_value(str(folder.data)),
        pid_file=_quote_value(str(folder.data / "valkey.pid")),
        maxmemory_bytes=memory_mb << 20,
    )
    return common + ROLE_CONFIGURATION[options.role]


def _quote_value(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _await_ready(
    folder: ServerFolder,
    state: _State,
    process: subprocess.Popen[bytes],
    server_log: ServerLog,
    timeout_s: float,
) -> None:
    is_ready = False

    def is_settled() -> bool:
        nonlocal is_ready
        is_ready = _find_pid(folder) == process.pid and _is_answering(folder, state)
        return is_ready or process.poll() is not None

    # Who gives no time does not look either, however quick the server was.
    if timeout_s <= 0 or not await_true(is_settled, timeout_s=timeout_s):
        raise ServerStillStarting(
            f"Valkey {process.pid} in {folder.root} does not answer after {timeout_s:g} s; it "
            "goes on, and the next start joins it.",
            pid=process.pid,
        )
    if not is_ready:
        tail = server_log.read_tail()
        raise ServerStartFailed(
            f"Valkey ended with code {process.returncode}; the end of {server_log.path}:\n{tail}",
            log_tail=tail,
        )


def _is_answering(folder: ServerFolder, state: _State) -> bool:
    """Log in and ping (deadline 0.5 s); the password is never said to another user's program."""
    if not is_listening_as(state.port, folder.account.uid):
        return False
    try:
        with socket.create_connection((LOOPBACK, state.port), timeout=PING_TIMEOUT_S) as wire:
            wire.sendall(f"AUTH {state.password}\r\nPING\r\n".encode())
            reply = b""
            while reply.count(b"\r\n") < 2 and len(reply) < PING_REPLY_BYTES_MAX:
                chunk = wire.recv(PING_REPLY_BYTES_MAX)
                if not chunk:
                    break
                reply += chunk
    except OSError:
        return False
    return reply == b"+OK\r\n+PONG\r\n"


def _describe(pid: int, state: _State, *, joined: bool) -> ValkeyServer:
    url = f"redis://:{quote(state.password, safe='')}@{LOOPBACK}:{state.port}/0"
    return ValkeyServer(pid=pid, port=state.port, url=url, password=state.password, joined=joined)


def _lost_state(folder: ServerFolder, pid: int) -> ServerStateLost:
    return ServerStateLost(
        f"Valkey {pid} runs in {folder.root}, but state.json with its password is gone. Stop it "
        "and start it again: the password is then renewed.",
        pid=pid,
    )
