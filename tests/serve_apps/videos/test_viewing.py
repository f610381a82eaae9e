"""Views and analytics over the API: told by players, summed up by day, read by the owner."""

from __future__ import annotations

import csv
import dataclasses
import io
import uuid
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from kit.clock import ManualClock
from serve_apps.http.state import ApiPorts
from serve_apps.videos.jobs import sum_up_day
from serve_apps.videos.viewing_service import SUM_UP_JOB, SumUpJob
from storage.jobs import count_jobs
from tests.serve_apps.api_client import Person, make_client, make_job_ports
from tests.storage.video_rows import create_ready_video

pytestmark = pytest.mark.db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


@pytest.fixture
async def video(ada: Person, ports: ApiPorts) -> str:
    """Lend a video of ada's, a hundred seconds long."""
    async with ports.database.transaction() as connection:
        return str(await create_ready_video(connection, uuid.UUID(ada.id)))


async def tell(person: Person | httpx.AsyncClient, video: str, **told: Any) -> bool:
    """Send a beacon as a player does; says whether it is a view."""
    agent = {"User-Agent": told.pop("agent", FIREFOX)}
    body = {"session": str(uuid.uuid4()), "watched_ms": 0, "parts": [], **told}
    path = f"/v1/videos/{video}/watch"
    if isinstance(person, Person):
        answer = await person.call("POST", path, json=body, headers=agent)
    else:
        answer = await person.post(path, json=body, headers=agent)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["view"])


async def sum_up(ports: ApiPorts, video: str, day: date | None = None) -> None:
    payload = msgspec.json.encode(SumUpJob(uuid.UUID(video), day or ports.clock.now().date()))
    for _ in range(2):
        await sum_up_day(make_job_ports(ports), payload)


async def watch(person: Person | httpx.AsyncClient, video: str, clock: ManualClock) -> None:
    """Watch half a minute in a session of its own, which is a view."""
    session = str(uuid.uuid4())
    assert not await tell(person, video, session=session)
    clock.advance(30)
    assert await tell(person, video, session=session, watched_ms=30_000)


async def test_a_view_takes_half_a_minute_and_does_not_repeat_within_half_an_hour(
    client: httpx.AsyncClient,
    ada: Person,
    bob: Person,
    video: str,
    ports: ApiPorts,
    clock: ManualClock,
):
    for person, agent in ((ada, FIREFOX), (bob, "Googlebot/2.1"), (bob, "")):
        unseen = str(uuid.uuid4())
        await tell(person, video, session=unseen, agent=agent)
        clock.advance(60)
        assert not await tell(person, video, session=unseen, watched_ms=60_000, agent=agent)
    session = str(uuid.uuid4())
    assert not await tell(client, video, session=session, watched_ms=10_000)
    assert not await tell(client, video, session=session, watched_ms=90_000)
    clock.advance(20)
    assert await tell(client, video, session=session, watched_ms=30_000)
    assert await tell(client, video, session=session, watched_ms=31_000)
    again = str(uuid.uuid4())
    for wait_s in (0, 20, 1_800):
        clock.advance(wait_s)
        assert not await tell(client, video, session=again, watched_ms=30_000)
    await watch(client, video, clock)
    await sum_up(ports, video)
    seen = (await client.get(f"/v1/videos/{video}")).json()
    assert seen["views"] == 2


async def test_a_session_begun_as_a_repeat_is_no_view_when_its_tab_is_closed_later(
    client: httpx.AsyncClient, video: str, ports: ApiPorts, clock: ManualClock
):
    await watch(client, video, clock)
    again = str(uuid.uuid4())
    clock.advance(20 * 60)
    assert not await tell(client, video, session=again)
    clock.advance(30)
    for _ in range(2):
        assert not await tell(client, video, session=again, watched_ms=30_000)
        clock.advance(31 * 60)
    assert not await tell(client, video, session=again, watched_ms=120_000)
    await sum_up(ports, video)
    assert (await client.get(f"/v1/videos/{video}")).json()["views"] == 1


