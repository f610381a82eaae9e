"""Server-sent events: the socket's channels, resumed by Last-Event-ID, under the same rules."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import pytest

from kit.clock import SystemClock
from kit.settings import Settings
from serve_apps.access.grants import TicketKind, TicketOrder, issue_ticket
from serve_apps.edge import socket_server
from serve_apps.edge.event_streams import read_positions, write_positions
from serve_apps.edge.server import EdgeServer
from serve_apps.edge.socket_answers import check_frame
from serve_apps.edge.socket_words import Position
from storage.database import Database
from storage.lives import change_live
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_host
from tests.serve_apps.edge.edge_stage import (
    Guest,
    Talker,
    connect,
    invite,
    run_edge,
    use_free_ports,
)
from tests.storage.live_rows import create_room_row
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db


def make_narrow_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket for which the kernel keeps little."""
    family, kind, protocol = address[:3]
    raw = socket.socket(family, kind, protocol)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    return raw


@dataclass
class Reader:
    """A client of an event stream: its messages, the id of the last one, where it may speak."""

    answer: aiohttp.ClientResponse
    key: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    last_id: str = ""
    comments: int = 0

    async def read(self, is_enough: Any, timeout_s: float = 60.0) -> None:
        """Read messages until something holds about them, or the stream ends."""
        async with asyncio.timeout(timeout_s):
            while not is_enough():
                if not await self._read_block():
                    return

    async def _read_block(self) -> bool:
        while True:
            line = (await self.answer.content.readline()).decode()
            if not line:
                return False
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "data":
                body = msgspec.json.decode(value)
                check_frame(body)
                if body["type"] == "stream":
                    self.key = body["key"]
                else:
                    self.messages += body["events"] if body["type"] == "batch" else [body]
            elif not line.strip():
                return True
            else:
                self.comments += 1

    @property
    def offsets(self) -> list[int]:
        """The offsets of events, in order."""
        return [m["offset"] for m in self.messages if "offset" in m and m["type"] != "reload"]


@dataclass(frozen=True)
class Stage:
    """A room of Ada's, who writes in it, and Bob."""

    settings: Settings
    edge: EdgeServer
    ada: Guest
    bob: Guest
    room_id: uuid.UUID
    writer: Talker

    @property
    def channel(self) -> str:
        return f"room:{self.room_id}"

    @contextlib.asynccontextmanager
    async def follow(self, channels: str = "", **options: Any) -> AsyncIterator[Reader]:
        """Open a stream; `token`, `last_id` and `ticket` are what a client may send."""
        headers, query = {}, {"channels": channels or self.channel}
        if "token" in options:
            headers["Authorization"] = f"Bearer {options['token']}"
        if "last_id" in options:
            headers["Last-Event-ID"] = options["last_id"]
        if "ticket" in options:
            query["ticket"] = options["ticket"]
        url = f"{self.edge.address.url}/events"
        connector = aiohttp.TCPConnector(socket_factory=make_narrow_socket)
        async with (
            aiohttp.ClientSession(read_bufsize=1 << 17, connector=connector) as session,
            session.get(url, headers=headers, params=query) as answer,
        ):
            yield Reader(answer)

    async def say(self, key: str, body: Any, **options: Any) -> tuple[int, str]:
        """Post what a stream's client says; return the status, and the code of a refusal."""
        data = body if isinstance(body, bytes | AsyncIterator) else msgspec.json.encode(body)
        url, headers = f"{self.edge.address.url}/events", {"Stream-Key": key}
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=data, headers=headers, **options) as answer,
        ):
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            return answer.status, (await answer.json())["error"] if answer.status >= 400 else ""

    async def refuse(self, channels: str = "", **options: Any) -> tuple[int, str]:
        """Ask for a stream that is refused; return the status and the code."""
        async with self.follow(channels, **options) as reader:
            assert reader.answer.headers["Access-Control-Allow-Origin"] == "*"
            return reader.answer.status, (await reader.answer.json())["error"]


@pytest.fixture
async def stage(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Stage]:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    bob = await invite(database, settings, "bob")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    async with run_host(settings), run_edge(settings, objects) as edge, connect(edge) as writer:
        await writer.authenticate(ada)
        yield Stage(settings, edge, ada, bob, room_id, writer)


async def test_a_stream_shows_what_the_socket_shows_and_resumes_exactly(stage: Stage) -> None:
    async with stage.follow() as reader:
        assert reader.answer.content_type == "text/event-stream"
        await reader.read(lambda: reader.messages)
        assert reader.messages[0]["type"] == "subscribed"
        assert reader.messages[0][stage.channel]["offset"] == 0
        for n in range(5):
            await stage.writer.chat(stage.room_id, f"a{n}")
        await reader.read(lambda: len(reader.offsets) == 5)
        event = next(m for m in reader.messages if m["type"] == "chat_message")
        assert (event["channel"], event["data"]["text"]) == (stage.channel, "line a0")
        await reader.read(lambda: any(m["type"] == "viewer_count" for m in reader.messages))
    for n in range(5):
        await stage.writer.chat(stage.room_id, f"b{n}")
    async with stage.follow(last_id=reader.last_id) as back:
        await back.read(lambda: len(back.offsets) == 5)
        assert back.messages[0][stage.channel]["recovered"] is True
        await stage.writer.chat(stage.room_id, "live")
        await back.read(lambda: len(back.offsets) == 6)
        assert back.offsets == [6, 7, 8, 9, 10, 11]
    async with stage.follow(last_id=f"{stage.channel}={uuid.uuid4()}:3") as lost:
        await lost.read(lambda: lost.messages)
        assert lost.messages[0][stage.channel]["recovered"] is False


