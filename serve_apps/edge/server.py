"""One edge: `EdgeServer(slot, ports)` is plain asyncio and runs without Ray.

The shell (or a test) starts, describes, drains and closes it. It composes the parts: sockets and
rooms, WHIP and WHEP on the forwarding plane, uploads and playback, and says that it is alive.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from actors.hosting.client import HostClient
from actors.hosting.core import ObjectKey
from actors.hosting.ports import ClientPorts
from actors.hosting.postgres import PostgresStore
from actors.link.frames import LinkPeer
from actors.link.transport import LinkTransport
from actors.live_room.client import RoomClient
from actors.live_room.kind import ROOM_KIND
from actors.live_room.messages import SessionEnd
from actors.user_session.client import UserClient
from actors.user_session.kind import USER_KIND
from kit.clock import Clock
from kit.collector import keep_tidy
from kit.logs import get_log
from kit.metrics import CONTENT_TYPE, write_metrics
from kit.settings import Settings
from media.live.shedding import SheddingTerms
from media.sfu.options import SfuOptions
from media.sfu.server import Sfu
from serve_apps.access.grants import TicketBook
from serve_apps.access.revocations import RevocationBook
from serve_apps.edge.access_book import AccessBook
from serve_apps.edge.addresses import EdgeAddress, find_candidate_ips, make_edge_address
from serve_apps.edge.audience import Audience, AudiencePorts
from serve_apps.edge.broadcasts import Broadcasts
from serve_apps.edge.channel_mirrors import MirrorListener
from serve_apps.edge.ephemeral import EphemeralChannels
from serve_apps.edge.event_server import EventServer
from serve_apps.edge.grant_checks import GrantChecks
from serve_apps.edge.hls_audience import LEAVE_AFTER_S, HlsAudience
from serve_apps.edge.ice_servers import IceServers
from serve_apps.edge.ingest_watch import IngestWatch
from serve_apps.edge.live_hls import LiveHlsPorts, add_live_routes
from serve_apps.edge.live_shelf import LiveShelf
from serve_apps.edge.liveness import EdgeVitals, Heartbeat, LoopWatch
from serve_apps.edge.logins import LoginPorts, Logins
from serve_apps.edge.media_sessions import MediaSessions
from serve_apps.edge.playback import PlaybackPorts, add_playback_routes
from serve_apps.edge.player_checks import PlayerChecks
from serve_apps.edge.publisher_checks import PublisherChecks
from serve_apps.edge.relays import RelayPorts, Relays, make_edge_peer
from serve_apps.edge.room_mirrors import RoomMirror, RoomMirrors
from serve_apps.edge.rtmp import RtmpFront, RtmpPorts
from serve_apps.edge.segment_writer import WriterPorts
from serve_apps.edge.socket_echo import echo_frames
from serve_apps.edge.socket_server import SocketServer
from serve_apps.edge.standing_work import StandingWork
from serve_apps.edge.subscriptions import TalkPorts
from serve_apps.edge.upload_writer import UploadPorts, UploadRules
from serve_apps.edge.uploads import add_upload_routes
from serve_apps.edge.user_mirrors import ACTIVITY_EVERY_S, UserMirror, UserMirrors
from serve_apps.edge.whip import WhipPorts, add_whip_routes
from storage.cache import Cache
from storage.database import Database
from storage.edges import register_edge
from storage.objects import ObjectStore
from storage.placements import ROOM, USER
from storage.rates import RateBook

log = get_log("edge")

TIDY_EVERY_S = 5.0
SHUTDOWN_TIMEOUT_S = 2.0
KINDS = (ROOM_KIND, USER_KIND)
"""Kinds of hosted objects that an edge speaks to."""


@dataclass(frozen=True)
class EdgePace:
    """How often an edge looks after people; tests have less patience."""

    activity_every_s: float = ACTIVITY_EVERY_S
    hls_leave_after_s: float = LEAVE_AFTER_S
    shedding: SheddingTerms = field(default_factory=SheddingTerms)


@dataclass(frozen=True)
class EdgePorts:
    """Everything outside that an edge uses; whoever made it opens and closes it."""

    settings: Settings
    database: Database
    cache: Cache
    objects: ObjectStore
    clock: Clock
    node: str
    uploads: UploadRules
    watch_packets: Callable[..., None] | None = None
    """Tests compare what came in with what went out."""
    pace: EdgePace = field(default_factory=EdgePace)


class EdgeServer:
    """The edge in one slot."""

    def __init__(self, slot: int, ports: EdgePorts) -> None:
        self.slot = slot
        self.incarnation = 0
        self._ports = ports
        self._address = make_edge_address(ports.settings.edge, slot)
        self._watch = LoopWatch(ports.settings.edge.loop_lag_max_ms / 1000)
        self._vitals = EdgeVitals()
        self._work = StandingWork()
        self._runner: web.AppRunner | None = None
        self._heartbeat: Heartbeat | None = None
        self._is_closed = False

    @property
    def address(self) -> EdgeAddress:
        """Where this edge is reached."""
        return self._address

    async def start(self) -> None:
        """Open everything and announce the edge; raises OSError when a port is taken."""
        ports, settings = self._ports, self._ports.settings
        ips = find_candidate_ips(settings.edge)
        async with ports.database.connection() as connection:
            self.incarnation = await register_edge(
                connection,
                node=ports.node,
                slot=self.slot,
                url=self._address.url,
                candidates=list(ips),
            )
        self._compose(ips)
        await self._sfu.start()
        self._sessions.use_relays(self._relays, await self._relays.start())
        await self._rtmp.start()
        self._ephemeral.start()
        await self._revocations.load()
        await self._access.load()
        self._work.begin(
            {
                "lag": self._watch.run,
                "sweep": self._sockets.sweep,
                "revocations": self._revocations.run,
                "access": self._access.run,
                "players": self._players.run,
                "publishers": self._publishers.run,
                "hls-audience": self._hls_audience.run,
                "ingest": self._ingest.run,
                "tidy": self._tidy,
                "collector": keep_tidy,
            }
        )
        self._runner = web.AppRunner(
            self._build_app(), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._address.host, self._address.port).start()
        edge = (ports.node, self.slot, self.incarnation)
        self._heartbeat = Heartbeat(settings.database.url, edge, self._watch, self._vitals)
        self._heartbeat.start()
        log.info("edge.started", slot=self.slot, url=self._address.url, pid=os.getpid())

    async def drain(self, deadline_s: float) -> None:
        """Take nobody new, send everybody elsewhere (1012), and close."""
        self._vitals.state = "draining"
        self._sessions.is_draining = True
        await self._sockets.drain(deadline_s / 2)
        await self.close()

    async def close(self) -> None:
        """End everything at once; closing twice does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self.incarnation:
            return  # nothing was made yet
        if self._heartbeat is not None:
            await asyncio.to_thread(self._heartbeat.stop)
        await self._sfu.close()
        await asyncio.sleep(0)  # the forwarding plane tells of ended sessions in the next turn
        await self._relays.close()
        await self._rtmp.close()
        await self._broadcasts.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._work.close()
        await self._hosts.close()
        await self._ephemeral.close()

    def describe(self) -> dict[str, Any]:
        """Return what an operator wants to see."""
        is_healthy = self._heartbeat is not None and not self._heartbeat.is_replaced
        return {
            "slot": self.slot,
            "incarnation": self.incarnation,
            "pid": os.getpid(),
            "url": self._address.url,
            "healthy": is_healthy,
            "health": "ok" if is_healthy else "replaced",
            "state": self._vitals.state,
            "load": round(self._vitals.load, 3),
            "sockets": len(self._sockets),
            "rooms": len(self._rooms),
            "people": len(self._users),
            "media_sessions": len(self._sessions),
            **self._relays.describe(),
        }

    # Within

    def _compose(self, ips: tuple[str, ...]) -> None:
        """Make the parts; nothing runs yet."""
        ports, settings = self._ports, self._ports.settings
        origin: dict[str, object] = {
            "edge": self._address.url,
            "node": ports.node,
            "slot": self.slot,
            "incarnation": self.incarnation,
        }
        self._sessions = MediaSessions(origin, lambda: self._watch.is_breathless)
        me, transport = make_edge_peer(self.slot, self.incarnation), LinkTransport.within(settings)
        client = self._compose_hosts(me, transport)
        options = SfuOptions(
            port=self._address.udp_port,
            candidate_ips=ips,
            viewers_per_room_max=settings.edge.viewers_per_room_max,
            sessions_max=settings.edge.media_sessions_max,
            packet_observer=ports.watch_packets,
        )
        self._sfu = Sfu(options, ports.clock, self._sessions)
        relays = RelayPorts(self._sfu, ports.database, ports.clock, transport)
        self._relays = Relays(relays, me)
        self._broadcasts = Broadcasts(WriterPorts(ports.database, ports.objects, ports.clock))
        self._broadcasts.use(self._sfu)
        self._publishers = PublisherChecks(self._sessions, ports.database)
        self._sessions.use(self._sfu, self._rooms, client, self._broadcasts)
        self._rtmp = RtmpFront(settings, RtmpPorts(ports.database, self._sessions, ports.clock))
        self._revocations = RevocationBook(ports.database, settings.auth.access_ttl_s)
        self._ephemeral = EphemeralChannels(settings.cache.url, ports.cache)
        self._tickets = TicketBook()
        logins = Logins(
            LoginPorts(
                auth=settings.auth,
                clock=ports.clock,
                edge_url=self._address.url,
                tickets=self._tickets,
                database=ports.database,
                is_revoked=self._revocations.is_revoked,
            )
        )
        self._access = AccessBook(ports.database, ports.clock, float(settings.auth.grant_ttl_s))
        self._grants = GrantChecks(self._revocations.is_revoked, self._access)
        self._audience = Audience(AudiencePorts(ports.database, ports.clock, self._access))
        talk = TalkPorts(logins, self._audience, self._rooms, self._users, client, self._ephemeral)
        self._sockets = SocketServer(settings, ports.clock, talk, lambda: self._watch.is_breathless)
        self._events = EventServer(self._sockets, talk)
        self._compose_checks()

    def _compose_hosts(self, me: LinkPeer, transport: LinkTransport) -> RoomClient:
        """Make what speaks with the hosts of rooms and people, and what mirrors both here."""
        ports, listener = self._ports, MirrorListener(self._end_media_session)
        hosts = self._hosts = HostClient(
            me,
            ClientPorts(
                kinds=KINDS,
                store=PostgresStore(ports.database, KINDS),
                transport=transport,
                clock=ports.clock,
                node=ports.node,
                jitter=random.SystemRandom(),
            ),
            listener,
        )
        client, people = RoomClient(hosts), UserClient(hosts)
        self._rooms = RoomMirrors(ROOM, hosts, lambda key: RoomMirror(key, hosts, client))
        every_s = ports.pace.activity_every_s
        self._users = UserMirrors(USER, hosts, lambda key: UserMirror(key, hosts, people, every_s))
        listener.use({ROOM: self._rooms, USER: self._users})
        return client

    def _compose_checks(self) -> None:
        """Have those let go who may not follow something any more, or whose login ended."""
        pace, clock = self._ports.pace, self._ports.clock
        self._ingest = IngestWatch(
            self._broadcasts, RoomClient(self._hosts).report_ingest, clock.monotonic_s
        )
        self._hls_audience = HlsAudience(
            self._rooms, clock.monotonic_s, leave_after_s=pace.hls_leave_after_s
        )
        self._revocations.on_revoked(self._sockets.end_session)
        self._revocations.on_revoked(self._sessions.end_login)
        self._access.on_changed(self._sockets.recheck_channel)
        self._players = PlayerChecks(self._sessions, self._audience.check_room)
        self._access.on_changed(self._players.note_changed)

    def _end_media_session(self, key: ObjectKey, signal: SessionEnd) -> None:
        """A room says that a media session is over: replaced, or the broadcast ended."""
        log.info("room.session_ended_by_host", room_id=str(key.id))
        self._sessions.close(signal.session_id)

    def _make_upload_ports(self) -> UploadPorts:
        ports = self._ports
        return UploadPorts(
            settings=ports.settings,
            database=ports.database,
            objects=ports.objects,
            clock=ports.clock,
            rules=ports.uploads,
            is_revoked=self._revocations.is_revoked,
            rates=RateBook(ports.cache, ports.clock),
        )

    def _build_app(self) -> web.Application:
        ports, settings = self._ports, self._ports.settings
        app = web.Application()
        app.router.add_get("/health", self._answer_health)
        app.router.add_get("/metrics", _answer_metrics)
        app.router.add_get("/ws", self._sockets.serve)
        self._events.add_routes(app)
        if settings.environment == "development":
            app.router.add_get("/ws/echo", echo_frames)
        add_whip_routes(
            app,
            WhipPorts(
                auth=settings.auth,
                clock=ports.clock,
                edge_url=self._address.url,
                tickets=self._tickets,
                sessions=self._sessions,
                is_revoked=self._revocations.is_revoked,
                ice_servers=IceServers(settings.edge.ice_servers, settings.edge.turn_secret),
                publishers=self._publishers,
                check_viewer=self._audience.check_room,
                bring=self._relays.bring,
            ),
        )
        add_upload_routes(app, self._make_upload_ports())
        add_playback_routes(
            app,
            PlaybackPorts(
                settings=settings,
                database=ports.database,
                objects=ports.objects,
                clock=ports.clock,
                is_void=self._grants.is_void,
                changed=self._access,
                rates=RateBook(ports.cache, ports.clock),
            ),
        )
        add_live_routes(
            app,
            LiveHlsPorts(
                settings=settings,
                edge_url=self._address.url,
                clock=ports.clock,
                objects=ports.objects,
                broadcasts=self._broadcasts,
                shelf=LiveShelf(ports.database, ports.clock, self._address.url),
                get_access=self._audience.get_access,
                audience=self._hls_audience,
                is_void=self._grants.is_void,
                shedding=ports.pace.shedding,
            ),
        )
        return app

    async def _answer_health(self, _request: web.Request) -> web.StreamResponse:
        facts = self.describe()
        is_ok = facts["healthy"] and facts["state"] == "live"
        body = {"status": "ok" if is_ok else facts["state"], **facts}
        return web.json_response(body, status=200 if is_ok else 503)

    async def _tidy(self) -> None:
        """Drop sessions that never connected, and say how loaded this edge is."""
        edge = self._ports.settings.edge
        while True:
            await asyncio.sleep(TIDY_EVERY_S)
            sessions = self._sfu.list_sessions()
            self._sessions.forget_unconnected(frozenset(fact.session_id for fact in sessions))
            load = max(
                len(self._sockets) / edge.sockets_max, len(sessions) / edge.media_sessions_max
            )
            self._vitals.load = 1.0 if self._watch.is_breathless else min(1.0, load)


async def _answer_metrics(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=write_metrics(), headers={"Content-Type": CONTENT_TYPE})
