"""The socket end to end: client, edge, link, host, row, and every viewer in order."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from kit.settings import Settings
from serve_apps.edge.server import EdgeServer
from storage.cache import Cache
from storage.database import Database
from storage.objects import ObjectStore
from storage.placements import ROOM, find_placement
from storage.rooms import list_messages_after
from tests.actors.hosting.stage import run_child_host, run_host, write_settings
from tests.serve_apps.edge.edge_stage import (
    Guest,
    Talker,
    connect,
    invite,
    run_edge,
    use_free_ports,
)
from tests.storage.live_rows import create_room_row

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Stage:
    """A room of Ada's, and Bob who visits."""

    settings: Settings
    ada: Guest
    bob: Guest
    room_id: uuid.UUID

    @property
    def channel(self) -> str:
        return f"room:{self.room_id}"


@pytest.fixture
async def stage(settings: Settings, database: Database) -> Stage:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    bob = await invite(database, settings, "bob")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    return Stage(settings, ada, bob, room_id)


@pytest.fixture
async def edge(stage: Stage, objects: ObjectStore) -> AsyncIterator[EdgeServer]:
    async with run_host(stage.settings), run_edge(stage.settings, objects) as lent:
        yield lent


@contextlib.asynccontextmanager
async def visit(edge: EdgeServer, stage: Stage, guest: Guest | None) -> AsyncIterator[Talker]:
    """Connect, authenticate and follow the room."""
    async with connect(edge) as talker:
        if guest is not None:
            await talker.authenticate(guest)
        await talker.subscribe(stage.channel)
        yield talker


async def test_a_line_reaches_every_viewer_in_order_and_is_a_row(
    edge: EdgeServer, stage: Stage, database: Database
) -> None:
    async with (
        visit(edge, stage, stage.ada) as ada,
        visit(edge, stage, stage.bob) as bob,
        visit(edge, stage, None) as stranger,
    ):
        for n in range(10):
            await ada.say(type="chat_send", room=str(stage.room_id), client_id=f"a{n}", text=str(n))
        await bob.chat(stage.room_id, "b", "me too")
        for viewer in (ada, bob, stranger):
            await viewer.wait(lambda viewer=viewer: len(viewer.offsets(stage.channel)) == 11)
            assert viewer.offsets(stage.channel) == list(range(1, 12))
            assert viewer.lines(stage.channel)[:10] == [str(n) for n in range(10)]
        event = stranger.events[-1]
        assert event["data"]["user"]["username"] == "bob"
        assert event["data"]["room"] == str(stage.room_id)
    async with database.connection() as connection:
        rows = await list_messages_after(connection, stage.room_id, 0, 100)
    acks = {**ada.acks, **bob.acks}
    assert {row.client_id: row.seq for row in rows} == {
        client_id: ack["offset"] for client_id, ack in acks.items()
    }


async def test_a_repeated_client_id_gets_the_same_acknowledgement(
    edge: EdgeServer, stage: Stage
) -> None:
    async with visit(edge, stage, stage.bob) as bob:
        first = await bob.chat(stage.room_id, "once")
    async with visit(edge, stage, stage.bob) as bob:
        assert await bob.chat(stage.room_id, "once") == first
        assert bob.lines(stage.channel) == []


async def test_a_reconnect_by_offset_brings_exactly_what_was_missed(
    edge: EdgeServer, stage: Stage
) -> None:
    async with visit(edge, stage, stage.bob) as bob:
        for n in range(3):
            ack = await bob.chat(stage.room_id, f"c{n}")
    async with visit(edge, stage, stage.ada) as ada:
        for n in range(4):
            await ada.chat(stage.room_id, f"d{n}")
        async with connect(edge) as back:
            position = await back.subscribe(stage.channel, (ack["epoch"], 2))
            assert position == {"epoch": ack["epoch"], "offset": 2, "recovered": True}
            await back.wait(lambda: len(back.offsets(stage.channel)) == 5)
            await ada.chat(stage.room_id, "live")
            await back.wait(lambda: len(back.offsets(stage.channel)) == 6)
            assert back.offsets(stage.channel) == [3, 4, 5, 6, 7, 8]