async def test_the_same_people_may_follow_the_same_channels(
    stage: Stage, database: Database
) -> None:
    async with database.connection() as connection:
        hidden = await create_room_row(connection, stage.ada.user_id, visibility="private")
    room, own = f"room:{hidden}", f"user:{stage.bob.user_id}"
    assert await stage.refuse(room) == (404, "not_found")
    assert await stage.refuse(room, token=stage.bob.token) == (404, "not_found")
    assert await stage.refuse(own) == (401, "not_authenticated")
    assert await stage.refuse(own, token=stage.ada.token) == (403, "permission_denied")
    assert await stage.refuse("room:1") == (422, "channel_unknown")
    assert await stage.refuse(",") == (422, "channels_missing")
    assert (await stage.refuse(token="a.b.c"))[0] == 401
    async with stage.follow(f"{stage.channel},{room}") as reader:
        await reader.read(lambda: len(reader.messages) >= 2)
        by_type = {message["type"]: message for message in reader.messages}
        assert (by_type["error"]["channel"], by_type["error"]["error"]) == (room, "not_found")
        assert stage.channel in by_type["subscribed"]
    async with stage.follow(own, token=stage.bob.token) as reader:
        await reader.read(lambda: reader.messages)
        assert own in reader.messages[0]


async def test_what_is_posted_counts_as_said_on_a_socket_and_is_answered_in_the_stream(
    stage: Stage,
) -> None:
    async with stage.follow(token=stage.ada.token) as reader:
        await reader.read(lambda: reader.messages)
        room = {"room": str(stage.room_id)}
        line = {"type": "chat_send", **room, "client_id": str(uuid.uuid4()), "text": "by post"}
        assert await stage.say(reader.key, line) == (204, "")
        assert await stage.say(reader.key, line) == (204, "")
        await reader.read(lambda: sum(m["type"] == "ack" for m in reader.messages) == 2)
        first, again = (m for m in reader.messages if m["type"] == "ack")
        assert (first, first["offset"]) == (again, 1)
        act = {"type": "moderate", **room, "client_id": str(uuid.uuid4()), "act": "pin"}
        await stage.say(reader.key, {**act, "message_id": first["message_id"]})
        await reader.read(lambda: any(m["type"] == "done" for m in reader.messages))
        await stage.writer.subscribe(stage.channel)
        await stage.say(reader.key, {"type": "typing", **room})
        await stage.writer.wait(lambda: stage.writer.latest("typing"))
        taken = 'socialflow_watch_reports_total{outcome="taken"} '
        before = next((it for it in await read_metrics(stage.edge) if it.startswith(taken)), "")
        report = {"type": "watch_report", **room, "way": "hls", "span_ms": 10_000}
        assert await stage.say(reader.key, report) == (204, "")
        after = next(it for it in await read_metrics(stage.edge) if it.startswith(taken))
        assert float(after.removeprefix(taken)) == float(before.removeprefix(taken) or 0) + 1
        more = {
            "type": "subscribe",
            "channels": [f"post:{uuid.uuid4()}", f"user:{stage.ada.user_id}"],
        }
        await stage.say(reader.key, more)
        await reader.read(lambda: any(f"user:{stage.ada.user_id}" in m for m in reader.messages))


async def test_only_whole_words_for_a_stream_that_is_open_are_taken(stage: Stage) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"{}"

    async with stage.follow() as reader:
        await reader.read(lambda: reader.messages)
        assert await stage.say("nobodys", {"type": "ping"}) == (404, "stream_unknown")
        assert await stage.say(reader.key, b" " * ((64 << 10) + 1)) == (413, "word_too_large")
        assert await stage.say(reader.key, drip()) == (411, "length_required")
        assert (await stage.say(reader.key, b"\xff"))[1] == "frame_malformed"
        assert await stage.say(reader.key, b"{") == (204, "")
        await reader.read(lambda: reader.messages[-1]["type"] == "error")
        assert reader.messages[-1]["error"] == "frame_malformed"
        line = {"type": "chat_send", "room": str(stage.room_id), "client_id": "c", "text": "hi"}
        await stage.say(reader.key, line)
        await reader.read(lambda: reader.messages[-1].get("client_id") == "c")
        assert reader.messages[-1]["error"] == "not_authenticated"
    async with asyncio.timeout(60):
        while await stage.say(reader.key, {"type": "ping"}) != (404, "stream_unknown"):
            await asyncio.sleep(0.1)


