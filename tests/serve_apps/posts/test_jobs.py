"""What follows posts and likes: each handler runs twice and leaves what once would."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from actors.job_runner.ports import JobPorts
from kit.events import Event, EventName
from serve_apps.http.state import ApiPorts
from serve_apps.posts import jobs
from serve_apps.users.jobs import fill_timeline
from storage.cache import Cache, Ephemeral, EphemeralBus
from storage.counters import recount_post
from tests.actors.user_session.people import HeardPeople
from tests.serve_apps.api_client import Person, register
from tests.storage.waiting import wait_for_followers

pytestmark = pytest.mark.db


@pytest.fixture
def job_ports(ports: ApiPorts) -> JobPorts:
    return JobPorts(
        settings=ports.settings,
        database=ports.database,
        cache=ports.cache,
        objects=ports.objects,
        media=None,
        clock=ports.clock,
        people=HeardPeople(),
    )


def make_event(name: EventName, subject: str, actor: str | None = None, **data: Any) -> Event:
    return Event(
        uuid.uuid4(),
        name,
        uuid.UUID(subject),
        uuid.UUID(actor) if actor else None,
        data,
        datetime(2026, 1, 1, tzinfo=UTC),
    )


async def count_timeline(ports: ApiPorts, person: Person) -> int:
    async with ports.database.connection() as connection:
        return int(
            await connection.fetchval(
                "SELECT count(*) FROM timelines WHERE user_id = $1", uuid.UUID(person.id)
            )
        )


async def test_fan_out_reaches_every_follower_once_over_several_batches(
    client: httpx.AsyncClient,
    ada: Person,
    ports: ApiPorts,
    job_ports: JobPorts,
    monkeypatch: pytest.MonkeyPatch,
):
    fans = [await register(client, f"fan_{number}") for number in range(5)]
    for fan in fans:
        await fan.post("/v1/users/ada/follow")
    post = await ada.write_post("hello")
    monkeypatch.setattr(jobs, "BATCH_READERS", 2)
    event = make_event(EventName.POST_CREATED, post["id"], ada.id)
    for _ in range(2):
        await jobs.fan_out_post(job_ports, event)
    assert [await count_timeline(ports, fan) for fan in fans] == [1] * 5


async def test_fan_out_leaves_private_and_deleted_posts_alone(
    ada: Person, bob: Person, ports: ApiPorts, job_ports: JobPorts
):
    await bob.post("/v1/users/ada/follow")
    private = await ada.write_post("secret", visibility="private")
    deleted = await ada.write_post("oops")
    await ada.call("DELETE", f"/v1/posts/{deleted['id']}")
    for post in (private, deleted):
        await jobs.fan_out_post(job_ports, make_event(EventName.POST_CREATED, post["id"], ada.id))
    assert await count_timeline(ports, bob) == 0


async def test_a_post_that_a_follow_could_not_see_arrives_by_its_event(
    ada: Person, bob: Person, ports: ApiPorts, job_ports: JobPorts
):
    await bob.post("/v1/users/ada/follow")
    await ada.write_post("written while the follow committed")
    event = make_event(EventName.USER_FOLLOWED, ada.id, bob.id)
    for _ in range(2):
        await fill_timeline(job_ports, event)
    assert await count_timeline(ports, bob) == 1
    await bob.call("DELETE", "/v1/users/ada/follow")
    await fill_timeline(job_ports, event)
    assert await count_timeline(ports, bob) == 0


async def test_a_fan_out_beside_an_unfollow_leaves_no_row_behind(
    ada: Person, bob: Person, ports: ApiPorts, job_ports: JobPorts
):
    for _ in range(5):
        await bob.post("/v1/users/ada/follow")
        post = await ada.write_post("racing")
        event = make_event(EventName.POST_CREATED, post["id"], ada.id)
        await asyncio.gather(
            jobs.fan_out_post(job_ports, event), bob.call("DELETE", "/v1/users/ada/follow")
        )
        assert await count_timeline(ports, bob) == 0


async def test_likes_are_counted_and_told_to_those_who_look(
    ada: Person, bob: Person, ports: ApiPorts, job_ports: JobPorts, cache_url: str
):
    post = await ada.write_post("like me")
    heard: asyncio.Queue[Ephemeral] = asyncio.Queue()
    bus = EphemeralBus(cache_url, heard.put_nowait)
    bus.subscribe([f"post:{post['id']}"])
    bus.start()
    try:
        await bob.post(f"/v1/posts/{post['id']}/like")
        comment = await bob.post(f"/v1/posts/{post['id']}/comments", {"text": "hi"}, status=201)
        async with asyncio.timeout(60):
            await wait_for_followers(ports.cache, f"post:{post['id']}")
            for _ in range(2):
                await jobs.count_likes(
                    job_ports, make_event(EventName.POST_LIKED, post["id"], bob.id)
                )
            event = make_event(
                EventName.POST_COMMENTED, post["id"], bob.id, comment_id=comment["id"]
            )
            await jobs.count_likes(job_ports, event)
            messages = [await heard.get() for _ in range(3)]
    finally:
        await bus.close()
    assert [message.kind for message in messages] == ["post_counters"] * 3
    assert messages[2].data == {"likes": 1, "comments": 1}


async def test_many_counts_at_once_end_in_the_true_number(
    client: httpx.AsyncClient, ada: Person, ports: ApiPorts
):
    post = await ada.write_post("popular")
    fans = [await register(client, f"fan_{number}") for number in range(4)]

    async def like_and_count(fan: Person) -> None:
        await fan.post(f"/v1/posts/{post['id']}/like")
        async with ports.database.transaction() as connection:
            await recount_post(connection, uuid.UUID(post["id"]))

    await asyncio.gather(*(like_and_count(fan) for fan in fans))
    assert (await ada.get(f"/v1/posts/{post['id']}"))["counters"]["likes"] == 4


async def test_valkey_away_loses_the_hint_and_keeps_the_count(
    ada: Person, bob: Person, ports: ApiPorts, job_ports: JobPorts
):
    post = await ada.write_post("like me")
    await bob.post(f"/v1/posts/{post['id']}/like")
    away = Cache("redis://127.0.0.1:1")
    await away.open()
    lonely = dataclasses.replace(job_ports, cache=away)
    await jobs.count_likes(lonely, make_event(EventName.POST_LIKED, post["id"], bob.id))
    assert away.counters.failures == 1
    await away.close()
    assert (await ada.get(f"/v1/posts/{post['id']}"))["counters"]["likes"] == 1
