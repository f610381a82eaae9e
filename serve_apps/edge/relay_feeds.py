"""Lives that come to this edge from others: asked for with the first viewer, let go after the last.

`relays.py` owns it. A feed finds out from the live's row where it comes in, opens a link there, and
looks again when the link or the publisher is lost, as long as somebody watches here.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from actors.hosting.messages import EDGE
from actors.link.frames import LinkPeer
from actors.link.link import Link
from actors.link.transport import LinkTransport
from kit.errors import Unavailable
from kit.logs import get_log
from media.relay.messages import FromSource, RelayPlace
from media.sfu.errors import RoomNotLive, SfuFull
from serve_apps.edge.relay_feed import Feed, FeedPorts, Source

FEEDS_MAX = 200
LOOK_EVERY_S = 0.25
TRIES_MAX = 12
"""Edges to ask in turn when those before feed as many as they may."""

log = get_log("edge.relays")


class SourceAway(Unavailable):
    """The live is on air, and the edge where it comes in is not known at this moment."""

    code, message = "source_away", "The live comes in at another place in a moment."


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
        is_full = feed is None and len(self._feeds) >= FEEDS_MAX
        if plane.get_codecs(key):
            if plane.get_publisher_id(key) is None and not is_full:
                # Who connects here may never begin, and the live go on elsewhere.
                self._open(room_id)
            return
        if is_full:
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
            try:
                link = await self._reach(place)
            except Unavailable:
                if not places:
                    raise
                continue  # the others that the origin named may be within reach
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
