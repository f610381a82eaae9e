"""A cable between two network namespaces whose faults come from a seed: loss, delay, reordering.

Each end is a TUN device, and whole IP packets pass through this process, TCP's as well as UDP's.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from functools import partial

from tests.media.sfu.impaired_link import Deliveries, Impairment

DEVICE = "/dev/net/tun"
# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKET_BYTES_MAX = 65_536


def open_end(name: str) -> int:
    """Make a TUN device, which is there until its descriptor is closed; return that."""
    end = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError:
        os.close(end)
        raise
    return end


class ImpairedCable:
    """Carries packets between two ends while `carrying`; `ways` are from each end to the other."""

    def __init__(self, ends: tuple[int, int], seed: int) -> None:
        self.ways = Impairment(f"{seed} there"), Impairment(f"{seed} back")
        self._ends = ends

    @contextlib.contextmanager
    def carrying(self) -> Iterator[None]:
        """Carry packets within the block."""
        loop, deliveries = asyncio.get_running_loop(), Deliveries()
        for at, end in enumerate(self._ends):
            loop.add_reader(end, partial(self._take, at, deliveries))
        try:
            yield
        finally:
            for end in self._ends:
                loop.remove_reader(end)
            deliveries.close()

    def _take(self, at: int, deliveries: Deliveries) -> None:
        packet = os.read(self._ends[at], PACKET_BYTES_MAX)
        now_s = asyncio.get_running_loop().time()
        for due_s in self.ways[at].decide(len(packet), now_s):
            deliveries.plan(due_s, partial(self._deliver, 1 - at, packet))

    def _deliver(self, at: int, packet: bytes) -> None:
        # The device is down for a moment, or has no room: lost, as on any other cable.
        with contextlib.suppress(OSError):
            os.write(self._ends[at], packet)
