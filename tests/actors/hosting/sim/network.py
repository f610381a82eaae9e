"""Links between simulated processes: delay, stalls one way or both, silence, resets, deaths.

A link keeps the order of its messages and loses only what was under way when it ended, like the
stream underneath a real one. Silence is noticed after a second, as actors/link/link.py does it; the
heartbeats themselves are not simulated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.hosting.ports import HostLink, HostLinkOwner, LinkListener
from actors.link.frames import LinkLost, LinkPeer, LinkRefused
from actors.link.link import HEARTBEAT_S, SILENCE_S
from actors.link.opening import HELLO_TIMEOUT_S
from tests.actors.hosting.sim.loop import ProcessLoop, Timeline

TRAVEL_S = 0.001
GOODBYE = object()


@dataclass
class Listener:
    """A host that accepts links at its address."""

    loop: ProcessLoop
    me: LinkPeer
    accepts: Mapping[str, Any]
    owner: Any
    links: dict[SimLink, None] = field(default_factory=dict)


class Network:
    """All listeners and links of the world."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.listeners: dict[str, Listener] = {}
        self.links: dict[SimLink, None] = {}
        """Ends that are open."""
        self.holding: dict[SimLink, None] = {}
        """Ends of which something is held up on its way, open or not."""
        self.stalled: set[tuple[str, str]] = set()
        """Directions (from process, to process) in which nothing arrives."""

    # Faults

    def stall(self, sender: str, receiver: str) -> None:
        """Let nothing pass in this direction; the receiver notices the silence."""
        self.stalled.add((sender, receiver))
        for link in list(self.links):
            if (link.other.loop.name, link.loop.name) == (sender, receiver):
                link.expect_silence()

    def unstall(self, sender: str, receiver: str) -> None:
        """Let pass what was held up, and what comes."""
        self.stalled.discard((sender, receiver))
        for link in list(self.holding):
            if (link.loop.name, link.other.loop.name) == (sender, receiver):
                link.let_go()

    def reset(self, one: str, another: str) -> None:
        """End the links between two processes; what was under way is lost."""
        for link in list(self.links):
            if (link.loop.name, link.other.loop.name) in ((one, another), (another, one)):
                link.lose()
                link.other.lose()

    def note_pause(self, name: str) -> None:
        """A process stands still: its peers will hear nothing."""
        for link in list(self.links):
            if link.other.loop.name == name:
                link.expect_silence()

    def note_death(self, loop: ProcessLoop) -> None:
        """A process died: its sockets close."""
        self.listeners = {a: spot for a, spot in self.listeners.items() if spot.loop is not loop}
        for link in list(self.links):
            if link.loop is loop:
                link.carry(GOODBYE)
                self.links.pop(link, None)

    def is_silent(self, link: SimLink) -> bool:
        """Whether nothing of the peer can arrive here at present."""
        peer = link.other.loop
        return peer.is_paused or (peer.name, link.loop.name) in self.stalled

    # Opening

    async def open_link(
        self, loop: ProcessLoop, address: str, ends: tuple[LinkPeer, LinkPeer], owner: Any
    ) -> SimLink:
        """Open a link as actors/link/opening.py does; raises LinkRefused."""
        answered: asyncio.Future[SimLink | None] = loop.create_future()
        self.timeline.after(
            self.draw_travel_s(), self._connect, address, ends, (loop, owner), answered
        )
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                link = await answered
        except TimeoutError as error:
            raise LinkRefused from error
        if link is None:
            raise LinkRefused
        link.start()
        return link

    def draw_travel_s(self) -> float:
        return self.timeline.random.random() * TRAVEL_S

    def _connect(
        self,
        address: str,
        ends: tuple[LinkPeer, LinkPeer],
        opener: tuple[ProcessLoop, Any],
        answered: asyncio.Future[SimLink | None],
    ) -> None:
        (me, expected), (loop, owner) = ends, opener
        spot = self.listeners.get(address)
        if spot is None or spot.me != expected or me.role not in spot.accepts:
            loop.deliver(self.timeline.now_s, _answer, answered, None)
            return
        ways = {(loop.name, spot.loop.name), (spot.loop.name, loop.name)}
        if spot.loop.is_paused or not self.stalled.isdisjoint(ways):
            return  # the hello goes unanswered
        here = SimLink(self, loop, expected, owner)
        there = SimLink(self, spot.loop, me, spot.owner)
        here.other, there.other = there, here
        spot.links[there] = None
        spot.loop.deliver(self.timeline.now_s, there.start)
        loop.deliver(self.timeline.now_s + self.draw_travel_s(), _answer, answered, here)


