"""Writers that never pause, and what they were told: the two halves of every fault test.

Each writer keeps one write in flight. A write counts as acknowledged only when the product said
so; after a failure the same write is repeated under the same key until it is acknowledged, as a
careful client would. `in_flight` is what a kill interrupts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.product import TOO_BUSY

PASSWORD = "correct horse 7"
REQUEST_TIMEOUT_S = 8.0
DEADLINE_S = 60
RETRY_S = 0.2
FAILURES = (
    *(aiohttp.ClientError, aiohttp.WSMessageTypeError),  # the second: a socket that was closed
    *(TimeoutError, OSError),
)


@dataclass(frozen=True)
class Account:
    """A registered person and their token."""

    id: str
    username: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


async def call(
    session: aiohttp.ClientSession, method: str, url: str, **options: Any
) -> tuple[int, Any]:
    """Make one request; return its status and JSON body (None when there is none)."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    async with session.request(method, url, timeout=timeout, **options) as response:
        is_json = "json" in response.headers.get("Content-Type", "")
        return response.status, (await response.json() if is_json else None)


async def insist(
    session: aiohttp.ClientSession, method: str, url: str, **options: Any
) -> tuple[int, Any]:
    """Make a request again until the product is not too busy to answer it; return the same."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with contextlib.suppress(*FAILURES):
                status, answer = await call(session, method, url, **options)
                if status not in TOO_BUSY:
                    return status, answer
            await asyncio.sleep(RETRY_S)


async def register(session: aiohttp.ClientSession, url: str, name: str = "") -> Account:
    """Create an account with a fresh name; with another one where that may have been taken."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            username = f"{name or 'p'}_{uuid.uuid4().hex[:10]}"
            body = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
            with contextlib.suppress(*FAILURES):
                status, answer = await call(session, "POST", f"{url}/v1/auth/register", json=body)
                if status not in TOO_BUSY:
                    break
            await asyncio.sleep(RETRY_S)
    assert status == 201, answer
    return Account(answer["user"]["id"], username, answer["access_token"])


async def await_video(
    session: aiohttp.ClientSession, address: str, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return a video once it is ready, however long that takes."""
    while True:
        status, video = await insist(session, "GET", address, headers=headers)
        assert status == 200, video
        assert video["status"] != "failed", video
        if video["status"] == "ready":
            return dict(video)
        await asyncio.sleep(0.2)


async def end_live(session: aiohttp.ClientSession, url: str, live_id: str, owner: Account) -> str:
    """End a live; return its recording's id as soon as there is one."""
    address = f"{url}/v1/live/{live_id}"
    assert (await insist(session, "POST", f"{address}/end", headers=owner.headers))[0] == 200
    while True:
        _status, shown = await insist(session, "GET", address)
        if shown["recording_id"]:
            return str(shown["recording_id"])
        await asyncio.sleep(0.05)


@dataclass
class PostLoad:
    """Writers of posts over the API."""

    url: str
    author: Account
    writers: int = 16
    acknowledged: dict[str, str] = field(default_factory=dict)  # text -> post id
    failures: int = 0
    _pending: set[str] = field(default_factory=set)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._write()) for _ in range(self.writers)]

    async def stop(self, timeout_s: float = 60) -> None:
        """Stop after every pending write has been acknowledged."""
        self._stopping = True
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*self._tasks)

    async def _write(self) -> None:
        async with aiohttp.ClientSession() as session:
            while not self._stopping:
                text = f"line {uuid.uuid4().hex}"
                self._pending.add(text)
                self.acknowledged[text] = await self._insist(session, text)
                self._pending.discard(text)

    async def _insist(self, session: aiohttp.ClientSession, text: str) -> str:
        headers = self.author.headers | {"Idempotency-Key": text}
        while True:
            with contextlib.suppress(*FAILURES):
                status, body = await call(
                    session, "POST", f"{self.url}/v1/posts", json={"text": text}, headers=headers
                )
                if status == 201:
                    return str(body["id"])
                assert status in {409, 500, 502, 503}, (status, body)
            self.failures += 1
            await asyncio.sleep(RETRY_S)


