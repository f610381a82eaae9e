"""A chat's moderation over the API, with a real host behind it."""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from actors.live_room.entries import Speaker
from kit.ids import make_id, parse_id
from serve_apps.api.app import build_app
from serve_apps.http.state import ApiPorts
from serve_apps.live.chat_service import name_raid
from storage.database import Database
from tests.actors.hosting.stage import Heard, run_client, run_host
from tests.serve_apps.api_client import Person, make_client, register
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db


@dataclass
class Chat:
    """Ada's live; Bob has written a line; Cyd looks on."""

    ada: Person
    bob: Person
    cyd: Person
    live_id: str
    rooms: Any

    async def write(self, text: str, by: Person | None = None) -> str:
        """Write a line as an edge would; returns its id."""
        by = by or self.bob
        user_id, room_id = parse_id(by.id), parse_id(self.live_id)
        assert user_id is not None
        assert room_id is not None
        speaker = Speaker(user_id, by.username, by.username.title())
        stored = await self.rooms.send_chat(room_id, speaker, str(make_id()), text)
        return str(stored.entry_id)

    async def call(
        self, person: Person, method: str, path: str, body: Any = None
    ) -> tuple[int, str]:
        """Call a route of the live; returns status and error code."""
        answer = await person.call(method, f"/v1/live/{self.live_id}{path}", json=body)
        return answer.status_code, answer.json()["error"] if answer.status_code >= 400 else ""

    async def messages(self) -> list[dict[str, Any]]:
        """Return the history, oldest first."""
        page = await self.cyd.get(f"/v1/live/{self.live_id}/messages")
        return list(reversed(page["items"]))


@pytest.fixture
async def chat(ports: ApiPorts) -> AsyncIterator[Chat]:
    settings = ports.settings
    async with (
        run_host(settings),
        run_client(settings, name="api-1", role="api") as rooms,
        run_client(settings, name="edge-0") as edge,
        make_client(build_app(dataclasses.replace(ports, rooms=rooms))) as client,
    ):
        ada, bob, cyd = [await register(client, name) for name in ("ada", "bob", "cyd")]
        live = await ada.post("/v1/live", {"title": "T"}, status=201)
        yield Chat(ada, bob, cyd, live["id"], edge)


async def test_a_line_is_deleted_by_its_writer_or_a_moderator_and_is_gone_from_history(
    chat: Chat,
) -> None:
    first, second = await chat.write("oh no"), await chat.write("oh well")
    path = f"/messages/{first}"
    assert await chat.call(chat.cyd, "DELETE", path) == (403, "room_rank_too_low")
    assert await chat.call(chat.bob, "DELETE", path) == (204, "")
    assert await chat.call(chat.bob, "DELETE", path) == (404, "line_not_found")
    assert await chat.call(chat.ada, "DELETE", f"/messages/{second}") == (204, "")
    items = await chat.messages()
    assert [item["type"] for item in items] == ["chat_message"] * 2 + ["message_deleted"] * 2
    assert [item["data"].get("text") for item in items] == ["", "", None, None]
    assert items[2]["data"]["message_id"] == first


async def test_moderators_are_appointed_by_the_owner_and_act_on_guests(chat: Chat) -> None:
    cyd = {"username": "cyd"}
    assert await chat.call(chat.bob, "POST", "/moderators", cyd) == (403, "room_rank_too_low")
    assert await chat.call(chat.ada, "POST", "/moderators", {"username": "nobody"}) == (
        404,
        "user_not_found",
    )
    assert await chat.call(chat.ada, "POST", "/moderators", cyd) == (204, "")
    shown = await chat.cyd.get(f"/v1/live/{chat.live_id}/chat")
    assert [person["username"] for person in shown["moderators"]] == ["cyd"]
    assert shown["me"]["rank"] == "moderator"
    time_out = {"username": "bob", "duration_s": 600, "reason": "flood"}
    assert await chat.call(chat.cyd, "POST", "/timeouts", time_out) == (204, "")
    assert await chat.call(chat.cyd, "POST", "/bans", {"username": "ada"}) == (
        403,
        "room_rank_too_low",
    )
    (silenced,) = (await chat.cyd.get(f"/v1/live/{chat.live_id}/bans"))["items"]
    assert (silenced["user"]["username"], silenced["reason"]) == ("bob", "flood")
    me = (await chat.bob.get(f"/v1/live/{chat.live_id}/chat"))["me"]
    assert me["rank"] == "guest"
    assert me["timed_out_until"] is not None
    assert await chat.call(chat.cyd, "DELETE", "/bans/bob") == (204, "")
    assert (await chat.cyd.get(f"/v1/live/{chat.live_id}/bans"))["items"] == []
    assert await chat.call(chat.ada, "DELETE", "/moderators/cyd") == (204, "")
    assert (await chat.call(chat.cyd, "GET", "/bans"))[0] == 403


