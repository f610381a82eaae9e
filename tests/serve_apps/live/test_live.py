"""Lives over the API: announcing, keys, lists, history, and where WHIP and WHEP are sent."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from actors.hosting.client import ObjectUnanswered
from actors.live_room.messages import RaidArrive, RaidStart
from kit.clock import ManualClock
from kit.ids import make_id
from serve_apps.access.grants import TicketKind, read_ticket
from serve_apps.access.stream_keys import KEY_CLAIM
from serve_apps.http.state import ApiPorts
from storage.database import Database
from storage.edges import register_edge, renew_edge
from storage.lives import mark_stream_key
from tests.serve_apps.api_client import Person, RoomsWithoutLives

pytestmark = pytest.mark.db

EDGE_URL = "http://localhost:8001"


@pytest.fixture
async def edge(database: Database) -> tuple[str, int, int]:
    """Lend a living edge's name."""
    async with database.connection() as connection:
        incarnation = await register_edge(
            connection, node="here", slot=0, url=EDGE_URL, candidates=[]
        )
        named = ("here", 0, incarnation)
        await renew_edge(connection, named, state="live", load=0, ttl_s=60)
    return named


async def put_on_air(database: Database, live_id: str, edge: tuple[str, int, int]) -> None:
    """Write what a room's host writes when media arrives."""
    origin = {"edge": EDGE_URL, "node": edge[0], "slot": edge[1], "incarnation": edge[2]}
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE lives SET status = 'live', started_at = now(), origin = $2 WHERE id = $1",
            uuid.UUID(live_id),
            origin,
        )


