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
from cluster.topology import PortNeed
from kit.errors import AppError
from storage.embedded.ports import PortHolder, find_port_holder

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
    def describe(cls, need: PortNeed, holder: PortHolder | None) -> PortHeld:
        """Say which port, who holds it, and how to choose another."""
        who = "another program"
        if holder is not None:
            command = read_title(holder.pid)[:COMMAND_CHARS_MAX] if holder.pid else ""
            who = f"process {holder.pid} ({command})" if holder.pid else str(holder)
        way = VARIABLES.get(need.what) or VARIABLES[need.kind]
        return cls(
            f"Port {need.port}/{need.kind} for {need.what} is taken by {who}. Stop it, or choose "
            f"another port with {way}.",
            port=need.port,
            holder_pid=holder.pid if holder else None,
        )


def is_free(need: PortNeed) -> bool:
    """Say whether the port could be bound at its address now; no IPv6 here counts as free."""
    family = socket.AF_INET6 if ":" in need.host else socket.AF_INET
    kind = socket.SOCK_STREAM if need.kind == "tcp" else socket.SOCK_DGRAM
    try:
        with socket.socket(family, kind) as probe:
            if need.kind == "tcp":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((need.host, need.port))
    except OSError as error:
        return error.errno not in {errno.EADDRINUSE, errno.EACCES}
    return True


def find_holder(need: PortNeed) -> PortHolder | None:
    """Return who holds the port, as far as this process may see."""
    return find_port_holder(need.port) if need.kind == "tcp" else find_udp_holder(need.port)


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
