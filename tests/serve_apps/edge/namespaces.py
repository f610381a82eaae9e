"""Two machines' networks on one: Linux namespaces with an address each and a cable between them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

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
    except subprocess.CalledProcessError:
        return False


@contextlib.contextmanager
def cabled_namespaces(name: str) -> Iterator[tuple[str, str]]:
    """Make two namespaces, each with loopback and one end of a cable; lends their names."""
    names = f"{name}-0", f"{name}-1"
    with contextlib.ExitStack() as stack:
        for each in names:
            _ip("netns", "add", each)
            stack.callback(_ip, "netns", "del", each)
        one, two = (("name", "cable", "netns", each) for each in names)
        _ip("link", "add", *one, "type", "veth", "peer", *two)
        for each, address in zip(names, ADDRESSES, strict=True):
            _ip("-n", each, "address", "add", f"{address}/30", "dev", "cable")
            for device in ("lo", "cable"):
                _ip("-n", each, "link", "set", device, "up")
        yield names


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=COMMAND_TIMEOUT_S)