@dataclass
class Viewer:
    """A socket that listens to a room and goes on where it stopped after every disconnect.

    With `api_url` it asks `join` for an edge before every attempt, as the page does.
    """

    socket_url: str
    room: str
    account: Account
    api_url: str = ""
    offsets: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    reloads: int = 0
    reconnects: int = 0
    is_subscribed: bool = False
    _since: dict[str, Any] | None = None
    _task: asyncio.Task[None] | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())
        async with asyncio.timeout(60):
            await self.ready.wait()

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def wait_for(self, texts: set[str], timeout_s: float = 60) -> None:
        """Wait until every one of `texts` has arrived."""
        async with asyncio.timeout(timeout_s):
            while not texts <= set(self.texts):
                await asyncio.sleep(0.05)

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(*FAILURES):
                    if self.api_url:
                        await self._join(session)
                    await self._listen(session)
                self.is_subscribed = False
                self.reconnects += 1
                await asyncio.sleep(RETRY_S)

    async def _join(self, session: aiohttp.ClientSession) -> None:
        url = f"{self.api_url}/v1/live/{self.room}/join"
        status, body = await call(session, "POST", url, headers=self.account.headers)
        if status != 200:
            raise ConnectionError(str(body))
        self.socket_url = body["chat"]["socket"]

    async def _listen(self, session: aiohttp.ClientSession) -> None:
        timeout = aiohttp.ClientWSTimeout(ws_close=2.0)
        async with session.ws_connect(self.socket_url, timeout=timeout, heartbeat=30.0) as socket:
            await socket.send_json({"type": "authenticate", "token": self.account.token})
            channel = f"room:{self.room}"
            since = {channel: self._since} if self._since else {}
            await socket.send_json({"type": "subscribe", "channels": [channel], "since": since})
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                body = message.json()
                for event in body["events"] if body["type"] == "batch" else [body]:
                    self._take(event, channel)

    def _take(self, event: dict[str, Any], channel: str) -> None:
        if event["type"] == "error" and event.get("channel") == channel:
            raise ConnectionError(f"not subscribed: {event}")  # and asks again, as the page does
        if event["type"] == "subscribed":
            place = event[channel]
            if self._since is None:
                self._since = {"epoch": place["epoch"], "offset": place["offset"]}
            elif not place["recovered"]:
                self.reloads += 1
            self.is_subscribed = True
            self.ready.set()
        if event.get("channel") == channel and event.get("offset") is not None:
            self.offsets.append(event["offset"])
            self._since = {"epoch": event["epoch"], "offset": event["offset"]}
            if event["type"] == "chat_message":
                self.texts.append(event["data"]["text"])


@dataclass
class ChatLoad:
    """Writers of chat lines: each its own person, socket and row of lines, `pause_s` between them.

    `refused` counts the failures of which the product told: an error that may be tried again.
    """

    socket_url: str
    room: str
    people: list[Account]
    pause_s: float = 0.0
    acknowledged: dict[str, int] = field(default_factory=dict)  # text -> offset
    failures: int = 0
    refused: int = 0
    last_failure: str = ""
    _pending: set[str] = field(default_factory=set)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._write(person)) for person in self.people]

    async def stop(self, timeout_s: float = 60) -> None:
        """Stop after every pending line has been acknowledged."""
        self._stopping = True
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*self._tasks)

    async def await_more(self, least: int, timeout_s: float = 60) -> float:
        """Wait for so many further acknowledgements; return how long that took.

        Raises what ended a writer, or what all of them wait for.
        """
        before, started = len(self.acknowledged), time.monotonic()
        while len(self.acknowledged) < before + least:
            for ended in filter(asyncio.Task.done, self._tasks):
                ended.result()
            assert time.monotonic() - started < timeout_s, (
                f"{len(self.acknowledged) - before} of {least} lines acknowledged, "
                f"{self.failures} failures, the last one {self.last_failure}"
            )
            await asyncio.sleep(0.05)
        return time.monotonic() - started

    async def _write(self, person: Account) -> None:
        async with aiohttp.ClientSession() as session:
            text: str | None = None
            while text is not None or not self._stopping:
                try:
                    text = await self._talk(session, person, text)
                except FAILURES as error:
                    self.failures += 1
                    self.last_failure = repr(error)
                    text = next(
                        (line for line in self._pending if line.startswith(person.id)), None
                    )
                    await asyncio.sleep(RETRY_S)

    async def _talk(
        self, session: aiohttp.ClientSession, person: Account, text: str | None
    ) -> str | None:
        """Send line after line on one socket; return the unacknowledged one when it closes."""
        timeout = aiohttp.ClientWSTimeout(ws_close=2.0)
        async with session.ws_connect(self.socket_url, timeout=timeout) as socket:
            await socket.send_json({"type": "authenticate", "token": person.token})
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                answer = await socket.receive_json()
            if answer["type"] != "authenticated":
                raise ConnectionError(str(answer))  # the database may be away: come back later
            while text is not None or not self._stopping:
                text = text or f"{person.id} {uuid.uuid4().hex}"
                self._pending.add(text)
                line = {
                    "type": "chat_send",
                    "room": self.room,
                    "client_id": text[-32:],
                    "text": text,
                }
                await socket.send_json(line)
                answer = await self._receive_answer(socket, text[-32:])
                if answer["type"] == "ack":
                    self.acknowledged[text] = answer["offset"]
                    self._pending.discard(text)
                    text = None
                    await asyncio.sleep(self.pause_s)
                else:
                    assert answer["retryable"], answer
                    self.failures += 1
                    self.refused += 1
                    self.last_failure = str(answer)
                    await asyncio.sleep(RETRY_S)
        return text

    async def _receive_answer(
        self, socket: aiohttp.ClientWebSocketResponse, client_id: str
    ) -> dict[str, Any]:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            while True:
                body: dict[str, Any] = await socket.receive_json()
                if body.get("client_id") == client_id and body["type"] in {"ack", "error"}:
                    return body


async def wait_for_in_flight(load: PostLoad | ChatLoad, least: int = 10) -> int:
    """Wait until at least `least` writes are in flight at this very moment; return how many."""
    async with asyncio.timeout(60):
        while load.in_flight < least or not load.acknowledged:
            await asyncio.sleep(0)
    return load.in_flight
