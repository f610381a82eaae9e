"""One edge's relays around a forwarding plane, without the rest of an edge."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path

from actors.hosting.messages import EDGE
from actors.link.frames import LinkPeer
from actors.link.link import Link
from actors.link.secure import LinkKeys
from actors.link.transport import LinkTransport
from cluster.keys import ensure_authority, issue_certificate
from kit.clock import SystemClock
from media.relay.messages import RelayPlace
from media.sfu.options import SfuOptions
from media.sfu.server import Sfu
from serve_apps.edge.relay_feed import FeedPorts, Source
from serve_apps.edge.relay_feeds import RelayFeeds
from serve_apps.edge.relay_source import RelaySource
from tests.media.sfu.stage import EventLog

HERE = "127.0.0.1"
LIFE = timedelta(days=1)


def make_keys(folder: Path, hosts: tuple[str, ...] = (HERE,)) -> None:
    """Write one machine's keys, which both ends of a link by TLS use; they are at `hosts`."""
    authority = ensure_authority(folder)
    issued = issue_certificate(authority, "node", hosts, life=LIFE)
    keys = LinkKeys.within(folder / "keys")
    keys.authority.parent.mkdir(exist_ok=True)
    keys.authority.write_text(authority.certificate)
    keys.certificate.write_text(issued.certificate)
    keys.private_key.write_text(issued.private_key)


class WatchedSource(RelaySource):
    """Relays whose links are known: how much waits in them says whether the others keep up."""

    links: tuple[Link, ...] = ()
    lost: int = 0
    """How many links ended."""

    def on_link_open(self, link: Link) -> None:
        """Another edge is here."""
        self.links = (*self.links, link)
        super().on_link_open(link)

    def on_link_lost(self, link: Link, reason: str) -> None:
        """Another edge is gone; if it only was too busy, it comes back."""
        self.lost += 1
        super().on_link_lost(link, reason)

    @property
    def queued_bytes(self) -> int:
        """What waits in the fullest link."""
        return max((link.queued_bytes for link in self.links), default=0)


class RelayEdge:
    """A plane with its relays; `sources` says where lives come in.

    `way` is "unix" for edges of one machine, or "tls" for a machine each, which others reach at
    `host` (`make_keys` comes first).
    """

    def __init__(self, folder: Path, name: str, way: str, host: str = HERE) -> None:
        keys = LinkKeys.within(folder / "keys") if way == "tls" else None
        run = folder / (name if way == "tls" else "run")  # another folder is another machine
        self.transport = LinkTransport(run, "benchmark", keys, host if keys else "")
        self.me = LinkPeer(EDGE, name, 1)
        options = SfuOptions(bind_host=host, port=0, candidate_ips=(host,))
        self.sfu = Sfu(options, SystemClock(), EventLog())
        self.source = WatchedSource(self.sfu, self._find_publisher)
        self.sources: dict[uuid.UUID, Source] = {}
        ports = FeedPorts(
            plane=self.sfu,
            clock=SystemClock(),
            find_source=self._find_source,
            count_outs=self.source.count,
            end_outs=self.source.end,
            begin_outs=self.source.begin,
        )
        self.feeds = RelayFeeds(ports, self.transport)

    async def start(self) -> RelayPlace:
        """Open everything."""
        await self.sfu.start()
        place = await self.source.start(self.transport, self.me)
        self.feeds.use(self.me, place)
        return place

    async def close(self) -> None:
        """End everything."""
        await self.feeds.close()
        await self.source.close()
        await self.sfu.close()

    def _find_publisher(self, room_id: str) -> str | None:
        return self.feeds.find_publisher(room_id) or self.sfu.get_publisher_id(room_id)

    async def _find_source(self, room_id: uuid.UUID) -> Source | None:
        return self.sources.get(room_id)
