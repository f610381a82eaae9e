"""Debian's coturn for tests: on loopback, with the secret that an edge shares with it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, Popen

from cluster.bootstrap import COTURN
from tests.free_ports import lend_port
from tests.product import await_true

HERE = "127.0.0.1"
END_S = 60.0
HAS_COTURN = COTURN.exists()
"""It comes with Debian's package coturn (`make test`)."""


@contextlib.contextmanager
def run_coturn(secret: str, folder: Path, relay_ip: str = HERE) -> Iterator[int]:
    """Run the server until the block ends; lends its port, which takes UDP and TCP.

    It relays from the address at which edges are, for they answer from there; to loopback, too,
    which it rightly refuses elsewhere.
    """
    port = lend_port()
    words = f"-n --listening-ip {HERE} --relay-ip {relay_ip} --listening-port {port} --realm test"
    words += " --use-auth-secret --allow-loopback-peers --no-tls --no-dtls --no-cli --simple-log"
    for option, name in (("--log-file", "log"), ("--pidfile", "pid"), ("--userdb", "db")):
        words += f" {option} {folder}/turn.{name}"
    server = Popen(
        [str(COTURN), *words.split(), "--static-auth-secret", secret],
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        await_true(lambda: is_listening(port), "coturn listens")
        yield port
    finally:
        server.terminate()
        server.wait(END_S)


def is_listening(port: int) -> bool:
    """Tell whether a port takes connections."""
    with socket.socket() as trying:
        return trying.connect_ex((HERE, port)) == 0
