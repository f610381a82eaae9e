"""Starting, recognising and ending the processes of an embedded server.

Used by the launchers. A server runs in its own session with a minimal environment; a process is
known by its command line, never by its number alone, and a dead one that nobody reaped is dead.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage.embedded.accounts import MINIMAL_ENV, Account
from storage.embedded.errors import ServerStartFailed

POLL_S = 0.01


@dataclass(frozen=True)
class Launch:
    """What a process is started with; it inherits `alive_lock` and nothing else."""

    argv: tuple[str, ...]
    account: Account
    alive_lock: int
    stdin: str = ""


def read_command(pid: int) -> tuple[str, ...]:
    """Return the command line of a process; empty for one that is gone or not yet reaped."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(part) for part in raw.split(b"\0") if part)


def has_process(pid: int) -> bool:
    """Say whether the process number is in use, be it only by a dead process."""
    return Path(f"/proc/{pid}").exists()


def list_titled(prefix: str) -> list[int]:
    """Return the ids of processes whose command line begins with `prefix`."""
    pids = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if " ".join(read_command(pid)).startswith(prefix)]


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is already gone is no fault."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def launch_server(launch: Launch, log_descriptor: int) -> subprocess.Popen[bytes]:
    """Start a server in its own session, its output going to the log.

    A thread waits for it, so that the server is reaped while this process lives.
    """
    process = subprocess.Popen(  # noqa: S603 - the wheel's program, no shell
        launch.argv,
        user=launch.account.child_uid,
        group=launch.account.child_gid,
        extra_groups=launch.account.child_groups,
        env=MINIMAL_ENV,
        cwd="/",
        umask=0o077,
        stdin=subprocess.PIPE if launch.stdin else subprocess.DEVNULL,
        stdout=log_descriptor,
        stderr=log_descriptor,
        pass_fds=(launch.alive_lock,),
        start_new_session=True,
    )
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(launch.stdin.encode())
    threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
    return process


def run_step(launch: Launch, *, timeout_s: float) -> None:
    """Run a setup program to its end; raises ServerStartFailed with the end of its output."""
    program = Path(launch.argv[0]).name
    try:
        answer = subprocess.run(  # noqa: S603 - the wheel's program, no shell
            launch.argv,
            user=launch.account.child_uid,
            group=launch.account.child_gid,
            extra_groups=launch.account.child_groups,
            env=MINIMAL_ENV,
            cwd="/",
            umask=0o077,
            input=launch.stdin,
            capture_output=True,
            text=True,
            errors="replace",
            pass_fds=(launch.alive_lock,),
            start_new_session=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServerStartFailed(f"{program} did not end within {timeout_s:.0f} s.") from error
    if answer.returncode != 0:
        tail = (answer.stderr or answer.stdout).strip()[-1000:]
        raise ServerStartFailed(
            f"{program} ended with code {answer.returncode}:\n{tail}", log_tail=tail
        )


def await_true(check: Callable[[], bool], *, timeout_s: float) -> bool:
    """Ask every 10 ms until the check holds; False when it did not within `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True
