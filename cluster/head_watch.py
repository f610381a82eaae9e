"""What the crew of a machine that joined asks of the head: does it know this machine's Ray node?

A head that went down and came up begins with nothing. A Ray node of before takes up to half a
minute to end by itself then; asking tells at once that it must be started anew.
"""

from __future__ import annotations

import asyncio
import enum
import socket
import time
from collections.abc import Callable
from typing import Any

import ray
from ray._raylet import GcsClient

from kit.logs import get_log

LOOK_EVERY_S = 0.3
WATCH_EVERY_S = 1.0
"""While all is well; an answer takes 3 ms of both."""
ASK_TIMEOUT_S = 2.0
STRANGE_FOR_S = 2.0
"""A node that the head does not list for so long is none of its own."""

log = get_log("cluster.crew")


class Verdict(enum.Enum):
    """What is known of the head so far."""

    OPEN = enum.auto()
    KNOWN = enum.auto()
    STRANGER = enum.auto()


class Acquaintance:
    """Decides from what the head lists whether it knows node `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._strange_since_s: float | None = None

    def hear(self, living: set[str] | None, now_s: float) -> Verdict:
        """Take one answer of the head, None when there was none."""
        if living is None:
            self._strange_since_s = None
            return Verdict.OPEN
        if self._name in living:
            return Verdict.KNOWN
        if self._strange_since_s is None:
            self._strange_since_s = now_s
        is_strange = now_s - self._strange_since_s >= STRANGE_FOR_S
        return Verdict.STRANGER if is_strange else Verdict.OPEN


async def await_acquaintance(head: str, node: str, on_stranger: Callable[[], None]) -> None:
    """Return once the control service at `head` lists a living node of this name.

    `on_stranger` is called when it turns out to know none, and the waiting goes on.
    """
    while await _ask(head, node, LOOK_EVERY_S, until={Verdict.KNOWN, Verdict.STRANGER}) is (
        Verdict.STRANGER
    ):
        on_stranger()


async def await_stranger(head: str, node: str) -> None:
    """Return when the control service at `head` does not know this node any more."""
    await _ask(head, node, WATCH_EVERY_S, until={Verdict.STRANGER})


async def _ask(head: str, node: str, every_s: float, *, until: set[Verdict]) -> Verdict:
    met = Acquaintance(node)
    while True:
        living = await asyncio.to_thread(list_living, head)
        verdict = met.hear(living, time.monotonic())
        if verdict in until:
            if verdict is Verdict.STRANGER:
                log.warning("head.does_not_know_us", head=head, node=node)
            return verdict
        await asyncio.sleep(every_s)


def list_living(head: str) -> set[str] | None:
    """Return the names of the nodes that the head takes for alive; None: it does not answer."""
    host, _, port = head.rpartition(":")
    try:
        # Ray's own client takes 40 s to give up on a port where nobody listens.
        socket.create_connection((host.strip("[]"), int(port)), ASK_TIMEOUT_S).close()
        client: Any = GcsClient(address=head)
        nodes = client.get_all_node_info(timeout=ASK_TIMEOUT_S)
    except (ray.exceptions.RayError, RuntimeError, OSError):
        return None
    return {str(info.node_name) for info in nodes.values() if info.state == 0}
