"""Local TCP ports: which is free, and who holds a taken one.

Used by the launchers. Ports are taken from a range that neither the system hands to outgoing
connections (32768 up on Linux) nor Ray's workers use (10002-19999), so a remembered one stays ours.
"""

from __future__ import annotations

import contextlib
import pwd
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from storage.embedded.errors import PortTaken

LOOPBACK = "127.0.0.1"
PORT_MIN, PORT_MAX = 21_000, 29_999
ATTEMPTS_MAX = 200
LISTENING = "0A"


@dataclass(frozen=True)
class PortHolder:
    """Who listens on a port; `pid` is None for a process we may not look into."""

    user_name: str
    pid: int | None
    command: str

    def __str__(self) -> str:
        """Name the holder for a person."""
        if self.pid is None:
            return f"a program of user {self.user_name}"
        return f"process {self.pid} ({self.command or 'unnamed'}) of user {self.user_name}"


def is_port_free(port: int) -> bool:
    """Say whether a server could listen on 127.0.0.1:port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def get_free_port(reserved: Collection[int] = ()) -> int:
    """Return a free local port but those `reserved` for whoever starts later; raises PortTaken.

    Another process may still take it first.
    """
    for _ in range(ATTEMPTS_MAX):
        port = PORT_MIN + secrets.randbelow(PORT_MAX - PORT_MIN + 1)
        if port not in reserved and is_port_free(port):
            return port
    raise PortTaken(f"No free port found between {PORT_MIN} and {PORT_MAX}.")


def choose_port(last: int | None, reserved: Collection[int] = ()) -> int:
    """Return the last port if it can be had still, else another one; raises PortTaken."""
    if last and last not in reserved and is_port_free(last):
        return last
    return get_free_port(reserved)


def check_port_free(port: int) -> None:
    """Refuse a taken port, naming its holder; raises PortTaken."""
    if is_port_free(port):
        return
    holder = find_port_holder(port)
    raise PortTaken(
        f"Port {port} is taken by {holder or 'another program'}.",
        port=port,
        holder_pid=holder.pid if holder else None,
    )


def _list_listeners(port: int) -> list[tuple[int, str]]:
    """Return (uid, inode) of the sockets listening on a port, from /proc/net/tcp and tcp6."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="utf-8").splitlines()[1:]:
                column = line.split()
                if column[3] == LISTENING and int(column[1].rsplit(":", 1)[1], 16) == port:
                    found.append((int(column[7]), column[9]))
    return found


def is_listening_as(port: int, uid: int) -> bool:
    """Say whether a process of that user listens on the port."""
    return any(owner == uid for owner, _inode in _list_listeners(port))


def find_port_holder(port: int) -> PortHolder | None:
    """Return who listens on the port, as far as this process may see; None if nobody does."""
    listeners = _list_listeners(port)
    if not listeners:
        return None
    uid = listeners[0][0]
    try:
        user_name = pwd.getpwuid(uid).pw_name
    except KeyError:
        user_name = str(uid)
    wanted = {f"socket:[{inode}]" for _uid, inode in listeners}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in wanted:
                    command = (process / "comm").read_text(encoding="utf-8").strip()
                    return PortHolder(user_name, int(process.name), command)
    return PortHolder(user_name, None, "")
