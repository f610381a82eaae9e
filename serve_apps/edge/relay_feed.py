"""Lives that come to this edge from others: asked for with the first viewer, let go after the last.

`relays.py` owns it. A feed finds out from the live's row where it comes in, opens a link there, and
looks again when the link or the publisher is lost, as long as somebody watches here.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from actors.hosting.messages import EDGE
from actors.link.frames import LinkLost, LinkPeer
from actors.link.link import Link
from actors.link.transport import LinkTransport
from kit.clock import Clock
from kit.errors import AppError, Unavailable
from kit.logs import get_log
from kit.metrics import RELAYS, RELAYS_LOST
from media.relay.inward import RelayIn, RelayPlane
from media.relay.messages import (
    FromSource,
    KeyframeWanted,
    RelayBegun,
    RelayElsewhere,
    RelayEnded,
    RelayPackets,
    RelayPlace,
    RelayReport,
    RelayUnwanted,
    RelayWanted,
)
from media.sfu.errors import PicturesOutOfOrder, RoomNotLive, SfuFull
from media.sfu.sdp import OfferedCodec

FEEDS_MAX = 200
BRING_S = 3.0
"""How long a viewer's offer waits for the live to come here."""
ANSWER_S = 2.0
IDLE_S = 5.0
"""A live that nobody watches here stays so long: players that come back find it."""
LOOK_EVERY_S = 0.25
CHECK_EVERY_S = 1.0
TRIES_MAX = 12
"""Edges to ask in turn when those before feed as many as they may."""

log = get_log("edge.relays")


class SourceAway(Unavailable):
    """The live is on air, and the edge where it comes in is not known at this moment."""

    code, message = "source_away", "The live comes in at another place in a moment."


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
        self.relay = RelayIn(str(room_id), ports.plane, self._ask_keyframe)
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
            is_taken = "video" in begun.codecs and self.relay.begin(begun.publisher, begun.codecs)
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

    def _ask_keyframe(self) -> None:
        self._send(KeyframeWanted(self.room_id))

    def _send(self, message: Any) -> None:
        if self.link is not None:
            with contextlib.suppress(LinkLost):
                self.link.send(message)


class RelayFeeds:
    """All lives that come here from other edges; the owner of the links that it opens."""

    def __init__(self, ports: FeedPorts, transport: LinkTransport) -> None:
        self._ports = ports
        self._transport = transport
        self._me: LinkPeer | None = None
        self._place: RelayPlace | None = None
        self._feeds: dict[str, Feed] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._links: dict[LinkPeer, asyncio.Task[Link]] = {}

    def use(self, me: LinkPeer, place: RelayPlace) -> None:
        """Learn who this edge is; called once, before anything else."""
        self._me, self._place = me, place

    def __len__(self) -> int:
        return sum(feed.relay.is_running for feed in self._feeds.values())

    def find_publisher(self, room_id: str) -> str | None:
        """Name the origin's session whose packets come here by relay."""
        feed = self._feeds.get(room_id)
        return feed.relay.publisher if feed is not None and feed.relay.is_running else None

    def note_publisher(self, room_id: str) -> None:
        """A publisher is at this edge itself: what comes by relay is over."""
        feed = self._feeds.get(room_id)
        if feed is not None:
            feed.look()

    def note_lost(self, room_id: str) -> None:
        """A publisher left this edge: whoever watches here sees it when it comes back elsewhere."""
        if self._ports.plane.count_viewers(room_id) and len(self._feeds) < FEEDS_MAX:
            self._open(uuid.UUID(room_id))

    async def bring(self, room_id: uuid.UUID) -> None:
        """Return once a live's packets are here.

        Raises RoomNotLive, why WebRTC cannot show it, or SfuFull.
        """
        key, plane = str(room_id), self._ports.plane
        feed = self._feeds.get(key)
        if feed is not None:
            feed.touch()
        if plane.get_codecs(key):
            return
        if feed is None and len(self._feeds) >= FEEDS_MAX:
            raise SfuFull
        try:
            await self._open(room_id).wait()
        except (TimeoutError, RoomNotLive) as error:
            if not plane.get_codecs(key):  # else its publisher came to this edge meanwhile
                raise RoomNotLive(retry_after_s=1) from error

    async def close(self) -> None:
        """End every feed and link."""
        tasks = [*self._tasks.values(), *self._links.values()]
        links = [task.result() for task in self._links.values() if _has_link(task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in links:
            await link.close()

    # actors.link.link.LinkOwner

    def on_link_open(self, link: Link) -> None:
        """A source is reached."""

    def on_link_messages(self, link: Link, messages: list[Any]) -> None:
        """Take what a source says of lives that are still wanted from it."""
        for message in messages:
            feed = self._feeds.get(str(message.room_id))
            if feed is not None and feed.link is link:
                feed.apply(message)

    def on_link_lost(self, link: Link, reason: str) -> None:
        """A source is gone: what it fed must come from elsewhere."""
        self._links.pop(link.peer, None)
        for feed in self._feeds.values():
            if feed.link is link:
                feed.lose_link(reason)

    # Within

    def _open(self, room_id: uuid.UUID) -> Feed:
        """Return a live's feed, which looks for its source from now on."""
        key = str(room_id)
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(room_id, self._ports)
            self._tasks[key] = asyncio.create_task(self._keep(feed), name="relay-feed")
            self._tasks[key].add_done_callback(_report_end)
        return feed

    async def _keep(self, feed: Feed) -> None:
        """Have a live here for as long as somebody wants it."""
        try:
            while feed.is_wanted():
                try:
                    source = await self._ports.find_source(feed.room_id)
                    if source is None:
                        feed.refuse(RoomNotLive())
                    else:
                        await self._follow(feed, source)
                except Unavailable as error:  # a link or the database; it may come in a moment
                    log.info("relay.unreachable", code=error.code)
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            feed.end()
            key = str(feed.room_id)
            del self._feeds[key], self._tasks[key]
            feed.refuse(feed.refusal or RoomNotLive())
            self._close_idle_links()

    async def _follow(self, feed: Feed, source: Source) -> None:
        """Have a live from its origin, or from an edge that the origin names."""
        assert self._place is not None, "use() comes first"
        places = [source.place]
        for _ in range(TRIES_MAX):
            place = places.pop(0)
            link = await self._reach(place)
            await feed.run(link, source, self._place)
            places += [other for other in feed.elsewhere if other != self._place]
            if not feed.elsewhere or not places:
                break
        if feed.refusal is not None:
            feed.refuse(feed.refusal)

    async def _reach(self, place: RelayPlace) -> Link:
        """Return the one link to an edge; raises LinkRefused."""
        assert self._me is not None, "use() comes first"
        peer = LinkPeer(EDGE, place.name, place.incarnation)
        opening = self._links.get(peer)
        if opening is None:
            work = self._transport.open(place.address, (self._me, peer), FromSource, self)
            opening = self._links[peer] = asyncio.create_task(work, name="relay-link")
        try:
            return await asyncio.shield(opening)
        except Unavailable:
            if self._links.get(peer) is opening:
                del self._links[peer]
            raise

    def _close_idle_links(self) -> None:
        used = {id(feed.link) for feed in self._feeds.values() if feed.link is not None}
        for task in list(self._links.values()):
            if _has_link(task) and id(task.result()) not in used:
                task.result().end("closed")


def _has_link(task: asyncio.Task[Link]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _report_end(keeping: asyncio.Task[None]) -> None:
    """Say so when a feed ended by a fault; nobody awaits the task."""
    error = None if keeping.cancelled() else keeping.exception()
    if error is not None:
        log.error("relay.feed_failed", exc_info=error)
