"""Who is told of what: the events in, the notices out, each once however often it is delivered."""

from __future__ import annotations

import uuid

import httpx
import pytest

from kit.events import EventName
from kit.ids import make_id
from serve_apps.followers import TOLD_AT_ONCE
from serve_apps.http.state import ApiPorts
from serve_apps.videos.publishing import tell_published
from storage.events import append_event
from tests.actors.user_session.people import HeardPeople
from tests.serve_apps.api_client import Person, deliver_all, register, register_all_listeners
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.video_rows import create_ready_video

pytestmark = pytest.mark.db


@pytest.fixture
async def people(ports: ApiPorts) -> HeardPeople:
    await register_all_listeners(ports)
    return HeardPeople()


async def start_live(ports: ApiPorts, owner: Person, visibility: str = "public") -> uuid.UUID:
    async with ports.database.transaction() as connection:
        room_id = await create_room_row(connection, uuid.UUID(owner.id))
        await connection.execute(
            "UPDATE lives SET status = 'live', visibility = $2 WHERE id = $1", room_id, visibility
        )
        await append_event(
            connection,
            EventName.STREAM_STARTED,
            subject_id=room_id,
            actor_id=uuid.UUID(owner.id),
        )
    return room_id


async def test_a_new_follower_is_told_of_once_a_day(
    ada: Person, bob: Person, ports: ApiPorts, people: HeardPeople
) -> None:
    await bob.post("/v1/users/ada/follow")
    await bob.call("DELETE", "/v1/users/ada/follow")
    await bob.post("/v1/users/ada/follow")
    await deliver_all(ports, people)
    ((kind, data),) = people.notices[uuid.UUID(ada.id)]
    assert (kind, data["user"]["username"], data["user"]["id"]) == ("follow", "bob", bob.id)
    assert people.kinds(bob.id) == []


async def test_an_author_is_told_of_likes_and_comments_by_others(
    ada: Person, bob: Person, ports: ApiPorts, people: HeardPeople
) -> None:
    post = await ada.write_post("hello")
    path = f"/v1/posts/{post['id']}"
    for person in (ada, bob):
        await person.call("POST", f"{path}/like")
        await person.post(f"{path}/comments", {"text": f"{person.username} says"}, status=201)
    await bob.post(f"{path}/comments", {"text": "x" * 1000}, status=201)
    await deliver_all(ports, people)
    assert sorted(people.kinds(ada.id)) == ["comment", "comment", "like"]
    told = [data for _kind, data in people.notices[uuid.UUID(ada.id)]]
    assert {data["user"]["username"] for data in told} == {"bob"}
    assert {data["post_id"] for data in told} == {post["id"]}
    assert [len(data["text"]) for data in told if "text" in data] == [len("bob says"), 200]


async def test_followers_are_told_that_a_live_began_and_nobody_else(
    ada: Person, bob: Person, ports: ApiPorts, people: HeardPeople
) -> None:
    async with ports.database.transaction() as connection:
        fans = [
            await create_user_row(connection, f"fan_{number}") for number in range(TOLD_AT_ONCE + 1)
        ]
        await connection.execute(
            "INSERT INTO follows (follower_id, followee_id) SELECT unnest($1::uuid[]), $2",
            fans,
            uuid.UUID(ada.id),
        )
    live_id = await start_live(ports, ada)
    await deliver_all(ports, people)
    for fan in fans:
        ((kind, data),) = people.notices[fan]
        assert (kind, data["live_id"], data["user"]["username"]) == ("live", str(live_id), "ada")
    assert people.kinds(bob.id) == people.kinds(ada.id) == []


async def test_what_is_for_subscribers_is_told_to_them_and_not_to_followers(
    ada: Person, bob: Person, client: httpx.AsyncClient, ports: ApiPorts, people: HeardPeople
) -> None:
    carol = await register(client, "carol")
    await bob.post("/v1/users/ada/follow")
    await ada.call("PUT", "/v1/subscribers/carol", json={})
    await start_live(ports, ada, "subscribers")
    async with ports.database.transaction() as connection:
        owner_id = uuid.UUID(ada.id)
        video_id = await create_ready_video(connection, owner_id, visibility="subscribers")
        await tell_published(connection, video_id)
    await deliver_all(ports, people)
    assert sorted(people.kinds(carol.id)) == ["live", "subscription", "video"]
    assert people.kinds(bob.id) == []


@pytest.mark.parametrize(
    ("visibility", "is_told"),
    [("public", True), ("followers", True), ("unlisted", False), ("private", False)],
)
async def test_a_live_that_is_not_for_followers_is_not_told_of(
    ada: Person,
    bob: Person,
    ports: ApiPorts,
    people: HeardPeople,
    visibility: str,
    *,
    is_told: bool,
) -> None:
    await bob.post("/v1/users/ada/follow")
    await start_live(ports, ada, visibility)
    await deliver_all(ports, people)
    assert ("live" in people.kinds(bob.id)) is is_told


async def test_an_account_that_is_gone_is_neither_told_nor_told_of(
    ada: Person, bob: Person, ports: ApiPorts, people: HeardPeople
) -> None:
    await bob.post("/v1/users/ada/follow")
    async with ports.database.connection() as connection:
        await connection.execute(
            "UPDATE users SET deleted_at = now() WHERE id = $1", uuid.UUID(bob.id)
        )
    async with ports.database.transaction() as connection:
        await append_event(
            connection,
            EventName.USER_FOLLOWED,
            subject_id=make_id(),
            actor_id=uuid.UUID(ada.id),
        )
    await deliver_all(ports, people)
    assert people.notices == {}
