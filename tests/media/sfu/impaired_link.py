"""A bad network between peers and a server, for tests: a UDP relay whose faults come from a seed.

`Impairment` decides what becomes of each datagram of one direction; it is pure, and the same seed
gives the same fates whatever the conditions. `ImpairedLink` does it to real datagrams.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

Address = tuple[str, int]

HERE = "127.0.0.1"
REORDERED_S = 0.03
JITTER_CHANGES = 0.1
"""The chance of a datagram to find another wait than the one before it did."""
CLIENTS_MAX = 64


@dataclass(frozen=True)
class Conditions:
    """What one direction does to datagrams.

    Shares are 0 to 1. Jitter is a wait between 0 and `jitter_s` that holds for some datagrams, as
    queues do, and keeps their order; a share `reordering` is held back by `REORDERED_S` besides,
    and overtaken. `rate_bps` (0: no limit) is of a bottleneck that queues for at most `queue_s`,
    then loses what comes. One of `garbled` bytes is another than was sent, which loses its
    datagram: long ones get through less often than short ones.
    """

    loss: float = 0.0
    garbled: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reordering: float = 0.0
    duplication: float = 0.0
    rate_bps: float = 0.0
    queue_s: float = 0.3


PERFECT = Conditions()


class Impairment:
    """The fates of one direction's datagrams, one at a time; `conditions` may change."""

    def __init__(self, seed: int | str, conditions: Conditions = PERFECT) -> None:
        self.conditions = conditions
        self.lost = 0
        self._random = random.Random(seed)
        self._jitter = self._random.random()
        self._free_at_s = float("-inf")
        self._last_s = float("-inf")

    def decide(self, size_bytes: int, now_s: float) -> tuple[float, ...]:
        """Return when each copy of a datagram arrives: none when it is lost, two when doubled."""
        # Always five numbers a datagram, so that its fate depends on its place alone.
        lost, changed, jitter, reordered, doubled = (self._random.random() for _ in range(5))
        if changed < JITTER_CHANGES:
            self._jitter = jitter
        conditions = self.conditions
        left_s = self._pass_bottleneck(size_bytes, now_s)
        passing = (1 - conditions.loss) * (1 - conditions.garbled) ** size_bytes
        if left_s is None or lost < 1 - passing:
            self.lost += 1
            return ()
        due_s = left_s + conditions.delay_s + self._jitter * conditions.jitter_s
        if reordered < conditions.reordering:
            due_s += REORDERED_S
        else:
            due_s = self._last_s = max(self._last_s, due_s)
        return (due_s, due_s) if doubled < conditions.duplication else (due_s,)

    def _pass_bottleneck(self, size_bytes: int, now_s: float) -> float | None:
        """Return when a datagram is through, None when the queue is full."""
        if not self.conditions.rate_bps:
            return now_s
        begins_s = max(now_s, self._free_at_s)
        if begins_s - now_s > self.conditions.queue_s:
            return None
        self._free_at_s = begins_s + size_bytes * 8 / self.conditions.rate_bps
        return self._free_at_s


@dataclass(order=True)
class _Delivery:
    due_s: float
    number: int
    deliver: Callable[[], None] = field(compare=False)


class Deliveries:
    """What is on its way: each is delivered when it is due, in the order of its planning."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heap: list[_Delivery] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def plan(self, due_s: float, deliver: Callable[[], None]) -> None:
        """Deliver something at a time of the event loop."""
        heapq.heappush(self._heap, _Delivery(due_s, next(self._numbers), deliver))
        self._wind()

    def close(self) -> None:
        """Lose all of it."""
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._heap[0].due_s, self._deliver_due)

    def _deliver_due(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        while self._heap and self._heap[0].due_s <= now_s:
            heapq.heappop(self._heap).deliver()
        if self._heap:
            self._wind()


class ImpairedLink:
    """A port that stands for a server's: `up` is towards the server, `down` back to its peers."""

    def __init__(self, server: Address, seed: int) -> None:
        self.up = Impairment(f"{seed} up")
        self.down = Impairment(f"{seed} down")
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._front: asyncio.DatagramTransport | None = None
        self._backs: dict[Address, asyncio.Future[asyncio.DatagramTransport]] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._deliveries = Deliveries()

    async def start(self) -> None:
        """Open the port."""
        front, _ = await self._loop.create_datagram_endpoint(
            lambda: _Port(self._take_from_peer), local_addr=(HERE, 0)
        )
        self._front = front

    def close(self) -> None:
        """End everything; what is on its way is lost."""
        self._deliveries.close()
        for task in self._opening:
            task.cancel()
        for back in self._backs.values():
            if back.done() and not back.cancelled():
                back.result().close()
        if self._front is not None:
            self._front.close()

    def rebind(self) -> None:
        """Let the server see every peer at another port from now on, as when a NAT forgets."""
        for back in self._backs.values():
            if back.done() and not back.cancelled():
                back.result().close()
        self._backs.clear()

    @property
    def port(self) -> int:
        """Where peers send what is for the server."""
        assert self._front is not None, "start() comes first"
        return int(self._front.get_extra_info("sockname")[1])

    def redirect(self, answer: str) -> str:
        """Return a server's SDP with the link's port in place of its own."""
        return answer.replace(f" {self._server[1]} typ host", f" {self.port} typ host")

    def _take_from_peer(self, datagram: bytes, peer: Address) -> None:
        back = self._backs.get(peer)
        if back is None:
            if len(self._backs) >= CLIENTS_MAX:
                return
            back = self._backs[peer] = self._loop.create_future()
            task = asyncio.create_task(self._open_back(peer, back))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        for due_s in self.up.decide(len(datagram), self._loop.time()):
            self._deliveries.plan(due_s, lambda: _send(back, datagram))

    async def _open_back(
        self, peer: Address, back: asyncio.Future[asyncio.DatagramTransport]
    ) -> None:
        """Open the socket by which the server sees one peer."""

        def take_from_server(datagram: bytes, _server: Address) -> None:
            front = self._front
            assert front is not None, "start() comes first"
            for due_s in self.down.decide(len(datagram), self._loop.time()):
                self._deliveries.plan(due_s, lambda: front.sendto(datagram, peer))

        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Port(take_from_server), remote_addr=self._server
        )
        back.set_result(transport)


def _send(back: asyncio.Future[asyncio.DatagramTransport], datagram: bytes) -> None:
    """Pass a datagram on; peers repeat what they say before the socket is open."""
    if back.done():
        back.result().sendto(datagram)


class _Port(asyncio.DatagramProtocol):
    """Hands on what comes."""

    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take one datagram."""
        self._take(data, cast(Address, addr))

    def error_received(self, exc: Exception) -> None:
        """Ignore ICMP errors: either end may close first."""