async def test_a_repeat_across_midnight_is_no_view(
    client: httpx.AsyncClient, video: str, clock: ManualClock
):
    """One session of the day before is counted on it, the other after midnight."""
    midnight = datetime.combine(clock.now().date() + timedelta(days=1), time(), UTC)
    clock.advance((midnight - clock.now()).total_seconds() - 300)
    await watch(client, video, clock)
    clock.advance(600)
    again = str(uuid.uuid4())
    for wait_s in (0, 60):
        clock.advance(wait_s)
        assert not await tell(client, video, session=again, watched_ms=30_000)
    other, late = "CUBOT X30", str(uuid.uuid4())
    clock.advance(86_400 - 660)
    assert not await tell(client, video, session=late, agent=other)
    clock.advance(600)
    assert await tell(client, video, session=late, agent=other, watched_ms=30_000)
    clock.advance(29 * 60)
    again = str(uuid.uuid4())
    for wait_s in (0, 60):
        clock.advance(wait_s)
        told = {"session": again, "watched_ms": 30_000, "agent": other}
        assert not await tell(client, video, **told)


async def test_a_beacon_tells_no_more_waiting_and_hundredths_than_time_passed(
    client: httpx.AsyncClient, ada: Person, video: str, ports: ApiPorts, clock: ManualClock
):
    session, every = str(uuid.uuid4()), list(range(100))
    for _ in range(2):
        await tell(client, video, session=session, stalled_ms=86_000_000, parts=every)
    await sum_up(ports, video)
    found = await ada.get(f"/v1/videos/{video}/analytics")
    assert found["retention"] == [1.0] * 40 + [0.0] * 60
    clock.advance(10)
    told = {"watched_ms": 20_000, "stalled_ms": 86_000_000, "parts": every}
    await tell(client, video, session=session, **told)
    await sum_up(ports, video)
    found = await ada.get(f"/v1/videos/{video}/analytics")
    assert found["retention"] == [1.0] * 60 + [0.0] * 40
    assert found["experience"]["stalled_share"] == 1.5


async def test_the_owner_reads_what_players_told(
    client: httpx.AsyncClient,
    ada: Person,
    bob: Person,
    video: str,
    ports: ApiPorts,
    clock: ManualClock,
):
    ids = [str(uuid.uuid4()) for _ in range(2)]
    qoe = {"start_ms": 500, "stalls": 2, "stalled_ms": 3_000, "switches": 1}
    for person, session, source in (
        (bob, ids[0], "home"),
        (client, ids[1], "direct"),
    ):
        await tell(person, video, session=session, source=source)
    clock.advance(30)
    for _ in range(2):
        await tell(bob, video, session=ids[0], watched_ms=30_000, parts=[0, 1], **qoe)
    await tell(bob, video, session=ids[0], watched_ms=5_000, parts=[2])
    await tell(client, video, session=ids[1], watched_ms=30_000, parts=[0], start_ms=700)
    async with ports.database.connection() as connection:
        assert (await count_jobs(connection)).queued == 1, "one job per minute"
    await sum_up(ports, video)
    found = await ada.get(f"/v1/videos/{video}/analytics", params={"days": 2})
    assert (found["views"], found["sessions"], found["watched_ms"]) == (2, 2, 60_000)
    assert [day["views"] for day in found["days"]] == [0, 2]
    assert found["retention"][:4] == [1.0, 0.5, 0.5, 0.0]
    assert len(found["retention"]) == 100
    assert (found["sources"], found["devices"]) == ({"home": 1, "direct": 1}, {"computer": 2})
    assert (found["watching_now"], found["countries"]) == (2, {})
    assert found["experience"] == {
        "start_ms": 600,
        "stalled_share": 0.05,
        "stalls": 1.0,
        "switches": 0.5,
    }
    table = await ada.call("GET", f"/v1/videos/{video}/analytics.csv", params={"days": 2})
    assert table.headers["Content-Type"].startswith("text/csv")
    rows = [tuple(row.values()) for row in csv.DictReader(io.StringIO(table.text))]
    assert [row[2:4] for row in rows[:2]] == [("0", "0.0"), ("2", "60.0")]
    assert [row[:3] for row in rows[2:4]] == [
        ("retention", "0 %", "1.0"),
        ("retention", "1 %", "0.5"),
    ]
    assert rows[-1] == ("device", "computer", "2", "", "", "", "")
    clock.advance(31)
    assert (await ada.get(f"/v1/videos/{video}/analytics"))["watching_now"] == 0
    for name in ("analytics", "analytics.csv"):
        refused = await bob.call("GET", f"/v1/videos/{video}/{name}")
        assert (refused.status_code, refused.json()["error"]) == (403, "permission_denied")


async def wait_days(clock: ManualClock, days: int, *people: Person) -> None:
    """Let days go by; whoever is named logs in again."""
    clock.advance(86_400 * days)
    for person in people:
        given = {"refresh_token": person.refresh_token}
        answer = await person.client.post("/v1/auth/refresh", json=given)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        person.access_token, person.refresh_token = body["access_token"], body["refresh_token"]


async def share(person: Person | httpx.AsyncClient, video: str, agent: str = FIREFOX) -> None:
    path, headers = f"/v1/videos/{video}/share", {"User-Agent": agent}
    if isinstance(person, Person):
        answer = await person.call("POST", path, headers=headers)
    else:
        answer = await person.post(path, headers=headers)
    assert answer.status_code == 204, answer.text


async def test_the_owner_reads_likes_comments_and_shares_by_day(
    client: httpx.AsyncClient,
    ada: Person,
    bob: Person,
    video: str,
    ports: ApiPorts,
    clock: ManualClock,
):
    """Ada's own sharing, a bot's, and bob's second on a day are none."""
    path = f"/v1/videos/{video}"
    await bob.post(f"{path}/like")
    await ada.post(f"{path}/like")
    written = await bob.post(f"{path}/comments", {"text": "well done"}, status=201)
    await ada.post(f"{path}/comments", {"text": "thanks", "reply_to": written["id"]}, status=201)
    for person in (bob, bob, client, ada):
        await share(person, video)
    await share(client, video, agent="Googlebot/2.1")
    await sum_up(ports, video)
    first_day = ports.clock.now().date()
    await wait_days(clock, 1, ada, bob)
    await share(bob, video)
    await sum_up(ports, video)
    found = await ada.get(f"{path}/analytics", params={"days": 2})
    assert [(it["likes"], it["comments"], it["shares"]) for it in found["days"]] == [
        (2, 2, 2),
        (0, 0, 1),
    ]
    assert (found["likes"], found["comments"], found["shares"]) == (2, 2, 3)
    assert (found["views"], found["sessions"]) == (0, 0)
    assert (await bob.call("DELETE", f"{path}/like")).status_code == 200
    assert (await bob.call("DELETE", f"/v1/comments/{written['id']}")).status_code == 204
    await sum_up(ports, video, first_day)
    table = await ada.call("GET", f"{path}/analytics.csv", params={"days": 2})
    rows = [tuple(row.values()) for row in csv.DictReader(io.StringIO(table.text))]
    assert [row[4:] for row in rows[:2]] == [("1", "0", "2"), ("0", "0", "1")]


async def test_a_like_taken_back_has_the_day_it_was_given_on_counted_again(
    bob: Person, video: str, ports: ApiPorts, clock: ManualClock
):
    given_on = ports.clock.now().date()
    for method in ("POST", "DELETE"):
        assert (await bob.call(method, f"/v1/videos/{video}/like")).status_code == 200
        await wait_days(clock, 1, bob)
    async with ports.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT payload FROM pgqueuer WHERE entrypoint = $1 ORDER BY id", SUM_UP_JOB
        )
    days = [msgspec.json.decode(row["payload"], type=SumUpJob).day for row in rows]
    assert days == [given_on, given_on]


async def test_shares_outlast_their_rows(
    bob: Person, ada: Person, video: str, ports: ApiPorts, clock: ManualClock
):
    shared_on = ports.clock.now().date()
    await share(bob, video)
    await sum_up(ports, video)
    await wait_days(clock, 5, ada)
    for _ in range(2):
        await sum_up(ports, video, shared_on)
    async with ports.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM video_shares") == 0
    found = await ada.get(f"/v1/videos/{video}/analytics", params={"days": 7})
    assert found["shares"] == 1


