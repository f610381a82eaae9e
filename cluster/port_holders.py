"""Taken ports and who holds them, as an error a person can act on.

TCP is asked of storage.embedded; this adds UDP and the sentence with the cure.
"""

from __future__ import annotations

import contextlib
import errno
import pwd
import socket
from pathlib import Path

from cluster.processes import read_title
from kit.errors import AppError
from storage.embedded.ports import PortHolder

COMMAND_CHARS_MAX = 120
VARIABLES = {
    "the page and the API": "--port, or SOCIALFLOW_HTTP_PORT",
    "tcp": "SOCIALFLOW_EDGE_PORT",
    "udp": "SOCIALFLOW_EDGE_UDP_PORT",
}


class PortHeld(AppError):
    """A port the product needs is held by another program."""

    code, status, message = "port_held", 409, "A port is taken by another program."

    @classmethod
    def describe(cls, what: str, port: int, kind: str, holder: PortHolder | None) -> PortHeld:
        """Say which port, who holds it, and how to choose another."""
        who = "another program"
        if holder is not None:
            command = read_title(holder.pid)[:COMMAND_CHARS_MAX] if holder.pid else ""
            who = f"process {holder.pid} ({command})" if holder.pid else str(holder)
        way = VARIABLES.get(what) or VARIABLES[kind]
        return cls(
            f"Port {port}/{kind} for {what} is taken by {who}. Stop it, or choose another port "
            f"with {way}.",
            port=port,
            holder_pid=holder.pid if holder else None,
        )


def is_udp_port_free(port: int) -> bool:
    """Say whether a datagram socket could be bound to the port on any address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 -- closed at once
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def find_udp_holder(port: int) -> PortHolder | None:
    """Return who holds a UDP port, as far as this process may see."""
    wanted: dict[str, int] = {}
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if int(columns[1].rsplit(":", 1)[1], 16) == port:
                    wanted[f"socket:[{columns[9]}]"] = int(columns[7])
    if not wanted:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in wanted:
                    command = (process / "comm").read_text().strip()
                    return PortHolder(str(process.owner()), int(process.name), command)
    uid = next(iter(wanted.values()))
    with contextlib.suppress(KeyError):
        return PortHolder(pwd.getpwuid(uid).pw_name, None, "")
    return PortHolder(str(uid), None, "")
