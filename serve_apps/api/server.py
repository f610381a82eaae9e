"""One API replica as plain asyncio: its ports, its sockets, its HTTP server, its drain.

Replicas on a node share the port (`SO_REUSEPORT`) and know nothing of each other. Runs without
Ray, in tests and under `deployment.py`. Accepted connections are answered before it goes away.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import socket
from collections.abc import Generator

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from actors.feed_ranker.client import FeedRankers
from actors.feed_ranker.kind import FEED_KIND
from actors.hosting.client import HostClient
from actors.hosting.messages import API
from actors.hosting.ports import ClientPorts
from actors.hosting.postgres import PostgresStore
from actors.link.frames import LinkPeer
from actors.link.transport import LinkTransport
from actors.live_room.client import RoomClient
from actors.live_room.kind import ROOM_KIND
from actors.user_session.kind import USER_KIND
from kit.clock import SystemClock
from kit.errors import AppError
from kit.ids import make_id
from kit.logs import get_log
from kit.setting_sections import HttpSettings
from kit.settings import Settings
from serve_apps.api.app import build_app
from serve_apps.http.state import ApiPorts, HostCommands, NoHosts
from storage.cache import Cache
from storage.database import Database, PoolOptions
from storage.objects import ObjectStore

BACKLOG = 2048
CONNECTIONS_MAX = 4_000
KEEP_ALIVE_S = 15
LAST_REQUESTS_S = 0.4
FIRST_REQUESTS_S = 2.0
START_TIMEOUT_S = 20.0
KINDS = (ROOM_KIND, USER_KIND, FEED_KIND)
"""Kinds of hosted objects that the API speaks to."""
log = get_log("api")


class PortTaken(AppError):
    """Another program holds the API's port."""

    code, status, message = "port_taken", 500, "Another program holds the API's port."


class QuietServer(uvicorn.Server):
    """A uvicorn server that leaves the process's signals to whoever runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture nothing."""
        yield


class ApiServer:
    """Owns everything of one replica; `start`, then `drain`."""

    def __init__(self, settings: Settings, host_commands: HostCommands | None = None) -> None:
        self._settings = settings
        self._host_commands = host_commands or NoHosts()
        self._database = Database(
            settings.database.url,
            PoolOptions(
                size=settings.database.api_pool,
                wait_s=settings.database.wait_s,
                name="socialflow-api",
            ),
        )
        self._cache = Cache(settings.cache.url)
        self._hosts = HostClient(
            LinkPeer(API, f"api-{make_id()}", 1),
            ClientPorts(
                kinds=KINDS,
                store=PostgresStore(self._database, KINDS),
                transport=LinkTransport.within(settings),
                clock=SystemClock(),
                node=settings.node_name,
                jitter=random.SystemRandom(),
            ),
        )
        self._rankers = FeedRankers(self._hosts)
        self._sockets: list[socket.socket] = []
        self._server: QuietServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._app: FastAPI | None = None

    async def start(self) -> None:
        """Open the ports and listen; raises PortTaken. PostgreSQL may still be starting."""
        settings = self._settings
        await self._database.open()
        await self._cache.open()
        store_url = settings.objects.url or f"file://{(settings.home / 'objects').resolve()}"
        self._app = build_app(
            ApiPorts(
                settings=settings,
                database=self._database,
                cache=self._cache,
                objects=ObjectStore.open(store_url),
                clock=SystemClock(),
                rooms=RoomClient(self._hosts),
                rankers=self._rankers,
                measure_hosts=self._hosts.measure_hosts,
                hosts=self._host_commands,
            )
        )
        self._sockets = open_sockets(settings.http)
        self._server = QuietServer(
            uvicorn.Config(
                self._app,
                loop="none",
                http=HttpToolsProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )
        self._serving = asyncio.create_task(
            self._server.serve(sockets=self._sockets), name="api-server"
        )
        async with asyncio.timeout(START_TIMEOUT_S):
            while not self._server.started:
                self.check_serving()
                await asyncio.sleep(0.01)
        log.info("api.listening", pid=os.getpid(), port=settings.http.port)

    def check_serving(self) -> None:
        """Raise when the server has stopped by itself."""
        if self._serving is not None and self._serving.done():
            failure = self._serving.exception()
            raise RuntimeError("the API's server has stopped") from failure

    async def drain(self, deadline_s: float) -> None:
        """Stop listening, answer what has arrived, close the ports; at most `deadline_s` seconds.

        Connections that stay open get their answers with `Connection: close` for a moment, so
        that a request already on its way does not meet a closed door.
        """
        server, serving = self._server, self._serving
        if server is None or serving is None or self._app is None:
            return
        self._app.state.is_draining = True
        started_s = asyncio.get_running_loop().time()
        await _stop_listening(server, self._sockets)
        await _await_first_requests(server, min(FIRST_REQUESTS_S, deadline_s / 3))
        left_s = deadline_s - (asyncio.get_running_loop().time() - started_s)
        server.config.timeout_graceful_shutdown = max(1, int(left_s - 1))
        server.should_exit = True
        try:
            async with asyncio.timeout(left_s):
                await serving
        except TimeoutError:
            log.warning("api.drain_cut", deadline_s=deadline_s)
        self._server = self._serving = None
        await self._rankers.close()
        await self._hosts.close()
        await self._cache.close()
        await self._database.close()
        log.info("api.drained", pid=os.getpid())


async def _stop_listening(server: QuietServer, sockets: list[socket.socket]) -> None:
    """Close the door, taking in what already stands in it: the kernel would reset it otherwise."""
    arrived: list[socket.socket] = []
    for opened in sockets:
        with contextlib.suppress(OSError):  # nobody is left, or somebody has left again
            for _ in range(BACKLOG):
                arrived.append(opened.accept()[0])  # noqa: PERF401 - kept up to the error
    for listening in server.servers:
        listening.close()
    for opened in sockets:
        opened.close()

    def make_protocol() -> asyncio.Protocol:
        protocol: asyncio.Protocol = HttpToolsProtocol(
            server.config, server.server_state, server.lifespan.state
        )
        return protocol

    for connection in arrived:
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # it may have left again
            await asyncio.get_running_loop().connect_accepted_socket(make_protocol, connection)


async def _await_first_requests(server: QuietServer, wait_s: float) -> None:
    """Let connections ask what they were opened for; at least a moment, at most `wait_s`."""
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    while (waited_s := loop.time() - started_s) < wait_s:
        silent = [c for c in server.server_state.connections if getattr(c, "cycle", None) is None]
        if waited_s >= LAST_REQUESTS_S and not silent:
            return
        await asyncio.sleep(0.02)


def open_sockets(http: HttpSettings) -> list[socket.socket]:
    """Listen on every address of the settings, sharing the port; raises PortTaken."""
    opened: list[socket.socket] = []
    for host in http.hosts:
        try:
            opened.append(_open_socket(host, http.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(host=host, port=http.port) from error
            # A machine without IPv6 still serves on its other addresses.
            log.warning("api.address_unavailable", host=host, error=error.strerror)
    if not opened:
        raise PortTaken("None of the API's addresses can be listened on.", port=http.port)
    return opened


def _open_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port))
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened
