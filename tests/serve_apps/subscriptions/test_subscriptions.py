"""Subscriptions over the API: given, listed, ended by their owner and by their time."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from serve_apps.http.state import ApiPorts
from serve_apps.runners import HANDLERS
from serve_apps.subscriptions.jobs import expire_subscription
from serve_apps.subscriptions.service import EXPIRE_JOB, GIFTS_MAX, ExpireJob
from tests.actors.user_session.people import HeardPeople
from tests.serve_apps.api_client import Person, deliver_all, make_job_ports, register

pytestmark = pytest.mark.db


def in_s(seconds: float) -> str:
    """Write a time by the database's clock, which runs as this machine's does."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def give(owner: Person, username: str, until: str | None = None) -> httpx.Response:
    return await owner.call("PUT", f"/v1/subscribers/{username}", json={"until": until})


async def list_names(person: Person, path: str) -> list[str]:
    return [item["user"]["username"] for item in (await person.get(path))["items"]]


async def test_an_owner_gives_lists_and_ends_a_subscription_which_the_other_sees(
    ada: Person, bob: Person
):
    given = (await give(ada, "Bob", in_s(3600))).json()
    assert (given["user"]["username"], given["source"]) == ("bob", "gift")
    assert given["until"] > given["since"]
    assert await list_names(ada, "/v1/subscribers") == ["bob"]
    assert await list_names(bob, "/v1/subscriptions") == ["ada"]
    assert await list_names(bob, "/v1/subscribers") == []
    assert (await bob.get("/v1/users/ada"))["is_subscribed"] is True
    assert (await ada.get("/v1/users/bob"))["is_subscribed"] is False
    longer = (await give(ada, "bob")).json()
    assert (longer["until"], longer["since"]) == (None, given["since"])
    for _ in range(2):
        assert (await ada.call("DELETE", "/v1/subscribers/bob")).status_code == 204
    assert await list_names(ada, "/v1/subscribers") == []
    assert (await bob.get("/v1/users/ada"))["is_subscribed"] is False


async def test_lists_page_without_repeating_or_skipping(ada: Person, client: httpx.AsyncClient):
    names = [f"fan{number}" for number in range(5)]
    for name in names:
        await register(client, name)
        await give(ada, name)
    first = await ada.get("/v1/subscribers", params={"limit": 3})
    rest = await ada.get("/v1/subscribers", params={"limit": 3, "cursor": first["next_cursor"]})
    found = [item["user"]["username"] for item in first["items"] + rest["items"]]
    assert (found, rest["next_cursor"]) == (names[::-1], None)


@pytest.mark.parametrize(
    ("username", "until", "status", "code"),
    [
        ("ada", None, 409, "cannot_subscribe_to_yourself"),
        ("ghost", None, 404, "user_not_found"),
        ("bob", in_s(-1), 409, "subscription_end_unfit"),
        ("bob", in_s(4_000 * 86_400), 409, "subscription_end_unfit"),
        ("bob", "2026-01-01T00:00:00", 422, "malformed_request"),
    ],
)
@pytest.mark.usefixtures("bob")
async def test_a_gift_that_cannot_be_is_refused(
    ada: Person, username: str, until: str | None, status: int, code: str
):
    answer = await give(ada, username, until)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert await list_names(ada, "/v1/subscribers") == []


async def test_a_channel_gives_so_many_and_no_more(ada: Person, bob: Person, ports: ApiPorts):
    async with ports.database.transaction() as connection:
        await connection.execute(
            """WITH fans AS (
                   INSERT INTO users (id, username, email, password_hash)
                   SELECT gen_random_uuid(), 'fan' || n, n || '@example.org', ''
                     FROM generate_series(1, $2::int) AS n RETURNING id)
               INSERT INTO subscriptions (id, channel_id, subscriber_id, source, since)
               SELECT gen_random_uuid(), $1, id, 'gift', now() FROM fans""",
            uuid.UUID(ada.id),
            GIFTS_MAX,
        )
    refused = await give(ada, bob.username)
    assert (refused.status_code, refused.json()["error"]) == (409, "too_many_gifts")
    assert await list_names(bob, "/v1/subscriptions") == []
    assert (await give(ada, "fan1", in_s(60))).is_success, "an end of one that is there can move"


async def test_strangers_neither_list_nor_give(client: httpx.AsyncClient):
    for method, path in (
        ("GET", "/v1/subscribers"),
        ("GET", "/v1/subscriptions"),
        ("PUT", "/v1/subscribers/bob"),
        ("DELETE", "/v1/subscribers/bob"),
    ):
        assert (await client.request(method, path, json={})).status_code == 401, path


async def test_a_subscriber_is_told_once_however_often_it_is_given(
    ada: Person, bob: Person, ports: ApiPorts
):
    people, until = HeardPeople(), in_s(3600)
    for _ in range(2):
        await give(ada, "bob", until)
        await deliver_all(ports, people)
        await ada.call("DELETE", "/v1/subscribers/bob")
    ((kind, data),) = people.notices[uuid.UUID(bob.id)]
    assert (kind, data["user"]["username"]) == ("subscription", "ada")
    assert data["until"][:19] == until[:19]


async def test_a_subscription_whose_time_is_over_is_ended_by_its_job_once(
    ada: Person, bob: Person, ports: ApiPorts
):
    assert EXPIRE_JOB in HANDLERS
    over = ExpireJob(uuid.UUID(ada.id), uuid.UUID(bob.id))
    job_ports, payload = make_job_ports(ports), msgspec.json.encode(over)
    await give(ada, "bob", in_s(3600))
    await expire_subscription(job_ports, payload)
    assert await list_names(ada, "/v1/subscribers") == ["bob"], "its time has not come"
    async with ports.database.transaction() as connection:
        delay_s = await connection.fetchval(
            "SELECT extract(epoch FROM execute_after - now()) FROM pgqueuer WHERE entrypoint = $1",
            EXPIRE_JOB,
        )
        await connection.execute(
            "UPDATE subscriptions SET since = now() - interval '2 s', until = now()"
        )
    assert 3_500 < delay_s <= 3_600
    for _ in range(2):
        await expire_subscription(job_ports, payload)
    async with ports.database.connection() as connection:
        ended = await connection.fetchval(
            "SELECT count(*) FROM events WHERE name = 'subscription.ended'"
        )
    assert ended == 1
    assert await list_names(bob, "/v1/subscriptions") == []
