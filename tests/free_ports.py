"""Ports for servers that begin later, lent to one test process at a time.

Several processes of the suite choose ports side by side, and whoever is given one binds it seconds
later. These come from a range of their own: embedded servers, which choose by themselves, have
another.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections import deque
from contextlib import ExitStack
from pathlib import Path

from cluster.port_holders import is_free
from cluster.topology import EDGE_PORT_STEP, PortNeed
from kit.file_locks import take_lock

PORT_MIN, PORT_MAX = 30_000, 32_700
"""Above those of `storage.embedded.ports`, below the system's for outgoing connections."""
ATTEMPTS_MAX = 500
KEPT_MAX = 256
"""Lendings that a process keeps; earlier ones have been bound, or their test has ended."""
FOLDER = Path(tempfile.gettempdir()) / f"socialflow-test-ports-{os.getuid()}"

_kept: deque[ExitStack] = deque()


def lend_port(kind: str = "tcp", *, slots: int = 1) -> int:
    """Return a port that is free for every slot; those of further edges are ten apart."""
    for _ in range(ATTEMPTS_MAX):
        first = PORT_MIN + secrets.randbelow(PORT_MAX - PORT_MIN)
        ports = [first + EDGE_PORT_STEP * slot for slot in range(slots)]
        with ExitStack() as lent:
            if not all(_take(port, kind, lent) for port in ports):
                continue
            _kept.append(lent.pop_all())
        while len(_kept) > KEPT_MAX:
            _kept.popleft().close()
        return first
    raise AssertionError(f"no free {kind} port")


def _take(port: int, kind: str, lent: ExitStack) -> bool:
    """Keep other processes of the suite off a port that nobody listens on."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(FOLDER / f"{kind}-{port}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    lent.callback(os.close, descriptor)
    return take_lock(descriptor) and is_free(PortNeed("a test", "0.0.0.0", port, kind))
