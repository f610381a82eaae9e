"""Calls the API in process, over its real database and cache, as one or several people."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from actors.hosting.directory import HostsAway
from actors.hosting.messages import ObjectFacts, Stored
from actors.job_runner.ports import JobPorts
from actors.live_room.entries import Speaker
from actors.live_room.health import HealthShown
from actors.live_room.messages import Membership
from serve_apps.http.state import ApiPorts
from serve_apps.runners import LISTENERS
from storage.events import claim_deliveries, mark_delivered, register_listeners
from storage.hosts import HostEntry
from tests.actors.user_session.people import HeardPeople

PASSWORD = "correct horse battery"


class RoomsWithoutLives:
    """Room commands where no live runs: remembers what it was asked for."""

    def __init__(self) -> None:
        self.ended: list[uuid.UUID] = []
        self.cut: list[uuid.UUID] = []
        self.moderated: list[tuple[uuid.UUID, Any]] = []

    async def end_live(self, room_id: uuid.UUID) -> None:
        """Remember the room."""
        self.ended.append(room_id)

    async def ask_health(self, _room_id: uuid.UUID) -> HealthShown:
        """Refuse: nobody owns the room."""
        raise HostsAway(retry_after_s=1)

    async def cut_publisher(self, room_id: uuid.UUID) -> None:
        """Remember the room."""
        self.cut.append(room_id)

    async def send_chat(
        self,
        _room_id: uuid.UUID,
        _speaker: Speaker,
        _client_id: str,
        _text: str,
        membership: Membership | None = None,
    ) -> Stored:
        """Refuse: nobody owns the room."""
        raise HostsAway(retry_after_s=1)

    async def move_room(self, _room_id: uuid.UUID, _host_id: str) -> None:
        """Refuse: nobody owns the room."""
        raise HostsAway(retry_after_s=1)

    async def survey(
        self, _host: HostEntry, *, after: uuid.UUID | None, limit: int
    ) -> list[ObjectFacts]:
        """Refuse: no host runs."""
        raise HostsAway(retry_after_s=1)

    async def moderate(self, room_id: uuid.UUID, command: Any) -> None:
        """Remember the command."""
        self.moderated.append((room_id, command))


def make_client(app: FastAPI, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """Return a client that calls the app without a socket."""
    transport = httpx.ASGITransport(app=app, client=(address, 40_000))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")


@dataclass
class Person:
    """Somebody logged in."""

    client: httpx.AsyncClient
    id: str
    username: str
    access_token: str
    refresh_token: str

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the API as this person."""
        headers = {"Authorization": f"Bearer {self.access_token}", **options.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> Any:
        """GET and return the JSON of a 200."""
        answer = await self.call("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        """POST and return the JSON of the expected status."""
        answer = await self.call("POST", path, json=body, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def write_post(self, text: str, **more: Any) -> Any:
        """Write a post and return it."""
        return await self.post("/v1/posts", {"text": text, **more}, status=201)


async def register(client: httpx.AsyncClient, username: str) -> Person:
    """Register somebody and return them logged in."""
    answer = await client.post(
        "/v1/auth/register",
        json={"username": username, "email": f"{username}@example.org", "password": PASSWORD},
    )
    assert answer.status_code == 201, answer.text
    body = answer.json()
    return Person(client, body["user"]["id"], username, body["access_token"], body["refresh_token"])


def make_job_ports(ports: ApiPorts, people: HeardPeople | None = None) -> JobPorts:
    """Return what handlers of jobs and events get, on the API's own ports."""
    return JobPorts(
        settings=ports.settings,
        database=ports.database,
        cache=ports.cache,
        objects=ports.objects,
        media=None,
        clock=ports.clock,
        people=people or HeardPeople(),
    )


async def deliver_all(ports: ApiPorts, people: HeardPeople | None = None) -> int:
    """Hand every due event to its listeners, as the runner would; return how many deliveries."""
    job_ports = make_job_ports(ports, people)
    handled = 0
    for name, listener in LISTENERS.items():
        async with ports.database.transaction() as connection:
            events = await claim_deliveries(connection, name, 1_000)
        for event in events:
            await listener.handle(job_ports, event)
            async with ports.database.transaction() as connection:
                await mark_delivered(connection, name, event.id)
            handled += 1
    return handled


async def register_all_listeners(ports: ApiPorts) -> None:
    """Register the social listeners in a fresh database."""
    async with ports.database.transaction() as connection:
        await register_listeners(
            connection, {name: listener.events for name, listener in LISTENERS.items()}
        )