async def test_a_word_that_outlives_its_stream_follows_nothing(
    stage: Stage, database: Database
) -> None:
    async with database.connection() as connection:
        other = await create_room_row(connection, stage.ada.user_id)
    async with database.transaction() as connection:
        async with stage.follow() as reader:
            await reader.read(lambda: reader.messages)
            await connection.execute("LOCK TABLE lives IN ACCESS EXCLUSIVE MODE")
            words = {"type": "subscribe", "channels": [f"room:{other}"]}
            saying = asyncio.create_task(stage.say(reader.key, words))
            async with asyncio.timeout(60):
                while not await is_asking(database):
                    await asyncio.sleep(0.05)
        await wait_until(lambda: not stage.edge._events._by_key)
    assert await saying == (204, "")
    async with stage.follow() as reader:  # long enough for what would be opened behind the answer
        await reader.read(lambda: any(m["type"] == "viewer_count" for m in reader.messages))
    assert stage.edge._rooms.find(other) is None, "nobody follows it"


async def is_asking(database: Database) -> bool:
    """Whether somebody waits to read who may see a live."""
    async with database.connection() as connection:
        return bool(
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND query LIKE '%visibility, access_version FROM lives%'"
            )
        )


async def test_the_ticket_of_join_opens_one_stream(stage: Stage) -> None:
    claims = {"session": str(stage.bob.session_id)}
    url = stage.edge.address.url
    order = TicketOrder(TicketKind.SOCKET, stage.room_id, url, stage.bob.user_id, claims)
    ticket = issue_ticket(stage.settings.auth, order, SystemClock().now())
    async with stage.follow(f"user:{stage.bob.user_id}", ticket=ticket) as reader:
        assert reader.answer.status == 200
    assert await stage.refuse(ticket=ticket) == (401, "ticket_used")


async def test_a_login_that_ends_and_a_live_that_is_hidden_end_what_they_opened(
    stage: Stage, database: Database
) -> None:
    async with stage.follow(token=stage.bob.token) as bob, stage.follow() as stranger:
        for reader in (bob, stranger):
            await reader.read(lambda reader=reader: reader.messages)
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE sessions SET revoked_at = now() WHERE id = $1", stage.bob.session_id
            )
            await change_live(connection, stage.room_id, title="T", visibility="private")
        await bob.read(lambda: False)
        assert bob.messages[-1] == {"type": "closed", "code": 4501, "reason": "session_revoked"}
        await stranger.read(lambda: stranger.messages[-1]["type"] == "error")
        assert stranger.messages[-1]["channel"] == stage.channel


async def test_a_browser_of_another_origin_may_ask(stage: Stage) -> None:
    url = f"{stage.edge.address.url}/events"
    async with aiohttp.ClientSession() as session, session.options(url) as answer:
        assert answer.status == 204
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "Last-Event-ID" in answer.headers["Access-Control-Allow-Headers"]
        assert "Stream-Key" in answer.headers["Access-Control-Allow-Headers"]
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]


async def test_streams_count_as_sockets_and_are_forgotten_when_their_client_goes(
    stage: Stage,
) -> None:
    before = stage.edge.describe()["sockets"]
    async with stage.follow() as reader:
        await reader.read(lambda: reader.messages)
        assert stage.edge.describe()["sockets"] == before + 1
    async with asyncio.timeout(60):
        while stage.edge.describe()["sockets"] > before:
            await asyncio.sleep(0.1)


async def read_metrics(edge: EdgeServer) -> list[str]:
    url = f"{edge.address.url}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return (await answer.text()).splitlines()


async def test_a_stream_that_is_not_read_waits_and_misses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow machine writes for longer than the edge bears with a reader."""
    monkeypatch.setattr(socket_server, "LAG_MAX_S", 120.0)
    async with stage.follow() as reader:
        await reader.read(lambda: reader.messages)
        async with contextlib.AsyncExitStack() as stack:
            writers = [await stack.enter_async_context(connect(stage.edge)) for _ in range(25)]
            for writer in writers:
                await writer.authenticate(stage.ada)
            for n in range(40):
                await asyncio.sleep(0.03)  # one socket may say 50 words a second
                await asyncio.gather(
                    *(
                        writer.chat(stage.room_id, f"{n}-{w}", "€" * 500)
                        for w, writer in enumerate(writers)
                    )
                )
        while "socialflow_sockets_slow 1.0" not in await read_metrics(stage.edge):
            await asyncio.sleep(0.1)
        await reader.read(lambda: reader.offsets[-1:] == [1000])
        assert reader.offsets == list(range(1, 1001))


def test_positions_are_read_as_written_and_nonsense_is_left_out() -> None:
    positions = {"room:1": Position("e", 7), "room:2": Position("f", 0)}
    assert read_positions(write_positions(positions)) == positions
    assert read_positions("room:1=e:7,,x,room:2=,room:3=e:-1,room:4=e:" + "9" * 30) == {
        "room:1": Position("e", 7)
    }