async def test_an_offset_of_another_epoch_is_not_recovered(edge: EdgeServer, stage: Stage) -> None:
    async with visit(edge, stage, stage.bob) as bob:
        await bob.chat(stage.room_id, "one")
        async with connect(edge) as back:
            position = await back.subscribe(stage.channel, (str(uuid.uuid4()), 0))
            assert (position["recovered"], position["offset"]) == (False, 1)
            position = await back.subscribe(stage.channel, (position["epoch"], 99))
            assert position["recovered"] is False


async def test_strangers_read_open_rooms_and_write_nowhere(
    edge: EdgeServer, stage: Stage, database: Database
) -> None:
    async with database.connection() as connection:
        closed = await create_room_row(connection, stage.ada.user_id, visibility="private")
        followers = await create_room_row(connection, stage.ada.user_id, visibility="followers")
    async with visit(edge, stage, None) as stranger:
        await stranger.say(type="chat_send", room=str(stage.room_id), client_id="x", text="hi")
        await stranger.wait(lambda: bool(stranger.errors))
        assert (stranger.errors[0]["error"], stranger.errors[0]["client_id"]) == (
            "not_authenticated",
            "x",
        )
        for hidden in (closed, followers):
            assert (await stranger.subscribe(f"room:{hidden}"))["error"] == "not_found"
        assert (await stranger.subscribe(f"user:{stage.ada.user_id}"))["error"] == (
            "not_authenticated"
        )
    async with visit(edge, stage, stage.bob) as bob:
        assert (await bob.subscribe(f"room:{followers}"))["error"] == "not_found"
        assert (await bob.subscribe(f"user:{stage.ada.user_id}"))["error"] == "permission_denied"
        await bob.say(type="chat_send", room=str(closed), client_id="y", text="hi")
        await bob.wait(lambda: bob.errors[-1].get("client_id") == "y")
        async with database.connection() as connection:
            await connection.execute(
                "INSERT INTO follows (follower_id, followee_id) VALUES ($1, $2)",
                stage.bob.user_id,
                stage.ada.user_id,
            )
        assert (await bob.subscribe(f"room:{followers}"))["offset"] == 0
        async with visit(edge, stage, stage.ada) as ada:
            await ada.subscribe(f"room:{followers}")
            async with database.connection() as connection:
                await connection.execute("DELETE FROM follows")
            await bob.wait(lambda: bob.errors[-1].get("channel") == f"room:{followers}", 60)
            assert bob.errors[-1]["error"] == "not_found", "whoever leaves is let go"
            await ada.chat(followers, "z", "among ourselves")
            await ada.wait(lambda: ada.lines(f"room:{followers}") == ["among ourselves"])
            assert bob.lines(f"room:{followers}") == []


async def test_ephemeral_channels_carry_the_latest_state(
    edge: EdgeServer, stage: Stage, cache: Cache
) -> None:
    channel = f"user:{stage.bob.user_id}"
    async with connect(edge) as bob:
        await bob.authenticate(stage.bob)
        await bob.subscribe(channel)
        hint = {"post_id": str(stage.room_id), "author_id": str(stage.ada.user_id)}
        async with asyncio.timeout(60):
            while bob.latest("feed_hint") is None:
                await cache.publish(channel, "feed_hint", hint)
                await asyncio.sleep(0.05)
        await bob.say(type="unsubscribe", channels=[channel])
        await bob.wait(lambda: bob.answers[-1]["type"] == "unsubscribed")


async def test_typing_and_counts_reach_the_room(edge: EdgeServer, stage: Stage) -> None:
    async with (
        visit(edge, stage, stage.ada) as ada,
        visit(edge, stage, stage.bob) as bob,
        visit(edge, stage, None),
    ):
        await bob.say(type="typing", room=str(stage.room_id))
        await ada.wait(lambda: ada.latest("typing") is not None)
        assert ada.latest("typing")["user"]["username"] == "bob"
        counts = {"viewers": 2, "ways": {"webrtc": 0, "hls": 0, "chat": 2}, "publishers": 0}
        await ada.wait(lambda: ada.latest("viewer_count") == counts)