async def test_rules_are_the_owners_and_their_words_for_moderators(chat: Chat) -> None:
    change = {"slow_mode_s": 10, "blocked_words": ["Spoiler "]}
    assert await chat.call(chat.bob, "PATCH", "/chat/rules", change) == (403, "room_rank_too_low")
    rules_path = f"/v1/live/{chat.live_id}/chat/rules"
    answer = await chat.ada.call("PATCH", rules_path, json=change)
    assert answer.json()["blocked_words"] == ["spoiler"]
    assert (await chat.call(chat.bob, "GET", "/chat/rules"))[0] == 403
    shown = (await chat.bob.get(f"/v1/live/{chat.live_id}/chat"))["rules"]
    assert shown["slow_mode_s"] == 10
    assert "blocked_words" not in shown
    answer = await chat.ada.call("PATCH", rules_path, json={"subscribers_only": True})
    assert answer.json()["subscribers_only"] is True
    assert (await chat.call(chat.ada, "PATCH", "/chat/rules", {"slow_mode_s": -1}))[0] == 422


async def test_pins_are_shown_to_strangers_and_taken_down(
    chat: Chat, client: httpx.AsyncClient
) -> None:
    line = await chat.write("read this")
    assert await chat.call(chat.bob, "POST", "/pins", {"message_id": line}) == (
        403,
        "room_rank_too_low",
    )
    assert await chat.call(chat.ada, "POST", "/pins", {"message_id": line}) == (204, "")
    shown = (await client.get(f"/v1/live/{chat.live_id}/chat")).json()
    assert [pin["text"] for pin in shown["pins"]] == ["read this"]
    assert shown["me"] is None
    assert await chat.call(chat.ada, "DELETE", f"/pins/{line}") == (204, "")
    assert (await client.get(f"/v1/live/{chat.live_id}/chat")).json()["pins"] == []


async def test_held_lines_are_reviewed_by_moderators(chat: Chat) -> None:
    await chat.ada.call(
        "PATCH", f"/v1/live/{chat.live_id}/chat/rules", json={"held_words": ["maybe"]}
    )
    await chat.write("maybe yes")
    await chat.write("maybe no")
    assert (await chat.call(chat.bob, "GET", "/held"))[0] == 403
    first, second = (await chat.ada.get(f"/v1/live/{chat.live_id}/held"))["items"]
    assert (first["text"], first["why"], first["user"]["username"]) == ("maybe yes", "word", "bob")
    for held, decision in ((first, "approve"), (second, "refuse")):
        path = f"/held/{held['id']}"
        assert await chat.call(chat.bob, "POST", path, {"decision": decision}) == (
            403,
            "room_rank_too_low",
        )
        assert await chat.call(chat.ada, "POST", path, {"decision": decision}) == (204, "")
        assert await chat.call(chat.ada, "POST", path, {"decision": decision}) == (
            404,
            "held_line_not_found",
        )
    assert (await chat.ada.get(f"/v1/live/{chat.live_id}/held"))["items"] == []
    items = await chat.messages()
    assert [item["data"]["text"] for item in items if item["type"] == "chat_message"] == [
        "maybe yes"
    ]
    assert all("text" not in item["data"] for item in items if item["type"] == "message_held")


async def test_a_held_line_stays_with_its_writer_and_moderators_until_it_is_decided(
    chat: Chat,
) -> None:
    await chat.call(chat.ada, "PATCH", "/chat/rules", {"held_words": ["maybe"]})
    held_id = await chat.write("maybe so")

    async def read(person: Person) -> list[dict[str, Any]]:
        page = await person.get(f"/v1/live/{chat.live_id}/messages")
        return [item["data"] for item in page["items"] if item["type"] == "message_held"]

    for reader in (chat.bob, chat.ada):
        (line,) = await read(reader)
        assert (line["held_id"], line["text"], line["user"]["username"]) == (
            held_id,
            "maybe so",
            "bob",
        )
        assert line["client_id"]
    (line,) = await read(chat.cyd)
    assert set(line) == {"held_id", "at"}
    await chat.call(chat.ada, "POST", f"/held/{held_id}", {"decision": "refuse"})
    for reader in (chat.bob, chat.ada):
        (line,) = await read(reader)
        assert set(line) == {"held_id", "at"}


