"""How many watch a live, from the room that counts them to the lists that show it."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Awaitable, Callable

import httpx
import pytest

from actors.live_room.messages import ViewersReport, Way
from kit.settings import Settings
from serve_apps.api.app import build_app
from serve_apps.http.state import ApiPorts
from storage.cache import Cache
from storage.database import Database
from storage.embedded.ports import get_free_port
from tests.actors.hosting.stage import Heard, run_client, run_host
from tests.serve_apps.api_client import Person, make_client

pytestmark = pytest.mark.db


async def put_on_air(database: Database, person: Person) -> uuid.UUID:
    live = await person.post("/v1/live", {"title": "Night drive"}, status=201)
    assert live["viewers"] is None
    live_id = uuid.UUID(live["id"])
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE lives SET status = 'live', started_at = now() WHERE id = $1", live_id
        )
    return live_id


async def wait_for_viewers(read: Callable[[], Awaitable[int | None]], expected: int) -> None:
    """Ask until the answer carries the count: hosts write each second."""

    async with asyncio.timeout(60):
        while await read() != expected:
            await asyncio.sleep(0.05)


async def test_the_present_viewers_are_shown_wherever_a_live_is(
    ada: Person, client: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    live_id = await put_on_air(database, ada)

    async def read_listed() -> int | None:
        return (await client.get("/v1/live")).json()["items"][0]["viewers"]

    async with (
        run_host(settings),
        run_client(settings, Heard()) as one,
        run_client(settings, Heard(), "edge-1") as other,
    ):
        for edge, ways in ((one, {Way.WEBRTC: 4}), (other, {Way.WEBRTC: 1, Way.CHAT: 7})):
            edge.open_room(live_id)
            edge.report_viewers(live_id, ViewersReport(ways))
        await wait_for_viewers(read_listed, 7)
        assert (await client.get(f"/v1/live/{live_id}")).json()["viewers"] == 7
        assert (await ada.get("/v1/live/mine"))["items"][0]["viewers"] == 7
        other.report_viewers(live_id, ViewersReport({Way.WEBRTC: 0, Way.CHAT: 0}))
        await wait_for_viewers(read_listed, 4)


async def test_without_the_cache_the_count_is_unknown_and_the_lists_go_on(
    ada: Person, ports: ApiPorts, database: Database
) -> None:
    live_id = await put_on_air(database, ada)
    away = Cache(f"redis://127.0.0.1:{get_free_port()}")
    await away.open()
    app = build_app(dataclasses.replace(ports, cache=away))
    try:
        async with make_client(app) as client:
            for path in (f"/v1/live/{live_id}", "/v1/live"):
                answer = await client.get(path)
                assert answer.status_code == 200, answer.text
                body = answer.json()
                assert body.get("items", [body])[0]["viewers"] is None
    finally:
        app.state.passwords.close()
        await away.close()
