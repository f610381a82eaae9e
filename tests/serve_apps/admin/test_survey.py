"""Rooms and hosts as an administrator sees them, with a real host behind."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid

import pytest

from actors.hosting.shell import HostShell
from actors.live_room.entries import Speaker
from kit.settings import Settings
from serve_apps.access.identity import Role
from serve_apps.admin import service
from serve_apps.api.app import build_app
from serve_apps.hosting import KINDS
from serve_apps.http.state import ApiPorts, HostAway
from tests.actors.hosting.stage import Heard, run_client, run_host
from tests.serve_apps.api_client import PASSWORD, Person, make_client

pytestmark = pytest.mark.db


@pytest.fixture
async def admin(ports: ApiPorts, ada: Person) -> Person:
    """Lend an administrator."""
    async with ports.database.transaction() as connection:
        await service.change_role(connection, None, "ada", Role.ADMIN, ports.clock.now())
    login = {"login": "ada", "password": PASSWORD}
    body = (await ada.client.post("/v1/auth/login", json=login)).json()
    return Person(ada.client, ada.id, "ada", body["access_token"], body["refresh_token"])


async def test_placed_rooms_are_listed_with_their_host_and_rates(
    admin: Person, bob: Person, settings: Settings
):
    lives = [await bob.post("/v1/live", {"title": f"Night {n}"}, status=201) for n in range(3)]
    assert (await admin.get("/v1/admin/rooms"))["items"] == []
    async with run_host(settings), run_client(settings, Heard()) as edge:
        for live in lives:
            edge.open_room(uuid.UUID(live["id"]))
        async with asyncio.timeout(60):
            while len((await admin.get("/v1/admin/rooms"))["items"]) < 3:
                await asyncio.sleep(0.05)
        [host] = (await admin.get("/v1/admin/hosts"))["items"]
        assert (host["state"], host["objects"]["room"]) == ("live", 3)
        assert host["lease_left_s"] > 0
        first = await admin.get(f"/v1/admin/rooms?limit=2&host={host['id']}")
        rest = await admin.get(f"/v1/admin/rooms?limit=2&cursor={first['next_cursor']}")
        rooms = first["items"] + rest["items"]
        assert [room["title"] for room in rooms] == ["Night 2", "Night 1", "Night 0"]
        assert {(room["owner"], room["host"], room["is_owned"]) for room in rooms} == {
            ("bob", host["id"], True)
        }
        assert {room["incarnation"] for room in rooms} == {host["incarnation"]}
        assert rest["next_cursor"] is None
        assert (await admin.get("/v1/admin/rooms?host=host-99"))["items"] == []


async def test_rooms_and_hosts_are_for_administrators(bob: Person):
    for path in ("/v1/admin/rooms", "/v1/admin/hosts"):
        assert (await bob.call("GET", path)).status_code == 403


async def test_a_cursor_of_another_list_is_refused(admin: Person):
    refused = await admin.call("GET", "/v1/admin/rooms?cursor=WyJ4Il0")
    assert (refused.status_code, refused.json()["error"]) == (422, "cursor_malformed")


async def test_a_room_moves_to_the_host_that_was_chosen_and_its_followers_miss_nothing(
    ports: ApiPorts, admin: Person, bob: Person, settings: Settings
):
    live = await bob.post("/v1/live", {"title": "Night drive"}, status=201)
    room_id = uuid.UUID(live["id"])
    heard = Heard()
    async with (
        run_host(settings, "host-0"),
        run_host(settings, "host-1"),
        run_client(settings, heard) as edge,
        run_client(settings, name="api-0", role="api") as rooms,
    ):
        moving = build_app(dataclasses.replace(ports, rooms=rooms))
        speaker = Speaker(uuid.UUID(bob.id), "bob", "Bob")
        edge.open_room(room_id)
        await edge.send_chat(room_id, speaker, "c1", "before")
        [before] = (await admin.get("/v1/admin/rooms"))["items"]
        target = {"host-0": "host-1", "host-1": "host-0"}[before["host"]]
        async with make_client(moving) as client:
            mover = dataclasses.replace(admin, client=client)
            path = f"/v1/admin/rooms/{room_id}/move"
            await mover.post(path, {"host": target}, status=204)
            [after] = (await admin.get("/v1/admin/rooms"))["items"]
            assert (after["host"], after["is_owned"]) == (target, True)
            stored = await edge.send_chat(room_id, speaker, "c2", "after")
            assert stored.seq == 2
            async with asyncio.timeout(60):
                while len(heard.seqs(room_id)) < 2:
                    await asyncio.sleep(0.02)
            assert heard.seqs(room_id) == [1, 2]
            away = await mover.call("POST", path, json={"host": "host-9"})
            assert (away.status_code, away.json()["error"]) == (409, "target_away")
            nowhere = await mover.call(
                "POST", f"/v1/admin/rooms/{uuid.uuid4()}/move", json={"host": target}
            )
            assert (nowhere.status_code, nowhere.json()["error"]) == (404, "live_not_found")
            assert (await bob.call("POST", path, json={"host": target})).status_code == 403
        moving.state.passwords.close()
    acts = (await admin.get("/v1/admin/audit"))["items"]
    asked = [act["details"]["host"] for act in acts if act["action"] == "room.move"]
    assert asked == ["host-9", target]


class HostsAtHand:
    """Hosts of this process by name, for the commands that Ray carries otherwise."""

    def __init__(self, **hosts: HostShell) -> None:
        self.hosts = {name.replace("_", "-"): host for name, host in hosts.items()}

    async def drain(self, host_id: str) -> None:
        if host_id not in self.hosts:
            raise HostAway
        await self.hosts[host_id].drain(5.0)

    async def resume(self, host_id: str) -> None:
        if host_id not in self.hosts:
            raise HostAway
        await self.hosts[host_id].start()

    async def is_resting(self, host_id: str) -> bool:
        host = self.hosts.get(host_id)
        return host is not None and host.describe()["health"] == "drained"


async def list_resting(admin: Person) -> list[str]:
    """Return the hosts that can be brought back."""
    listed = await admin.get("/v1/admin/hosts")
    return [host["id"] for host in listed["items"] if host["is_resting"]]


async def test_a_drained_host_hands_its_rooms_over_and_comes_back(
    ports: ApiPorts, admin: Person, bob: Person, settings: Settings
):
    live = await bob.post("/v1/live", {"title": "Night drive"}, status=201)
    room_id, heard = uuid.UUID(live["id"]), Heard()
    shells = [HostShell(name, KINDS, settings) for name in ("host-0", "host-1")]
    await asyncio.gather(*(shell.start() for shell in shells))
    hosts = HostsAtHand(host_0=shells[0], host_1=shells[1])
    commanding = build_app(dataclasses.replace(ports, hosts=hosts))
    async with run_client(settings, heard) as edge, make_client(commanding) as client:
        speaker = Speaker(uuid.UUID(bob.id), "bob", "Bob")
        edge.open_room(room_id)
        await edge.send_chat(room_id, speaker, "c1", "before")
        [room] = (await admin.get("/v1/admin/rooms"))["items"]
        target = {"host-0": "host-1", "host-1": "host-0"}[room["host"]]
        chief = dataclasses.replace(admin, client=client)
        path = f"/v1/admin/hosts/{room['host']}/drain"
        assert (await bob.call("POST", path)).status_code == 403
        await chief.post(path, {}, status=204)
        [moved] = (await admin.get("/v1/admin/rooms"))["items"]
        assert (moved["host"], moved["is_owned"]) == (target, True)
        assert (await edge.send_chat(room_id, speaker, "c2", "after")).seq == 2
        states = {
            host["id"]: host["state"] for host in (await admin.get("/v1/admin/hosts"))["items"]
        }
        assert states == {target: "live", room["host"]: "fenced"}
        assert await list_resting(chief) == [room["host"]]
        assert await list_resting(admin) == []  # an API that reaches no host
        last = await chief.call("POST", f"/v1/admin/hosts/{target}/drain")
        assert (last.status_code, last.json()["error"]) == (409, "last_host")
        nowhere = await chief.call("POST", "/v1/admin/hosts/host-9/drain")
        assert (nowhere.status_code, nowhere.json()["error"]) == (404, "host_not_found")
        assert (await chief.call("DELETE", path)).status_code == 204
        back = {host["id"]: host["state"] for host in (await admin.get("/v1/admin/hosts"))["items"]}
        assert set(back.values()) == {"live"}
        away = await admin.call("POST", path)  # an API that reaches no host
        assert (away.status_code, away.json()["error"]) == (503, "host_away")
    commanding.state.passwords.close()
    await asyncio.gather(*(shell.drain(5.0) for shell in shells))
    acts = [act for act in (await admin.get("/v1/admin/audit"))["items"] if "host" in act["action"]]
    assert [(act["action"], act["subject"]) for act in acts[::-1]] == [
        ("host.drain", f"host:{room['host']}"),
        ("host.resume", f"host:{room['host']}"),
        ("host.drain", f"host:{room['host']}"),
    ]


async def test_a_host_is_asked_what_it_runs_a_page_at_a_time(
    ports: ApiPorts, admin: Person, bob: Person, settings: Settings
):
    lives = [await bob.post("/v1/live", {"title": f"Night {n}"}, status=201) for n in range(3)]
    room_ids = sorted(uuid.UUID(live["id"]) for live in lives)
    speaker = Speaker(uuid.UUID(bob.id), "bob", "Bob")
    async with (
        run_host(settings, "host-0"),
        run_client(settings, Heard()) as edge,
        run_client(settings, name="api-0", role="api") as rooms,
    ):
        for room_id in room_ids:
            edge.open_room(room_id)
            await edge.send_chat(room_id, speaker, "c1", "hello")
        asking = build_app(dataclasses.replace(ports, rooms=rooms))
        async with make_client(asking) as client:
            chief = dataclasses.replace(admin, client=client)
            first = await chief.get("/v1/admin/hosts/host-0/rooms?limit=2")
            rest = await chief.get(
                f"/v1/admin/hosts/host-0/rooms?limit=2&cursor={first['next_cursor']}"
            )
            nobody = await chief.call("GET", "/v1/admin/hosts/host-9/rooms")
        asking.state.passwords.close()
        away = await admin.call("GET", "/v1/admin/hosts/host-0/rooms")  # reaches no host
    found = first["items"] + rest["items"]
    assert [room["id"] for room in found] == [str(room_id) for room_id in room_ids]
    assert {(room["head"], room["followers"], room["mailbox"]) for room in found} == {(1, 1, 0)}
    assert rest["next_cursor"] is None
    assert (nobody.status_code, nobody.json()["error"]) == (404, "host_not_found")
    assert (away.status_code, away.json()["error"]) == (503, "host_away")
    assert (await bob.call("GET", "/v1/admin/hosts/host-0/rooms")).status_code == 403
