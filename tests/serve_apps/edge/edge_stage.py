"""An edge on free ports with real rooms behind it, and clients that talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from kit.clock import Clock, SystemClock
from kit.setting_sections import EdgeSettings, LimitSettings, RtmpSettings
from kit.settings import Settings
from serve_apps.access.identity import Identity
from serve_apps.access.tokens import issue_access_token
from serve_apps.edge.server import EdgePace, EdgePorts, EdgeServer
from serve_apps.edge.socket_answers import check_frame
from serve_apps.edge.upload_writer import UploadRules
from serve_apps.videos.arrivals import describe_file, open_file
from serve_apps.videos.quota import check_growth, declare_size
from storage.cache import Cache
from storage.database import Connection, Database
from storage.objects import ObjectStore
from storage.uploads import Upload
from tests.actors.hosting.stage import CACHE_WAIT_S, NODE, make_pool
from tests.free_ports import lend_port
from tests.storage.live_rows import create_session_row, create_user_row

CONNECT_TIMEOUT_S = 60
ANSWER_TIMEOUT_S = 60


def use_free_ports(settings: Settings, **edge: Any) -> Settings:
    """Return settings for a test's edge: free ports, any chat pace, never out of breath.

    It shares its loop with the test, which a busy machine runs late.
    """
    options = EdgeSettings(
        public_host="127.0.0.1",
        port=lend_port(slots=2),
        udp_port=0,
        **{"public_ips": ("127.0.0.1",), "loop_lag_max_ms": 60_000, **edge},
    )
    limits = LimitSettings(chat_per_10_s_max=100_000)
    rtmp = RtmpSettings(port=lend_port())
    return dataclasses.replace(settings, edge=options, rtmp=rtmp, limits=limits)


async def ignore_upload(_connection: Connection, _upload: Upload) -> None:
    """End an upload without any rule."""


async def keep_upload(_connection: Connection, _upload: Upload) -> bool:
    """Give nothing up."""
    return False


@contextlib.asynccontextmanager
async def run_edge(
    settings: Settings,
    objects: ObjectStore,
    slot: int = 0,
    database_type: type[Database] = Database,
    pace: EdgePace | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[EdgeServer]:
    """Run an edge in this process."""
    database = database_type(settings.database.url, make_pool(settings, 2, "edge"))
    cache = Cache(settings.cache.url, CACHE_WAIT_S)
    await database.open()
    await cache.open()
    rules = UploadRules(
        open_file,
        describe_file,
        declare_size,
        check_growth,
        ignore_upload,
        ignore_upload,
        keep_upload,
    )
    ports = EdgePorts(
        settings,
        database,
        cache,
        objects,
        clock or SystemClock(),
        NODE,
        rules,
        pace=pace or EdgePace(),
    )
    edge = EdgeServer(slot, ports)
    await edge.start()
    try:
        yield edge
    finally:
        await edge.close()
        await cache.close()
        await database.close()


@dataclass(frozen=True)
class Guest:
    """Somebody with an account and a token."""

    user_id: uuid.UUID
    session_id: uuid.UUID
    token: str


async def invite(database: Database, settings: Settings, username: str) -> Guest:
    """Write a person with a session and return their token."""
    async with database.connection() as connection:
        user_id = await create_user_row(connection, username)
        session_id = await create_session_row(connection, user_id)
    identity = Identity(user_id, session_id, username)
    token = issue_access_token(settings.auth, identity, SystemClock().now())
    return Guest(user_id, session_id, token)


@dataclass
class Talker:
    """A WebSocket client that sorts what it hears."""

    socket: aiohttp.ClientWebSocketResponse
    answers: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    acks: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    _heard: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        """Sort frames until the socket closes."""
        async for message in self.socket:
            frame = message.json()
            check_frame(frame)
            for event in frame["events"] if frame["type"] == "batch" else [frame]:
                self._sort(event)
            async with self._heard:
                self._heard.notify_all()
        async with self._heard:
            self._heard.notify_all()

    def _sort(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "ack":
            self.acks[frame["client_id"]] = frame
        elif frame["type"] == "error":
            self.errors.append(frame)
        elif "channel" in frame:
            self.events.append(frame)
        else:
            self.answers.append(frame)

    async def wait(self, is_so: Any, timeout_s: float = 60.0) -> None:
        """Wait until something holds about what was heard."""
        async with asyncio.timeout(timeout_s), self._heard:
            await self._heard.wait_for(is_so)

    async def say(self, **frame: Any) -> None:
        """Send a frame."""
        await self.socket.send_json(frame)

    async def ask(self, **frame: Any) -> dict[str, Any]:
        """Send a frame and return the next answer or error."""
        answers, errors = len(self.answers), len(self.errors)
        await self.say(**frame)
        await self.wait(lambda: len(self.answers) > answers or len(self.errors) > errors)
        return self.answers[-1] if len(self.answers) > answers else self.errors[-1]

    async def authenticate(self, guest: Guest) -> dict[str, Any]:
        """Say who this is."""
        return await self.present(guest.token)

    async def present(self, token: str) -> dict[str, Any]:
        """Authenticate with a token or a ticket."""
        return await self.ask(type="authenticate", token=token)

    async def subscribe(self, channel: str, since: tuple[str, int] | None = None) -> dict[str, Any]:
        """Follow a channel; returns its position. Asks again, as clients do, where told to."""
        more = {} if since is None else {"since": {channel: _position(since)}}
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while True:
                answer = await self.ask(type="subscribe", channels=[channel], **more)
                if not answer.get("retryable"):
                    return answer.get(channel, answer)
                self.errors.remove(answer)
                await asyncio.sleep(0.1)

    async def chat(self, room_id: uuid.UUID, client_id: str, text: str = "") -> dict[str, Any]:
        """Write a line and wait for its acknowledgement; says it again where told to."""
        text = text or f"line {client_id}"
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while True:
                known = len(self.errors)
                await self.say(type="chat_send", room=str(room_id), client_id=client_id, text=text)
                await self.wait(
                    lambda known=known: client_id in self.acks or self._is_put_off(client_id, known)
                )
                if client_id in self.acks:
                    return self.acks[client_id]
                await asyncio.sleep(0.1)

    def _is_put_off(self, client_id: str, known: int) -> bool:
        """Say whether a line could not be written just now; then that error is forgotten."""
        for at, error in enumerate(self.errors[known:], known):
            if error.get("client_id") == client_id and error["retryable"]:
                del self.errors[at]
                return True
        return False

    def offsets(self, channel: str) -> list[int]:
        """Return the offsets heard on a channel, in order."""
        return [e["offset"] for e in self.events if e["channel"] == channel and "offset" in e]

    def lines(self, channel: str) -> list[str]:
        """Return the chat lines heard on a channel, in order."""
        return [
            e["data"]["text"]
            for e in self.events
            if e["channel"] == channel and e["type"] == "chat_message"
        ]

    def latest(self, kind: str) -> dict[str, Any] | None:
        """Return the data of the last event of a kind."""
        found = [event["data"] for event in self.events if event["type"] == kind]
        return found[-1] if found else None


def _position(since: tuple[str, int]) -> dict[str, Any]:
    return {"epoch": since[0], "offset": since[1]}


async def _open_socket(session: aiohttp.ClientSession, url: str) -> aiohttp.ClientWebSocketResponse:
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        while True:
            try:
                return await session.ws_connect(url)
            except aiohttp.WSServerHandshakeError as refusal:
                if refusal.status != 503:
                    raise
            await asyncio.sleep(0.1)


def connect(edge: EdgeServer) -> contextlib.AbstractAsyncContextManager[Talker]:
    """Open a socket to the edge."""
    return connect_at(f"{edge.address.url}/ws")


@contextlib.asynccontextmanager
async def connect_at(url: str) -> AsyncIterator[Talker]:
    """Open a socket; an edge out of breath (503) is asked again, as clients do."""
    async with aiohttp.ClientSession() as session:
        socket = await _open_socket(session, url)
        talker = Talker(socket)
        listening = asyncio.create_task(talker.listen())
        try:
            yield talker
        finally:
            await socket.close()
            await listening