async def test_the_owner_reads_from_which_countries_a_video_is_watched(
    app: FastAPI, ada: Person, video: str, ports: ApiPorts, clock: ManualClock
):
    """Two German addresses, a French one, and one of a private network, which lies nowhere."""
    places = ("194.25.0.60", "2003:0:1::1", "193.252.19.3", "10.0.0.7")
    watching = {address: str(uuid.uuid4()) for address in places}
    early = str(uuid.uuid4())
    async with make_client(app, "194.25.0.61") as viewer:
        await tell(viewer, video, session=early)
    assert app.state.countries.wait_loaded(60)
    for address, session in (*watching.items(), ("194.25.0.61", early)):
        async with make_client(app, address) as viewer:
            await tell(viewer, video, session=session)
    await sum_up(ports, video)
    found = await ada.get(f"/v1/videos/{video}/analytics")
    assert (found["sessions"], found["countries"]) == (5, {"DE": 3, "FR": 1})
    table = await ada.call("GET", f"/v1/videos/{video}/analytics.csv")
    rows = [tuple(row.values()) for row in csv.DictReader(io.StringIO(table.text))]
    assert [row[:3] for row in rows[-2:]] == [("country", "DE", "3"), ("country", "FR", "1")]
    async with ports.database.connection() as connection:
        kept = await connection.fetch("SELECT to_jsonb(s)::text AS row FROM watch_sessions s")
    assert not any(address in row["row"] for row in kept for address in places)


async def test_viewers_behind_a_trusted_proxy_are_told_apart_and_lie_where_they_do(
    app: FastAPI, ada: Person, video: str, ports: ApiPorts, clock: ManualClock
):
    """Two German addresses and a French one; what a peer that nobody trusts says is not read."""
    http = dataclasses.replace(ports.settings.http, trusted_proxies=("10.0.0.0/8",))
    settings = dataclasses.replace(ports.settings, http=http)
    app.state.ports = dataclasses.replace(ports, settings=settings)
    assert app.state.countries.wait_loaded(60)
    callers = [("10.0.0.1", place) for place in ("194.25.0.60", "2003:0:1::1", "193.252.19.3")]
    callers.append(("10.0.0.1", "1.1.1.1, 194.25.0.60, 10.0.0.2"))
    callers += [("8.8.8.8", place) for place in ("194.25.0.62", "193.252.19.4")]
    sessions = [str(uuid.uuid4()) for _ in callers]
    views = []
    for watched_ms in (0, 30_000):
        clock.advance(watched_ms // 1000)
        for (peer, forwarded), session in zip(callers, sessions, strict=True):
            async with make_client(app, peer) as viewer:
                viewer.headers["X-Forwarded-For"] = forwarded
                views.append(await tell(viewer, video, session=session, watched_ms=watched_ms))
    assert views[len(callers) :] == [True, True, True, False, True, False]
    await sum_up(ports, video)
    found = await ada.get(f"/v1/videos/{video}/analytics")
    assert (found["views"], found["countries"]) == (4, {"DE": 3, "US": 2, "FR": 1})


async def test_what_no_player_says_is_refused(bob: Person, ada: Person, ports: ApiPorts):
    async with ports.database.transaction() as connection:
        owner = uuid.UUID(ada.id)
        hidden = await create_ready_video(connection, owner, visibility="private")
        shown = await create_ready_video(connection, owner)
    good = {"session": str(uuid.uuid4()), "watched_ms": 1, "parts": [5]}
    answer = await bob.call("POST", f"/v1/videos/{hidden}/watch", json=good)
    assert (answer.status_code, answer.json()["error"]) == (404, "video_not_found")
    for change in (
        {"parts": [100]},
        {"parts": [1] * 101},
        {"watched_ms": -1},
        {"watched_ms": 1 << 40},
        {"source": "elsewhere"},
        {"stalls": 1 << 40},
        {"session": "x"},
    ):
        answer = await bob.call("POST", f"/v1/videos/{shown}/watch", json=good | change)
        assert answer.status_code == 422, change
