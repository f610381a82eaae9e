"""Two machines' networks on one: Linux namespaces with an address each and a cable between them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

from tests.serve_apps.edge.impaired_cable import open_end

COMMAND_TIMEOUT_S = 60
ADDRESSES = ("198.18.7.1", "198.18.7.2")
"""Of the block for tests between networks (RFC 2544), seen within these namespaces alone."""


def can_make_namespaces() -> bool:
    """Tell whether this process may: as root, in a container that was not denied it."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    try:
        with cabled_namespaces(f"probe-{os.getpid()}"):
            return True
    except (subprocess.CalledProcessError, OSError):
        return False


@contextlib.contextmanager
def cabled_namespaces(name: str) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    """Make two namespaces, each with loopback and one end of a cable; lends their names and those.

    The ends are what an `ImpairedCable` carries packets between.
    """
    names = f"{name}-0", f"{name}-1"
    with contextlib.ExitStack() as stack:
        ends = []
        for at, namespace in enumerate(names):
            _ip("netns", "add", namespace)
            stack.callback(_ip, "netns", "del", namespace)
            device = f"sf{os.getpid()}-{at}"
            ends.append(open_end(device))
            stack.callback(os.close, ends[-1])
            _ip("link", "set", device, "netns", namespace, "name", "cable")
            _ip("-n", namespace, "address", "add", f"{ADDRESSES[at]}/30", "dev", "cable")
            for each in ("lo", "cable"):
                _ip("-n", namespace, "link", "set", each, "up")
        yield names, (ends[0], ends[1])


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=COMMAND_TIMEOUT_S)