async def test_a_revoked_session_loses_its_socket(
    edge: EdgeServer, stage: Stage, database: Database
) -> None:
    async with visit(edge, stage, stage.bob) as bob:
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE sessions SET revoked_at = now() WHERE id = $1", stage.bob.session_id
            )
        await bob.wait(lambda: bob.socket.closed)
        assert bob.socket.close_code == 4501
    async with connect(edge) as again:
        assert (await again.authenticate(stage.bob))["error"] == "session_revoked"


async def test_bad_frames_are_refused_and_too_many_end_the_socket(
    edge: EdgeServer, stage: Stage
) -> None:
    async with connect(edge) as talker:
        assert (await talker.ask(type="nonsense"))["error"] == "frame_malformed"
        assert (await talker.ask(type="ping"))["type"] == "pong"
        assert (await talker.subscribe("room:no"))["error"] == "channel_unknown"
        assert (await talker.ask(type="authenticate", token="x"))["error"] == "token_invalid"
        for _ in range(10):
            await talker.say(type="nonsense")
        await talker.wait(lambda: talker.socket.closed)
        assert talker.socket.close_code == 4502
    async with connect(edge) as talker:
        with contextlib.suppress(ConnectionError):
            await talker.socket.send_str("x" * (65 << 10))
        await talker.wait(lambda: talker.socket.closed)
        assert talker.socket.close_code == 1009


async def test_a_full_edge_says_503_and_a_draining_one_1012(
    stage: Stage, objects: ObjectStore
) -> None:
    settings = use_free_ports(stage.settings, sockets_max=1)
    async with (
        run_host(settings),
        run_edge(settings, objects) as edge,
        visit(edge, stage, stage.bob) as bob,
    ):
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{edge.address.url}/ws")
        assert refused.value.status == 503
        await edge.drain(2.0)
        await bob.wait(lambda: bob.socket.closed)
        assert bob.socket.close_code == 1012


async def test_a_room_that_moves_with_lines_in_flight_loses_and_doubles_nothing(
    stage: Stage, objects: ObjectStore, database: Database, tmp_path: Path
) -> None:
    file = write_settings(stage.settings, tmp_path / "settings.toml")
    stop = False
    async with (
        run_child_host(file, "host-0") as first,
        run_child_host(file, "host-1") as second,
        run_edge(stage.settings, objects) as edge,
        visit(edge, stage, stage.ada) as ada,
        visit(edge, stage, stage.bob) as bob,
        visit(edge, stage, None) as stranger,
    ):
        async with database.connection() as connection:
            placement = await find_placement(connection, ROOM, stage.room_id)
        assert placement is not None
        owner = first if placement.host_id == "host-0" else second
        sent: set[str] = set()

        async def write(talker: Talker, name: str) -> None:
            number = 0
            while not stop:
                client_id = f"{name}{number}"
                sent.add(client_id)
                await talker.chat(stage.room_id, client_id)
                number += 1

        writers = [
            asyncio.create_task(write(talker, f"{name}{n}-"))
            for name, talker in (("a", ada), ("b", bob))
            for n in range(8)
        ]
        await ada.wait(lambda: len(ada.acks) > 10)
        while len(sent) - len(ada.acks) - len(bob.acks) < 10:
            await asyncio.sleep(0)
        acknowledged = len(ada.acks)
        await owner.kill()
        await ada.wait(lambda: len(ada.acks) > acknowledged + 20)
        stop = True
        await asyncio.gather(*writers)
        async with database.connection() as connection:
            rows = await list_messages_after(connection, stage.room_id, 0, 10_000)
        for viewer in (ada, bob, stranger):
            await viewer.wait(lambda viewer=viewer: len(viewer.offsets(stage.channel)) >= len(rows))
            assert viewer.offsets(stage.channel) == [row.seq for row in rows]
    acks = {client_id: ack["offset"] for t in (ada, bob) for client_id, ack in t.acks.items()}
    assert acks == {row.client_id: row.seq for row in rows}


async def test_health_and_metrics_answer(edge: EdgeServer) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{edge.address.url}/health") as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "ok")
        async with session.get(f"{edge.address.url}/metrics") as answer:
            assert "socialflow_sockets_open" in await answer.text()
        async with session.ws_connect(f"{edge.address.url}/ws/echo") as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"
