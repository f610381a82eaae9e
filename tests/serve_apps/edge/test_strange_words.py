"""Whatever a client writes on the socket: answered or refused, never a fault of ours."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kit.settings import Settings
from serve_apps.edge.server import EdgeServer
from serve_apps.edge.socket_words import CloseCode
from storage.database import Database
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_host
from tests.serve_apps.edge.edge_stage import Guest, connect, invite, run_edge, use_free_ports
from tests.storage.live_rows import create_room_row

pytestmark = pytest.mark.db

TYPES = ["authenticate", "subscribe", "unsubscribe", "chat_send", "typing", "ping", "nonsense"]
FIELDS = ["token", "channels", "since", "room", "client_id", "text", "epoch", "offset", "type"]
ROOM = "{room}"
CODES = {1002, 1003, 1007, 1009, *CloseCode}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(
        ["", "\x00", "a\x00b", "\ud800", "\udfff!", ROOM, f"room:{ROOM}", "room:", "user:*"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
words = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=5),
)
lines = st.builds(
    lambda text, client_id: {
        "type": "chat_send",
        "room": ROOM,
        "client_id": client_id,
        "text": text,
    },
    st.text(max_size=60) | st.sampled_from(["\x00", "hi\x00", "\ud800", "\ufffe", "\u202e", " "]),
    st.text(max_size=70) | st.just("\x00"),
)
subscriptions = st.builds(
    lambda epoch, offset: {
        "type": "subscribe",
        "channels": [f"room:{ROOM}", f"room:{ROOM}"],
        "since": {f"room:{ROOM}": {"epoch": epoch, "offset": offset}},
    },
    st.text(max_size=8),
    st.integers(min_value=-(10**30), max_value=10**30),
)
texts = st.one_of(
    st.one_of(words, lines, subscriptions, values).map(json.dumps),
    st.text(max_size=60).filter(lambda text: text.isprintable()),
    st.integers(1, 20_000).map(lambda depth: "[" * depth),
    st.integers(1, 5_000).map(lambda depth: '{"type":' * depth),
    st.integers(1, 5_000).map(lambda digits: '{"type":"typing","room":' + "9" * digits + "}"),
    st.sampled_from(
        ['{"type":1e400}', '{"type":"ping","type":"ping"}', "\x00", "null", "\ufeff{}"]
    ),
)


@dataclass(frozen=True)
class Target:
    """An edge with a room, and somebody who may write in it."""

    edge: EdgeServer
    ada: Guest
    room_id: uuid.UUID


@pytest.fixture
async def target(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Target]:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    async with run_host(settings), run_edge(settings, objects) as edge:
        yield Target(edge, ada, room_id)


async def _open(session: aiohttp.ClientSession, target: Target) -> aiohttp.ClientWebSocketResponse:
    """Connect; an edge that is out of breath says 503, and the client comes back."""
    async with asyncio.timeout(60):
        while True:
            with suppress(aiohttp.WSServerHandshakeError):
                return await session.ws_connect(f"{target.edge.address.url}/ws")
            await asyncio.sleep(0.1)


OF_ASYNCPG = "unexpected connection_lost() call"
"""asyncpg forgets a future where connecting is cancelled before it has asked for TLS: an edge of an
earlier test that closed. It is said whenever the future is collected, so perhaps here."""


async def talk(target: Target, frames: list[str], *, is_known: bool) -> int | None:
    """Say the frames and a ping; return the code that ended the socket, None when it answers."""
    async with aiohttp.ClientSession() as session, await _open(session, target) as socket:
        if is_known:
            await socket.send_json({"type": "authenticate", "token": target.ada.token})
        with suppress(ConnectionError):
            for frame in [*frames, '{"type":"ping"}']:
                await socket.send_str(frame.replace(ROOM, str(target.room_id)))
        async with asyncio.timeout(60):
            async for message in socket:
                if json.loads(message.data).get("type") == "pong":
                    return None
        return socket.close_code


@hypothesis_settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(frames=st.lists(texts, min_size=1, max_size=9), is_known=st.booleans())
async def test_strange_words_are_answered_or_refused_and_nothing_of_ours_breaks(
    target: Target,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    frames: list[str],
    is_known: bool,
) -> None:
    code = await talk(target, frames, is_known=is_known)
    assert code is None or code in CODES
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    assert "[error" not in said.out
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert [error for error in errors if OF_ASYNCPG not in error] == []


async def test_a_line_after_strange_ones_is_stored(target: Target) -> None:
    async with connect(target.edge) as ada:
        await ada.authenticate(target.ada)
        await ada.subscribe(f"room:{target.room_id}")
        room = str(target.room_id)
        for n, text in enumerate(["\x00", "a\x00b", "\ufffe", "\u202eright", "x" * 501]):
            await ada.say(type="chat_send", room=room, client_id=f"strange{n}", text=text)
        await ada.chat(target.room_id, "plain", "and on it goes")
        await ada.wait(lambda: "and on it goes" in ada.lines(f"room:{room}"))