async def call_whip(client: httpx.AsyncClient, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/sdp"}
    return await client.post("/whip", headers=headers, content="v=0")


def find_ticket(answer: httpx.Response) -> str:
    return parse_qs(urlsplit(answer.headers["Location"]).query)["ticket"][0]


async def test_a_fresh_live_shows_its_key_once(ada: Person, client: httpx.AsyncClient) -> None:
    live = await ada.post("/v1/live", {"title": "Night drive"}, status=201)
    assert live["status"] == "created"
    assert live["stream_key"].startswith("live_")
    assert live["ingest"]["whip"].endswith("/whip")
    assert live["chat"]["channel"] == f"room:{live['id']}"
    again = await ada.get(f"/v1/live/{live['id']}")
    assert "stream_key" not in again
    assert (await client.get("/v1/live")).json()["items"] == []
    assert [item["id"] for item in (await ada.get("/v1/live/mine"))["items"]] == [live["id"]]


async def test_the_running_list_holds_public_lives_on_air(
    ada: Person, client: httpx.AsyncClient, database: Database, edge: tuple[str, int, int]
) -> None:
    shown = await ada.post("/v1/live", {"title": "Shown"}, status=201)
    hidden = await ada.post("/v1/live", {"title": "Hidden", "visibility": "unlisted"}, status=201)
    for live in (shown, hidden):
        await put_on_air(database, live["id"], edge)
    items = (await client.get("/v1/live")).json()["items"]
    assert [item["id"] for item in items] == [shown["id"]]
    assert (await client.get(f"/v1/live/{hidden['id']}")).status_code == 200


async def test_a_private_live_is_not_there_for_others(ada: Person, bob: Person) -> None:
    live = await ada.post("/v1/live", {"title": "Mine", "visibility": "private"}, status=201)
    for path in ("", "/messages"):
        answer = await bob.call("GET", f"/v1/live/{live['id']}{path}")
        assert (answer.status_code, answer.json()["error"]) == (404, "live_not_found")
    assert (await bob.call("POST", f"/v1/live/{live['id']}/end")).status_code == 404


async def test_whip_with_a_good_key_goes_to_an_edge_with_a_ticket(
    ada: Person, client: httpx.AsyncClient, ports: ApiPorts, edge: tuple[str, int, int]
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    answer = await call_whip(client, live["stream_key"])
    assert answer.status_code == 307
    assert answer.headers["Location"].startswith(f"{EDGE_URL}/whip?ticket=")
    now = ports.clock.now()
    key = ports.settings.auth.grant_public_key
    ticket = read_ticket(key, find_ticket(answer), TicketKind.WHIP, EDGE_URL, now)
    assert (str(ticket.resource), str(ticket.subject)) == (live["id"], ada.id)
    assert ticket.claims == {KEY_CLAIM: mark_stream_key(live["stream_key"])}


async def test_whip_with_a_bad_replaced_or_missing_key_is_401(
    ada: Person, client: httpx.AsyncClient, ports: ApiPorts, edge: tuple[str, int, int]
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    fresh = await ada.post(f"/v1/live/{live['id']}/key")
    assert isinstance(ports.rooms, RoomsWithoutLives)
    assert ports.rooms.cut == [uuid.UUID(live["id"])]
    assert fresh["stream_key"] != live["stream_key"]
    for key in ("wrong", live["stream_key"], ""):
        answer = await call_whip(client, key)
        assert (answer.status_code, answer.json()["error"]) == (401, "stream_key_invalid")
    assert (await call_whip(client, fresh["stream_key"])).status_code == 307


async def test_a_revoked_key_opens_nothing_until_another_one_is_made(
    ada: Person,
    bob: Person,
    client: httpx.AsyncClient,
    ports: ApiPorts,
    edge: tuple[str, int, int],
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    path = f"/v1/live/{live['id']}/key"
    assert (await bob.call("DELETE", path)).status_code == 403
    assert (await call_whip(client, live["stream_key"])).status_code == 307
    assert (await ada.call("DELETE", path)).status_code == 204
    assert (await ada.call("DELETE", path)).status_code == 204
    assert isinstance(ports.rooms, RoomsWithoutLives)
    assert ports.rooms.cut == [uuid.UUID(live["id"])] * 2
    answer = await call_whip(client, live["stream_key"])
    assert (answer.status_code, answer.json()["error"]) == (401, "stream_key_invalid")
    fresh = await ada.post(path)
    assert (await call_whip(client, fresh["stream_key"])).status_code == 307


async def test_an_owner_is_told_how_the_key_ends_and_that_there_is_none(
    ada: Person, bob: Person, database: Database
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    path = f"/v1/live/{live['id']}/key"
    shown = {"hint": live["stream_key"][-4:], "ingest": live["ingest"]}
    assert await ada.get(path) == shown
    refused = await bob.call("GET", path)
    assert (refused.status_code, refused.json()["error"]) == (403, "permission_denied")
    fresh = await ada.post(path)
    assert await ada.get(path) == {**shown, "hint": fresh["stream_key"][-4:]}
    assert (await ada.call("DELETE", path)).status_code == 204
    assert await ada.get(path) == {**shown, "hint": None}
    await ada.post(path)
    async with database.connection() as connection:
        await connection.execute("UPDATE lives SET status = 'ended'")
    assert await ada.get(path) == {**shown, "hint": None}
    assert (await ada.call("DELETE", path)).json()["error"] == "live_ended"


async def test_whip_without_any_edge_is_503_and_an_ended_live_409(
    ada: Person, client: httpx.AsyncClient, database: Database
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    answer = await call_whip(client, live["stream_key"])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    async with database.connection() as connection:
        await connection.execute("UPDATE lives SET status = 'ended'")
    assert (await call_whip(client, live["stream_key"])).status_code == 409


async def test_a_publisher_comes_back_to_the_edge_it_left(
    ada: Person, client: httpx.AsyncClient, database: Database, edge: tuple[str, int, int]
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    await put_on_air(database, live["id"], edge)
    async with database.connection() as connection:
        await renew_edge(connection, edge, state="live", load=0.9, ttl_s=60)
        other = await register_edge(
            connection, node="here", slot=1, url="http://localhost:8011", candidates=[]
        )
        await renew_edge(connection, ("here", 1, other), state="live", load=0, ttl_s=60)
        await connection.execute("UPDATE lives SET status = 'interrupted'")
    answer = await call_whip(client, live["stream_key"])
    assert answer.headers["Location"].startswith(EDGE_URL)
    async with database.connection() as connection:
        await connection.execute("UPDATE lives SET status = 'live'")
    # Nobody has noticed yet that its edge, or the way there, is silent: its encoder has.
    answer = await call_whip(client, live["stream_key"])
    assert answer.headers["Location"].startswith("http://localhost:8011/whip")
    headers = {"Authorization": f"Bearer {live['stream_key']}"}
    answer = await client.post("/whip", params={"avoid": EDGE_URL}, headers=headers)
    assert answer.headers["Location"].startswith("http://localhost:8011/whip")
    # Viewers go where there is room, or to any other edge than the one that failed them.
    for load, url in ((0.9, "http://localhost:8011"), (0.05, EDGE_URL)):
        async with database.connection() as connection:
            await renew_edge(connection, edge, state="live", load=load, ttl_s=60)
        answer = await client.post(f"/whep/{live['id']}")
        assert answer.headers["Location"].startswith(f"{url}/whep/")
        answer = await client.get(f"/live/{live['id']}/index.m3u8")
        assert answer.headers["Location"].startswith(f"{url}/live/")
    answer = await client.post(f"/whep/{live['id']}", params={"avoid": EDGE_URL})
    assert answer.headers["Location"].startswith("http://localhost:8011/whep/")
    answer = await client.post(f"/v1/live/{live['id']}/join", params={"avoid": EDGE_URL})
    assert answer.json()["chat"]["socket"].startswith("ws://localhost:8011/")
    assert answer.json()["playback"]["hls"].startswith("http://localhost:8011/live/")


async def test_whep_goes_to_the_origin_and_says_why_not(
    ada: Person,
    bob: Person,
    client: httpx.AsyncClient,
    database: Database,
    ports: ApiPorts,
    edge: tuple[str, int, int],
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    assert (await client.post(f"/whep/{make_id()}")).status_code == 404
    answer = await client.post(f"/whep/{live['id']}")
    assert (answer.status_code, answer.json()["error"]) == (409, "live_not_on_air")
    await put_on_air(database, live["id"], edge)
    answer = await bob.call("POST", f"/whep/{live['id']}")
    assert answer.status_code == 307
    assert answer.headers["Location"].startswith(f"{EDGE_URL}/whep/{live['id']}?ticket=")
    now = ports.clock.now()
    key = ports.settings.auth.grant_public_key
    ticket = read_ticket(key, find_ticket(answer), TicketKind.WHEP, EDGE_URL, now)
    assert str(ticket.subject) == bob.id
    assert ticket.claims["session"]
    async with database.connection() as connection:
        await renew_edge(connection, edge, state="gone", load=0, ttl_s=60)
    answer = await client.post(f"/whep/{live['id']}")
    assert (answer.status_code, answer.json()["error"]) == (503, "no_edge"), "it is on air"
    assert answer.headers["Retry-After"] == "2"


async def test_hls_goes_to_the_edge_with_the_right_in_the_address(
    ada: Person,
    bob: Person,
    client: httpx.AsyncClient,
    database: Database,
    edge: tuple[str, int, int],
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    path = f"/live/{live['id']}/index.m3u8"
    assert live["playback"]["hls"].endswith(path)
    await put_on_air(database, live["id"], edge)
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (307, EDGE_URL + path)
    assert answer.headers["Cache-Control"] == "no-store"
    joined = (await client.post(f"/v1/live/{live['id']}/join")).json()
    assert joined["playback"]["hls"] == EDGE_URL + path
    joined = await bob.post(f"/v1/live/{live['id']}/join")  # to be counted as himself
    assert joined["playback"]["hls"].startswith(f"{EDGE_URL}/t/")

    await ada.call("PATCH", f"/v1/live/{live['id']}", json={"visibility": "private"})
    assert (await bob.call("GET", path)).status_code == 404
    answer = await ada.call("GET", path)
    assert answer.headers["Location"].startswith(f"{EDGE_URL}/t/")
    assert answer.headers["Location"].endswith(path)


async def test_join_names_the_socket_of_an_edge(
    ada: Person, client: httpx.AsyncClient, edge: tuple[str, int, int]
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    answer = (await client.post(f"/v1/live/{live['id']}/join")).json()
    assert answer["chat"] == {"socket": "ws://localhost:8001/ws", "channel": f"room:{live['id']}"}
    assert answer["ticket"]


async def test_only_the_owner_ends_a_live(ada: Person, bob: Person, ports: ApiPorts) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    assert (await bob.call("POST", f"/v1/live/{live['id']}/end")).status_code == 403
    await ada.post(f"/v1/live/{live['id']}/end")
    assert [str(room_id) for room_id in ports.rooms.ended] == [live["id"]]


async def test_the_owner_hides_a_live_and_takes_it_away(
    ada: Person, bob: Person, ports: ApiPorts
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    path = f"/v1/live/{live['id']}"
    refused = await bob.call("PATCH", path, json={"visibility": "private"})
    assert refused.status_code == 403
    renamed = await ada.call("PATCH", path, json={"title": "Evening drive"})
    assert (renamed.json()["title"], renamed.json()["visibility"]) == ("Evening drive", "public")
    hidden = await ada.call("PATCH", path, json={"visibility": "private"})
    assert (hidden.json()["title"], hidden.json()["visibility"]) == ("Evening drive", "private")
    assert (await bob.call("GET", path)).status_code == 404
    assert (await bob.call("DELETE", path)).status_code == 404
    assert (await ada.call("DELETE", path)).status_code == 204
    assert [str(room_id) for room_id in ports.rooms.ended] == [live["id"]]
    assert (await ada.call("GET", path)).status_code == 404


async def test_history_pages_from_the_newest_as_the_socket_shows_it(
    ada: Person, client: httpx.AsyncClient, database: Database
) -> None:
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    async with database.connection() as connection:
        for seq in range(1, 4):
            await connection.execute(
                "INSERT INTO room_messages"
                " (room_id, seq, id, kind, user_id, client_id, body, created_at)"
                " VALUES ($1, $2, $3, 'chat_message', $4, $5, $6, now())",
                uuid.UUID(live["id"]),
                seq,
                make_id(),
                uuid.UUID(ada.id),
                f"c{seq}",
                {"text": str(seq), "user": {"id": ada.id, "username": "ada", "display_name": ""}},
            )
    path = f"/v1/live/{live['id']}/messages"
    first = (await client.get(path, params={"limit": 2})).json()
    assert [item["offset"] for item in first["items"]] == [3, 2]
    assert first["items"][0]["data"]["client_id"] == "c3"
    assert first["items"][0]["data"]["room"] == live["id"]
    rest = (await client.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["data"]["text"] for item in rest["items"]] == ["1"]
    assert rest["next_cursor"] is None
    assert (await client.get(path, params={"cursor": "nonsense"})).status_code == 422


async def test_too_many_open_lives_are_refused(ada: Person) -> None:
    for _ in range(20):
        await ada.post("/v1/live", {"title": "T"}, status=201)
    answer = await ada.call("POST", "/v1/live", json={"title": "T"})
    assert (answer.status_code, answer.json()["error"]) == (409, "too_many_lives")


async def test_a_live_is_scheduled_listed_until_it_begins_and_its_time_changed(
    ada: Person,
    bob: Person,
    client: httpx.AsyncClient,
    database: Database,
    edge: tuple[str, int, int],
    ports: ApiPorts,
) -> None:
    now = ports.clock.now()

    def at(**ahead: float) -> str:
        return (now + timedelta(**ahead)).isoformat()

    async def announce(by: Person, title: str, when: str, **more: str) -> str:
        body = {"title": title, "scheduled_at": when, **more}
        live = await by.post("/v1/live", body, status=201)
        assert live["status"] == "scheduled"
        return str(live["id"])

    async def titles(person: Person | None = None, **query: str) -> list[str]:
        path = "/v1/live?" + urlencode({"state": "scheduled", **query})
        page = (await client.get(path)).json() if person is None else await person.get(path)
        return [item["title"] for item in page["items"]]

    late = await announce(ada, "Late", at(days=3))
    await announce(bob, "Soon", at(hours=2))
    await announce(ada, "Own", at(days=1), visibility="private")
    assert await titles() == ["Soon", "Late"]
    assert await titles(ada) == ["Soon", "Own", "Late"]
    assert await titles(owner="ADA") == ["Late"]
    first = (await client.get("/v1/live?state=scheduled&limit=1")).json()
    assert await titles(limit="1", cursor=first["next_cursor"]) == ["Late"]
    assert (await client.get("/v1/live")).json()["items"] == []

    path = f"/v1/live/{late}"
    for when in (at(seconds=0), at(days=400)):
        for method, where in (("POST", "/v1/live"), ("PATCH", path)):
            body = {"title": "T", "scheduled_at": when}
            answer = await ada.call(method, where, json=body)
            assert (answer.status_code, answer.json()["error"]) == (409, "schedule_unfit")
    naive = {"title": "T", "scheduled_at": "2026-01-01T10:00:00"}
    assert (await ada.call("POST", "/v1/live", json=naive)).status_code == 422
    assert (await bob.call("PATCH", path, json={"scheduled_at": None})).status_code == 403
    assert (await ada.call("PATCH", path, json={"title": "Later"})).json()["scheduled_at"]
    await ada.call("PATCH", path, json={"scheduled_at": at(hours=1)})
    assert await titles() == ["Later", "Soon"]
    assert (await ada.call("PATCH", path, json={"scheduled_at": None})).json()[
        "status"
    ] == "created"
    assert await titles() == ["Soon"]
    await ada.call("PATCH", path, json={"scheduled_at": at(hours=1)})
    await put_on_air(database, late, edge)
    assert await titles() == ["Soon"]
    assert [item["id"] for item in (await client.get("/v1/live?owner=ada")).json()["items"]] == [
        late
    ]
    assert (await client.get("/v1/live?owner=bob")).json()["items"] == []
    answer = await ada.call("PATCH", path, json={"scheduled_at": at(hours=1)})
    assert (answer.status_code, answer.json()["error"]) == (409, "live_begun")


async def test_a_live_that_did_not_come_leaves_the_list_and_a_cancelled_one_at_once(
    ada: Person, client: httpx.AsyncClient, ports: ApiPorts, clock: ManualClock
) -> None:
    soon = (ports.clock.now() + timedelta(minutes=5)).isoformat()
    lives = [
        await ada.post("/v1/live", {"title": title, "scheduled_at": soon}, status=201)
        for title in ("Missed", "Cancelled")
    ]
    assert (await ada.call("DELETE", f"/v1/live/{lives[1]['id']}")).status_code == 204

    async def list_titles() -> list[str]:
        items = (await client.get("/v1/live?state=scheduled")).json()["items"]
        return [item["title"] for item in items]

    assert await list_titles() == ["Missed"]
    clock.advance(3600)
    assert await list_titles() == ["Missed"]
    clock.advance(600)
    assert await list_titles() == []


class HalfReached(RoomsWithoutLives):
    """Rooms of which the raided one does not answer at first."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, set[str]] = {}

    async def moderate(self, room_id: uuid.UUID, command: Any) -> None:
        """Remember under which ids each room was told."""
        is_first = not self.moderated
        self.moderated.append((room_id, command))
        if isinstance(command, RaidArrive) and len(self.moderated) == 2:
            raise ObjectUnanswered
        assert is_first or isinstance(command, RaidStart | RaidArrive)
        self.told.setdefault(str(room_id), set()).add(command.client_id)


async def test_a_raid_that_reached_one_room_alone_is_completed_by_asking_again(
    app: FastAPI, ada: Person, bob: Person, ports: ApiPorts
):
    rooms = HalfReached()
    app.state.ports = dataclasses.replace(ports, rooms=rooms)
    source = (await ada.post("/v1/live", {"title": "from"}, status=201))["id"]
    target = (await bob.post("/v1/live", {"title": "to"}, status=201))["id"]
    async with ports.database.connection() as connection:
        await connection.execute(
            "UPDATE lives SET status = 'live' WHERE id = $1", uuid.UUID(target)
        )
    body = {"live_id": target}
    assert (await ada.call("POST", f"/v1/live/{source}/raid", json=body)).status_code == 503
    assert set(rooms.told) == {source}
    assert (await ada.call("POST", f"/v1/live/{source}/raid", json=body)).status_code == 204
    (once,) = rooms.told[source]
    assert rooms.told[target] == {once}, "each room knows it under one id, and tells it once"
