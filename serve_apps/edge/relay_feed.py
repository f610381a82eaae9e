"""One live on its way to this edge: what is said to the edge that has it, and what comes of it.

`relay_feeds.py` makes it, finds the link that it comes by, and runs it again when that is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from actors.link.frames import LinkLost
from actors.link.link import Link
from kit.clock import Clock
from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import RELAYS, RELAYS_LOST
from media.relay.inward import RelayIn, RelayPlane
from media.relay.messages import (
    KeyframeWanted,
    LayersWanted,
    RelayBegun,
    RelayElsewhere,
    RelayEnded,
    RelayLayerPackets,
    RelayLayers,
    RelayPackets,
    RelayPlace,
    RelayReport,
    RelayUnwanted,
    RelayWanted,
)
from media.sfu.errors import PicturesOutOfOrder, SfuFull
from media.sfu.sdp import OfferedCodec

BRING_S = 3.0
"""How long a viewer's offer waits for the live to come here."""
ANSWER_S = 2.0
IDLE_S = 5.0
"""A live that nobody watches here stays so long: players that come back find it."""
CHECK_EVERY_S = 1.0

log = get_log("edge.relays")


@dataclass(frozen=True)
class Source:
    """A live's publisher, by its session at the origin, and the origin's place."""

    publisher: str
    place: RelayPlace


class FeedPlane(RelayPlane, Protocol):
    """What feeds use of `media.sfu.server.Sfu`."""

    def count_viewers(self, room_id: str) -> int:
        """Return how many watch a room."""
        ...

    def get_codecs(self, room_id: str) -> Mapping[str, OfferedCodec]:
        """Return what a room's publisher sends, by kind, or the one that connects."""
        ...


@dataclass(frozen=True)
class FeedPorts:
    """What feeds work on."""

    plane: FeedPlane
    clock: Clock
    find_source: Callable[[uuid.UUID], Awaitable[Source | None]]
    """Names where a live comes in; None while nobody sends. Raises SourceAway, Unavailable."""
    count_outs: Callable[[str], int]
    """Says how many edges have a room from this one."""
    end_outs: Callable[[str], None]
    begin_outs: Callable[[str, str], None]


class Feed:
    """One live on its way here, from its first viewer to some seconds after its last."""

    def __init__(self, room_id: uuid.UUID, ports: FeedPorts) -> None:
        self.room_id = room_id
        self.link: Link | None = None
        self.relay = RelayIn(str(room_id), ports.plane, self._ask_keyframe, self._ask_layers)
        self.refusal: AppError | None = None
        self.elsewhere: list[RelayPlace] = []
        self._ports = ports
        self._used_at_s = ports.clock.monotonic_s()
        self._is_counted = False
        self._turn = asyncio.Event()
        """Set when a wish was answered, and when what ran is over."""
        self._told = asyncio.Event()
        """Set when whoever waits for the live should look."""

    def touch(self) -> None:
        """Somebody is about to watch."""
        self._used_at_s = self._ports.clock.monotonic_s()

    def is_wanted(self) -> bool:
        """Whether somebody watches here, or did a moment ago, and nobody publishes here."""
        ports, room = self._ports, str(self.room_id)
        if ports.plane.get_publisher_id(room) not in (None, self.relay.session_id):
            return False
        now_s = ports.clock.monotonic_s()
        if ports.plane.count_viewers(room) or ports.count_outs(room):
            self._used_at_s = now_s
        return now_s - self._used_at_s < IDLE_S

    async def wait(self) -> None:
        """Return once packets come; raises why they cannot, or TimeoutError.

        Who asks while the live moves from edge to edge waits until it is there.
        """
        async with asyncio.timeout(BRING_S):
            while not self.relay.is_running:
                await self._told.wait()
                if not self.relay.is_running and self.refusal is not None:
                    raise self.refusal

    async def run(self, link: Link, source: Source, me: RelayPlace) -> None:
        """Have the live over this link until it is over or nobody wants it."""
        if not link.is_open:
            return
        self.link, self.elsewhere, self.refusal = link, [], None
        self._turn.clear()
        try:
            self._send(RelayWanted(self.room_id, source.publisher, me))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._turn.wait(), ANSWER_S)
            while self.relay.is_running and self.link is link and self.is_wanted():
                self._turn.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._turn.wait(), CHECK_EVERY_S)
        finally:
            if self.link is link:
                self._send(RelayUnwanted(self.room_id))
            self.link = None
            self.end()

    def end(self) -> None:
        """Let the room's viewers wait; edges that have the live from here look for themselves."""
        if self.relay.is_running:
            self._ports.end_outs(str(self.room_id))
        self.relay.end()
        if self._is_counted:
            self._is_counted = False
            RELAYS.labels("in").dec()

    def refuse(self, refusal: AppError) -> None:
        """Tell whoever waits why it does not come."""
        self.refusal = refusal
        self.tell()

    def tell(self) -> None:
        """Let whoever waits look."""
        self._told.set()
        self._told = asyncio.Event()

    def apply(self, message: Any) -> None:
        """Take what the source says."""
        if isinstance(message, RelayPackets):
            self.relay.add_packets(message.packets)
        elif isinstance(message, RelayLayerPackets):
            self.relay.add_layer_packets(
                message.rid, message.packets, message.clock_shift, is_first=message.is_first
            )
        elif isinstance(message, RelayLayers):
            self.relay.apply_layers(message.main_rid, message.layers)
        elif isinstance(message, RelayReport):
            self.relay.apply_report(message.stream, message.ntp_timestamp, message.timestamp)
        elif isinstance(message, RelayBegun):
            self._begin(message)
        elif isinstance(message, RelayElsewhere):
            self.elsewhere = message.places
            self.break_off("elsewhere")
        else:
            assert isinstance(message, RelayEnded), "the link takes no other types"
            if message.code == PicturesOutOfOrder.code:
                self.refusal = PicturesOutOfOrder()
            self.break_off("publisher_gone")

    def look(self) -> None:
        """See at once whether the live is still wanted from there."""
        self._turn.set()

    def break_off(self, reason: str) -> None:
        """Nothing more comes over this link."""
        if self.relay.is_running:
            RELAYS_LOST.labels(reason).inc()
            log.info("relay.in_lost", room_id=str(self.room_id), reason=reason)
        self.end()
        self._turn.set()

    def lose_link(self, reason: str) -> None:
        """The link is gone."""
        self.link = None
        self.break_off(reason)

    def _begin(self, begun: RelayBegun) -> None:
        room_id = str(self.room_id)
        try:
            is_taken = "video" in begun.codecs and self.relay.begin(
                begun.publisher, begun.codecs, begun.rids
            )
        except SfuFull as error:
            self.refusal = error
            return self.break_off("full")
        if is_taken:
            self.refusal = None
            if not self._is_counted:
                self._is_counted = True
                RELAYS.labels("in").inc()
                log.info("relay.in_begun", room_id=room_id)
            self._ports.begin_outs(room_id, begun.publisher)
        self._turn.set()
        self.tell()
        return None

    def _ask_keyframe(self, rid: str) -> None:
        self._send(KeyframeWanted(self.room_id, rid))

    def _ask_layers(self, publisher: str, rids: Sequence[str]) -> None:
        self._send(LayersWanted(self.room_id, publisher, list(rids)))

    def _send(self, message: Any) -> None:
        if self.link is not None:
            with contextlib.suppress(LinkLost):
                self.link.send(message)
