"""From the command line to a site: finds the home, reads settings, starts detached supervisors.

Called by `cli`; the only module that joins flags, environment and files into one site.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cluster.board import Board, find_board
from cluster.home import DEFAULT_NAME, Home, decide_home, prepare_home
from cluster.keys import ensure_keys
from cluster.records import Record, RecordShelf, is_alive
from cluster.settings_files import load_installation, read_installation
from cluster.site import Site, describe_supervisor
from cluster.steps import Screen
from kit.setting_sections import HttpSettings
from kit.settings import HOME_VARIABLE, SETTINGS_VARIABLE, Settings, copy_environment, load_settings

LOG_BYTES_MAX = 10 << 20
DETACHED_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 90.0
FOLLOW_EVERY_S = 0.1


@dataclass(frozen=True)
class Flags:
    """What `up` was told on the command line; None leaves the setting as it is."""

    home: Path | None = None
    port: int | None = None


def find_home(flags: Flags, environ: Mapping[str, str]) -> Home:
    """Return the home the flags, the environment or the working folder name."""
    given = environ.get(SETTINGS_VARIABLE)
    named = flags.home or Path(environ.get(HOME_VARIABLE) or "")
    if named == Path():
        named = load_settings(environ).home if given else Path(DEFAULT_NAME)
    return decide_home(named, Path.cwd())


def open_site(home: Home, flags: Flags, screen: Screen) -> Site:
    """Prepare the home and return the site a supervisor works on; raises AppError, OSError."""
    environ = copy_environment()
    prepare_home(home)
    settings = apply_flags(load_installation(home, environ), flags)
    settings = _prefer_running(home, settings, screen)
    supervisor = describe_supervisor(os.getpid())
    shelf = RecordShelf(home.run)
    shelf.write(supervisor)
    return Site(
        home=home,
        given=settings,
        keys=ensure_keys(home.keys, settings.cluster),
        inherited=environ,
        screen=screen,
        board=Board(home.run / "status.json", supervisor),
        shelf=shelf,
    )


def apply_flags(settings: Settings, flags: Flags) -> Settings:
    """Return the settings with the flags applied; the public address follows the port."""
    http = settings.http
    if flags.port is not None:
        http = dataclasses.replace(http, port=flags.port)
    if http.public_url == HttpSettings().public_url:
        http = dataclasses.replace(http, public_url=f"http://localhost:{http.port}")
    return dataclasses.replace(settings, http=http)


def read_settings(home: Home) -> Settings:
    """Return the settings as they are, for commands that only look."""
    return apply_flags(read_installation(home, copy_environment()), Flags())


def find_supervisor(home: Home) -> Record | None:
    """Return the living supervisor of the home."""
    return RecordShelf(home.run).find_alive("supervisor")


def redirect_errors(home: Home, name: str) -> None:
    """Send this process's standard error to a log file; a terminal is for people."""
    path = home.logs / name
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".1.log"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, sys.stderr.fileno())
    os.close(descriptor)


def start_detached(home: Home, flags: Flags, console: Console) -> int:
    """Start a supervisor in a session of its own and follow what it says until it is ready."""
    prepare_home(home)
    output = home.logs / "up.log"
    output.unlink(missing_ok=True)
    words = [sys.executable, "-m", "cluster.cli", "up", "--home", str(home.root)]
    if flags.port is not None:
        words += ["--port", str(flags.port)]
    environ = copy_environment()
    root = str(Path(__file__).resolve().parents[1])
    environ["PYTHONPATH"] = os.pathsep.join(
        entry for entry in (environ.get("PYTHONPATH", ""), root) if entry
    )
    with output.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603 -- ourselves
            words,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    for line in _follow(output, process):
        console.print(line, end="", markup=False, highlight=False)
    status = process.poll()
    if status is None:
        board = find_board(home.run / "status.json") or {}
        if board.get("state") == "running":
            return 0
        console.print(f"  Not ready after {DETACHED_TIMEOUT_S:g} s; it goes on. See {output}.")
        return 1
    return status


def _follow(output: Path, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield what the supervisor prints until the product runs, it ends, or time is up."""
    end = time.monotonic() + DETACHED_TIMEOUT_S
    with output.open(errors="replace") as file:
        while time.monotonic() < end:
            is_over = process.poll() is not None
            board = find_board(output.parents[1] / "run" / "status.json") or {}
            is_ours = board.get("supervisor", {}).get("pid") == process.pid
            is_ready = is_ours and board.get("state") == "running"
            yield from file.readlines()
            if is_over or is_ready:
                time.sleep(FOLLOW_EVERY_S)
                yield from file.readlines()
                return
            time.sleep(FOLLOW_EVERY_S)


def stop_supervised(supervisor: Record, home: Home, screen: Screen, *, hard: bool) -> bool:
    """Ask a living supervisor to stop and show its progress; False when it did not in time."""
    os.kill(supervisor.pid, signal.SIGTERM)
    if hard:
        time.sleep(0.2)
        os.kill(supervisor.pid, signal.SIGTERM)
    end = time.monotonic() + STOP_TIMEOUT_S
    while is_alive(supervisor):
        if time.monotonic() > end:
            return False
        board = find_board(home.run / "status.json") or {}
        screen.count_down(f"Stopping: {board.get('message') or 'the product'}")
        time.sleep(FOLLOW_EVERY_S)
    screen.close()
    return True


def _prefer_running(home: Home, settings: Settings, screen: Screen) -> Settings:
    """Return the settings the living processes were started with, if there are any.

    Joining them with others would leave half the product on each.
    """
    shelf = RecordShelf(home.run)
    path = home.running_settings_file
    if not path.exists() or not shelf.find_alive("ray-node"):
        return settings
    running = load_settings({SETTINGS_VARIABLE: str(path)})
    joined = dataclasses.replace(
        running,
        database=dataclasses.replace(running.database, url=settings.database.url),
        cache=dataclasses.replace(running.cache, url=settings.cache.url),
        cluster=dataclasses.replace(running.cluster, ray_address=settings.cluster.ray_address),
    )
    if joined != settings:
        screen.say(
            "  The product already runs with other settings and keeps them; "
            "`socialflow down` first, to apply the present ones."
        )
    return joined