class SimLink:
    """One end of a link, with what actors/link/link.py offers its owner."""

    other: SimLink

    def __init__(self, network: Network, loop: ProcessLoop, peer: LinkPeer, owner: Any) -> None:
        self.network = network
        self.loop = loop
        self.peer = peer
        self.is_open = True
        self._owner = owner
        self._pending: list[Any] = []
        self._is_flush_due = False
        self._arrives_at_s = 0.0
        self._held: list[Any] = []
        self._is_cut = False

    def start(self) -> None:
        self.network.links[self] = None
        self._owner.on_link_open(self)
        if self._is_cut:
            self.lose()
        if self.network.is_silent(self):
            self.expect_silence()

    def send(self, message: Any) -> None:
        """Queue a message; raises LinkLost when the link is over."""
        if not self.is_open:
            raise LinkLost
        self._pending.append(message)
        if not self._is_flush_due:
            self._is_flush_due = True
            self.loop.run_soon(self._flush)

    def end(self, reason: str) -> None:
        """Close at once and tell the owner; ending twice does nothing."""
        if not self.is_open:
            return
        self._flush()
        self.is_open = False
        self.carry(GOODBYE)
        self.network.links.pop(self, None)
        self._owner.on_link_lost(self, reason)

    async def close(self) -> None:
        """End the link."""
        self.end("closed")

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._pending and self.is_open:
            messages, self._pending = self._pending, []
            self.carry(messages)

    # On the wire

    def carry(self, payload: Any) -> None:
        """Bring something to the other end, in order."""
        if self._is_cut:
            return
        stalled = self.network.stalled
        if self._held or (stalled and (self.loop.name, self.other.loop.name) in stalled):
            self._held.append(payload)
            self.network.holding[self] = None
            return
        timeline = self.network.timeline
        self._arrives_at_s = max(
            self._arrives_at_s + 1e-9, timeline.now_s + self.network.draw_travel_s()
        )
        self.other.loop.deliver(self._arrives_at_s, self.other.receive, payload)

    def let_go(self) -> None:
        """The way is free again."""
        held, self._held = self._held, []
        del self.network.holding[self]
        for payload in held:
            self.carry(payload)

    def receive(self, payload: Any) -> None:
        """Take what arrives."""
        if not self.is_open:
            return
        if payload is GOODBYE:
            self.end("eof")
        else:
            self._owner.on_link_messages(self, payload)

    def lose(self) -> None:
        """End this end without a goodbye reaching anybody; what is under way is lost."""
        self._is_cut = True
        self.loop.deliver(self.network.timeline.now_s, self.end, "reset")

    def expect_silence(self) -> None:
        """End this end when its peer stays silent for a second."""
        timeline = self.network.timeline
        after_s = SILENCE_S + timeline.random.random() * HEARTBEAT_S
        timeline.after(after_s, self._check_silence, timeline.now_s)

    def _check_silence(self, since_s: float) -> None:
        if self.is_open and self.network.is_silent(self) and not self.loop.is_dead:
            self.loop.deliver(self.network.timeline.now_s, self._end_silent)

    def _end_silent(self) -> None:
        self.end("silent")


class SimListener:
    """What a host listens with; see actors/link/server.py."""

    def __init__(self, network: Network, address: str, spot: Listener) -> None:
        self._network = network
        self._spot = spot
        self.address = address
        network.listeners[address] = spot

    async def close(self) -> None:
        self._network.listeners.pop(self.address, None)
        for link in list(self._spot.links):
            await link.close()

    def forget(self, link: Any) -> None:
        self._spot.links.pop(link, None)


class SimTransport:
    """The `Transport` of one simulated process."""

    def __init__(self, network: Network, loop: ProcessLoop) -> None:
        self._network = network
        self._loop = loop

    async def listen(
        self, me: LinkPeer, accepts: Mapping[str, Any], owner: HostLinkOwner
    ) -> LinkListener:
        address = f"sim:{me.name}-{me.incarnation}"
        return SimListener(self._network, address, Listener(self._loop, me, accepts, owner))

    async def open(
        self, address: str, ends: tuple[LinkPeer, LinkPeer], accepted: Any, owner: HostLinkOwner
    ) -> HostLink:
        return await self._network.open_link(self._loop, address, ends, owner)


def _answer(future: asyncio.Future[Any], link: SimLink | None) -> None:
    if not future.done():
        future.set_result(link)