async def test_an_announcement_that_is_sent_again_is_said_once(chat: Chat) -> None:
    body = {"text": "hear", "client_id": "a1"}
    for _ in range(2):
        assert await chat.call(chat.ada, "POST", "/announcements", body) == (204, "")
    assert [item["type"] for item in await chat.messages()] == ["announcement"]


async def test_reactions_without_a_socket_are_counted(chat: Chat, ports: ApiPorts) -> None:
    heard = Heard()
    live_id = parse_id(chat.live_id)
    assert live_id is not None
    async with run_client(ports.settings, heard, "edge-1") as edge:
        edge.open_room(live_id)
        await wait_until(lambda: bool(heard.opened))
        for mark in ("🔥", "🎉"):
            body = {"reaction": mark}
            assert await chat.call(chat.bob, "POST", "/reactions", body) == (204, "")
        wrong = {"reaction": "<b>"}
        assert (await chat.call(chat.bob, "POST", "/reactions", wrong))[0] == 422

        def count() -> dict[str, int]:
            shown = [data["counts"] for kind, data in heard.shown if kind == "reactions"]
            return dict(sum(map(Counter, shown), Counter()))

        await wait_until(lambda: count() == {"🔥": 1, "🎉": 1})


async def test_a_raid_that_is_repeated_soon_has_one_name_whenever_it_began(
    chat: Chat, database: Database
) -> None:
    """It had another one from the tenth minute on, and was told twice."""
    source, ada = uuid.UUID(chat.live_id), uuid.UUID(chat.ada.id)
    way, began = (source, uuid.UUID(int=1)), datetime(2026, 1, 1, 12, 9, 59, tzinfo=UTC)
    async with database.connection() as connection:
        first = await name_raid(connection, way, ada, began)
        await connection.execute(
            "INSERT INTO room_messages"
            " (room_id, seq, id, kind, user_id, client_id, body, created_at)"
            " VALUES ($1, 1, $1, 'raid', $2, $3, '{}', $4)",
            source,
            ada,
            first,
            began,
        )
        for passed_s in (0, 2, 599):
            again = await name_raid(connection, way, ada, began + timedelta(seconds=passed_s))
            assert again == first
        assert await name_raid(connection, way, ada, began + timedelta(seconds=601)) != first


async def test_announcements_are_entries_and_acts_are_on_record(
    chat: Chat, database: Database
) -> None:
    assert await chat.call(chat.bob, "POST", "/announcements", {"text": "hear"}) == (
        403,
        "room_rank_too_low",
    )
    assert await chat.call(chat.ada, "POST", "/announcements", {"text": "hear"}) == (204, "")
    await chat.call(chat.ada, "POST", "/bans", {"username": "bob", "reason": "spam"})
    assert [item["type"] for item in await chat.messages()] == ["announcement", "member_changed"]
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT action, subject, details FROM audit_entries ORDER BY at, id"
        )
    assert [(row["action"], row["subject"]) for row in rows] == [
        ("live.announce", f"live:{chat.live_id}"),
        ("live.ban", f"live:{chat.live_id}"),
    ]
    assert rows[1]["details"] == {"act": "ban", "person": "bob", "reason": "spam"}


async def test_a_raid_is_told_in_both_rooms_and_goes_on_air_only(
    chat: Chat, database: Database
) -> None:
    other = await chat.bob.post("/v1/live", {"title": "Next door"}, status=201)
    target = {"live_id": other["id"]}
    assert await chat.call(chat.ada, "POST", "/raid", target) == (409, "raid_target_unfit")
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE lives SET status = 'live', started_at = now() WHERE id = $1",
            parse_id(other["id"]),
        )
    assert await chat.call(chat.cyd, "POST", "/raid", target) == (403, "room_rank_too_low")
    assert await chat.call(chat.ada, "POST", "/raid", target) == (204, "")
    (gone,) = await chat.messages()
    assert (gone["type"], gone["data"]["target"]["title"]) == ("raid", "Next door")
    there = (await chat.cyd.get(f"/v1/live/{other['id']}/messages"))["items"]
    arrived = next(item for item in there if item["type"] == "raided")
    assert arrived["data"]["source"]["id"] == chat.live_id


async def test_a_private_lives_chat_is_nobody_elses(chat: Chat) -> None:
    live = await chat.ada.post("/v1/live", {"title": "M", "visibility": "private"}, status=201)
    chat.live_id = live["id"]
    for method, path, body in (
        ("GET", "/chat", None),
        ("POST", "/bans", {"username": "cyd"}),
        ("GET", "/held", None),
        ("POST", "/announcements", {"text": "x"}),
    ):
        assert await chat.call(chat.bob, method, path, body) == (404, "live_not_found")
