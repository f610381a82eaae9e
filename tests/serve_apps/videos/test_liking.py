"""Likes of videos: once each, counted at once, told to who watches and to whose it is."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from serve_apps.http.state import ApiPorts
from tests.actors.user_session.people import HeardPeople
from tests.serve_apps.api_client import Person, deliver_all, register
from tests.storage.video_rows import create_ready_video

pytestmark = pytest.mark.db


async def add_video(ports: ApiPorts, owner: Person, visibility: str = "public") -> str:
    async with ports.database.transaction() as connection:
        video_id = await create_ready_video(connection, uuid.UUID(owner.id), visibility=visibility)
    return f"/v1/videos/{video_id}"


async def test_a_like_counts_once_and_can_be_taken_back(
    client: httpx.AsyncClient, ada: Person, bob: Person, ports: ApiPorts
):
    video = await add_video(ports, ada)
    for _ in range(2):
        answer = await bob.post(f"{video}/like")
        assert (answer["liked"], answer["likes"]) == (True, 1)
    assert (await ada.post(f"{video}/like"))["likes"] == 2
    shown = await bob.get(video)
    assert (shown["likes"], shown["liked"]) == (2, True)
    stranger = (await client.get(video)).json()
    assert (stranger["likes"], stranger["liked"]) == (2, None)
    for _ in range(2):
        answer = (await bob.call("DELETE", f"{video}/like")).json()
        assert (answer["liked"], answer["likes"]) == (False, 1)
    assert (await bob.get(video))["liked"] is False
    assert (await client.post(f"{video}/like")).status_code == 401


async def insist(person: Person, path: str) -> None:
    """Ask again as people do while others hold the row for longer than an answer may wait."""
    async with asyncio.timeout(60):
        while (answer := await person.call("POST", path)).status_code == 503:
            await asyncio.sleep(0.05)
    assert answer.status_code == 200, answer.text


async def test_many_likes_at_once_end_in_the_true_number(
    client: httpx.AsyncClient, ada: Person, ports: ApiPorts
):
    video = await add_video(ports, ada)
    people = [await register(client, f"fan{number}") for number in range(6)]
    await asyncio.gather(*(insist(person, f"{video}/like") for person in people for _ in range(2)))
    assert (await ada.get(video))["likes"] == len(people)
    async with ports.database.connection() as connection:
        rows = await connection.fetchval("SELECT count(*) FROM video_likes")
    assert rows == len(people)


async def test_who_may_not_see_a_video_cannot_like_it(ada: Person, bob: Person, ports: ApiPorts):
    video = await add_video(ports, ada, "private")
    for method in ("POST", "DELETE"):
        answer = await bob.call(method, f"{video}/like")
        assert (answer.status_code, answer.json()["error"]) == (404, "video_not_found")
    assert (await ada.post(f"{video}/like"))["likes"] == 1


async def test_watchers_are_told_the_number(ada: Person, bob: Person, ports: ApiPorts, hear: Any):
    video = await add_video(ports, ada)
    async with hear(f"video:{video.rpartition('/')[2]}") as messages:
        await bob.post(f"{video}/like")
        await deliver_all(ports)
        await bob.call("DELETE", f"{video}/like")
        await deliver_all(ports)
        told = await messages(2)
    assert [(message.kind, message.data) for message in told] == [
        ("video_counters", {"likes": 1}),
        ("video_counters", {"likes": 0}),
    ]


async def test_the_owner_is_told_of_likes_and_comments_by_others(
    ada: Person, bob: Person, ports: ApiPorts
):
    people = HeardPeople()
    video = await add_video(ports, ada)
    for person in (ada, bob):
        await person.post(f"{video}/like")
        await person.post(f"{video}/comments", {"text": f"{person.username} says"}, status=201)
    await bob.call("DELETE", f"{video}/like")
    await bob.post(f"{video}/like")
    await deliver_all(ports, people)
    told = people.notices[uuid.UUID(ada.id)]
    assert sorted(kind for kind, _ in told) == ["comment", "like"]
    assert {(data["user"]["username"], data["video_id"]) for _, data in told} == {
        ("bob", video.rpartition("/")[2])
    }
    assert [data["text"] for kind, data in told if kind == "comment"] == ["bob says"]
    assert people.kinds(bob.id) == []
