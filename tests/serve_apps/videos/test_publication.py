"""Publication at a chosen time: hidden until then, listed from then, told of once."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from actors.job_runner.runner import JobRunner, RunnerOptions
from kit.cursors import encode_cursor
from kit.ids import make_id
from serve_apps.access.identity import Identity, Role
from serve_apps.http.state import ApiPorts
from serve_apps.videos.arrivals import UploadWordsInvalid, open_file
from serve_apps.videos.jobs import (
    HANDLERS,
    finish_processing,
    publish_video,
    withdraw_video,
)
from serve_apps.videos.publishing import PUBLISH_JOB, PublicationUnfit, PublishJob
from storage import videos
from storage.uploads import NewFile
from tests.actors.user_session.people import HeardPeople
from tests.serve_apps.api_client import Person, deliver_all, make_job_ports
from tests.storage.video_rows import create_ready_video

pytestmark = pytest.mark.db

FAST = RunnerOptions(poll_every_s=0.2)


def in_s(seconds: float) -> str:
    """Return a time from now as the API takes it; publication goes by the database's clock."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def add_video(ports: ApiPorts, owner: Person, visibility: str = "private") -> str:
    async with ports.database.transaction() as connection:
        return str(await create_ready_video(connection, uuid.UUID(owner.id), visibility=visibility))


async def put(owner: Person, video: str, at: str | None, **more: Any) -> Any:
    answer = await owner.call("PUT", f"/v1/videos/{video}/publication", json={"at": at, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def reach_its_time(ports: ApiPorts, video: str) -> None:
    """Let the time of a video have come by now."""
    async with ports.database.transaction() as connection:
        await connection.execute(
            "UPDATE videos SET publish_at = now() WHERE id = $1", uuid.UUID(video)
        )


async def run_job(ports: ApiPorts, video: str) -> None:
    payload = msgspec.json.encode(PublishJob(uuid.UUID(video)))
    await publish_video(make_job_ports(ports), payload)


@dataclass(frozen=True)
class Around:
    """A public video of the same channel, and somebody's public playlist."""

    seed: str
    playlist: str


async def list_places(
    client: httpx.AsyncClient, reader: Person, video: str, around: Around
) -> set[str]:
    """Return where somebody comes across a video."""
    lists = {
        "playlist": f"/v1/playlists/{around.playlist}/videos",
        "videos": "/v1/videos",
        "channel": "/v1/users/ada/videos",
        "related": f"/v1/videos/{around.seed}/related",
        "posts": "/v1/users/ada/posts",
    }
    found = set()
    for name, path in lists.items():
        if video in str(await reader.get(path)):
            found.add(name)
    page = f"http://localhost:8000/watch/{video}"
    alone = {
        "itself": await reader.call("GET", f"/v1/videos/{video}"),
        "embed": await client.get("/v1/oembed", params={"url": page}),
    }
    found |= {name for name, answer in alone.items() if answer.status_code == 200}
    if video in (await client.get("/u/ada/feed.xml")).text:
        found.add("feed")
    return found


async def test_until_its_time_only_its_owner_sees_a_video_then_everybody(
    client: httpx.AsyncClient, ada: Person, bob: Person, ports: ApiPorts
):
    seed, video = [await add_video(ports, ada, "public") for _ in range(2)]
    listed = {"title": "Mornings", "visibility": "public"}
    around = Around(seed, (await bob.post("/v1/playlists", listed, status=201))["id"])
    placed = await bob.call("PUT", f"/v1/playlists/{around.playlist}/videos/{video}", json={})
    assert placed.status_code == 200, placed.text
    await ada.write_post("soon", video_ids=[video])
    at = in_s(3600)
    waiting = await put(ada, video, at, visibility="public")
    assert waiting["visibility"] == "private"
    assert waiting["publication"]["visibility"] == "public"
    assert datetime.fromisoformat(waiting["publication"]["at"]) == pytest.approx(
        datetime.fromisoformat(at), abs=timedelta(milliseconds=1)
    )
    assert await list_places(client, bob, video, around) == set()
    own = {"itself", "playlist", "channel", "posts"}
    assert await list_places(client, ada, video, around) == own
    await run_job(ports, video)
    assert await list_places(client, bob, video, around) == set(), "a job that comes early waits"
    await reach_its_time(ports, video)
    await run_job(ports, video)
    everywhere = own | {"videos", "related", "embed", "feed"}
    assert await list_places(client, bob, video, around) == everywhere
    shown = await bob.get(f"/v1/videos/{video}")
    assert (shown["visibility"], shown["publication"]) == ("public", None)


async def test_lists_place_a_video_at_its_publication_page_by_page(
    client: httpx.AsyncClient, ada: Person, ports: ApiPorts
):
    first = await add_video(ports, ada)
    others = [await add_video(ports, ada, "public") for _ in range(3)]
    await put(ada, first, None)
    expected = [first, *reversed(others)]
    for path in ("/v1/videos", "/v1/users/ada/videos"):
        seen, cursor = [], None
        while len(seen) < 10:
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = await ada.get(path, params=query)
            seen += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == expected
        old = await client.get(path, params={"cursor": encode_cursor(others[0])})
        assert (old.status_code, old.json()["error"]) == (422, "cursor_malformed")
    own = await ada.get("/v1/videos", params={"owner": "me"})
    assert [item["id"] for item in own["items"]] == [*reversed(others), first]
    feed = (await client.get("/u/ada/feed.xml")).text
    assert [feed.index(video) for video in expected] == sorted(map(feed.index, expected))


@pytest.mark.parametrize("visibility", ["followers", "subscribers"])
async def test_those_it_is_for_are_told_at_its_time_once_however_often_it_is_tried(
    ada: Person, bob: Person, ports: ApiPorts, visibility: str
):
    people = HeardPeople()
    if visibility == "followers":
        await bob.post("/v1/users/ada/follow")
    else:
        await ada.call("PUT", "/v1/subscribers/bob", json={})
    video = await add_video(ports, ada)
    await put(ada, video, in_s(3600), visibility=visibility)
    await deliver_all(ports, people)
    assert "video" not in people.kinds(bob.id)
    await reach_its_time(ports, video)
    await asyncio.gather(*(run_job(ports, video) for _ in range(3)))
    await deliver_all(ports, people)
    async with ports.database.transaction() as connection:
        await connection.execute(
            "UPDATE event_deliveries SET delivered_at = NULL, not_before = now()"
            " WHERE listener = 'videos.tell_followers'"
        )
    await deliver_all(ports, people)
    await ada.call("PATCH", f"/v1/videos/{video}", json={"visibility": "private"})
    await put(ada, video, None, visibility="public")
    await deliver_all(ports, people)
    told = [data for kind, data in people.notices[uuid.UUID(bob.id)] if kind == "video"]
    assert [(data["video_id"], data["user"]["username"]) for data in told] == [(video, "ada")]


async def test_a_video_that_is_not_ready_at_its_time_is_told_of_when_it_is(
    ada: Person, bob: Person, ports: ApiPorts
):
    people = HeardPeople()
    await bob.post("/v1/users/ada/follow")
    body = {"title": "A walk", "filename": "a.mp4", "size_bytes": 100, "publish_at": in_s(3600)}
    created = await ada.post("/v1/videos", body, status=201)
    video = created["id"]
    assert (await ada.get(f"/v1/videos/{video}"))["publication"]["visibility"] == "public"
    await reach_its_time(ports, video)
    await run_job(ports, video)
    await deliver_all(ports, people)
    assert people.kinds(bob.id) == []
    async with ports.database.transaction() as connection:
        await videos.queue_video(connection, uuid.UUID(video))
        await videos.start_processing(connection, uuid.UUID(video))
    await finish_processing(make_job_ports(ports), uuid.UUID(video))
    await deliver_all(ports, people)
    assert people.kinds(bob.id) == ["video"]


async def test_the_owner_moves_cancels_or_publishes_now(ada: Person, bob: Person, ports: ApiPorts):
    video = await add_video(ports, ada, "public")
    path = f"/v1/videos/{video}"
    await put(ada, video, in_s(60))
    assert (await bob.call("GET", path)).status_code == 404
    for body in ({"visibility": "public"}, {"title": "Now?", "visibility": "unlisted"}):
        refused = await ada.call("PATCH", path, json=body)
        assert (refused.status_code, refused.json()["error"]) == (409, "video_scheduled")
    kept = await ada.call("PATCH", path, json={"title": "Soon", "visibility": "private"})
    assert kept.json()["title"] == "Soon"
    await reach_its_time(ports, video)
    await put(ada, video, in_s(120))
    await run_job(ports, video)
    assert (await bob.call("GET", path)).status_code == 404, "the job of the time before"
    for _ in range(2):
        assert (await ada.call("DELETE", f"{path}/publication")).status_code == 204
    cancelled = await ada.get(path)
    assert (cancelled["visibility"], cancelled["publication"]) == ("private", None)
    await put(ada, video, in_s(120))
    published = await put(ada, video, None, visibility="unlisted")
    assert (published["visibility"], published["publication"]) == ("unlisted", None)
    assert (await bob.get(path))["title"] == "Soon"


async def test_a_time_that_does_not_fit_is_refused_and_changes_nothing(
    ada: Person, bob: Person, ports: ApiPorts
):
    video = await add_video(ports, ada, "public")
    path = f"/v1/videos/{video}/publication"
    unfit: list[dict[str, Any]] = [
        {"at": in_s(-1)},
        {"at": in_s(367 * 86_400)},
        {"at": in_s(60), "visibility": "private"},
        {"visibility": "private"},
    ]
    for body in unfit:
        answer = await ada.call("PUT", path, json=body)
        assert (answer.status_code, answer.json()["error"]) == (409, "publication_unfit")
    zoneless = await ada.call("PUT", path, json={"at": "2026-12-01T10:00:00"})
    assert zoneless.status_code == 422
    upload = {"title": "A", "filename": "a.mp4", "size_bytes": 9, "publish_at": in_s(-1)}
    assert (await ada.call("POST", "/v1/videos", json=upload)).status_code == 409
    assert (await bob.get(f"/v1/videos/{video}"))["visibility"] == "public"
    for method in ("PUT", "DELETE"):
        answer = await bob.call(method, path, json={"at": in_s(60)})
        assert answer.status_code == 403
    unknown = await bob.call("PUT", f"/v1/videos/{make_id()}/publication", json={})
    assert unknown.status_code == 404


async def withdraw(owner: Person, video: str, at: str) -> Any:
    return await owner.call("PUT", f"/v1/videos/{video}/withdrawal", json={"at": at})


async def end_its_time(ports: ApiPorts, video: str) -> None:
    """Let the time be over by now, and run the job of it."""
    async with ports.database.transaction() as connection:
        await connection.execute(
            "UPDATE videos SET withdraw_at = now() WHERE id = $1", uuid.UUID(video)
        )
    payload = msgspec.json.encode(PublishJob(uuid.UUID(video)))
    await withdraw_video(make_job_ports(ports), payload)


async def test_a_video_that_is_taken_back_is_its_owners_alone_from_then_on(
    client: httpx.AsyncClient, ada: Person, bob: Person, ports: ApiPorts
):
    video = await add_video(ports, ada, "public")
    at = in_s(3600)
    answer = await withdraw(ada, video, at)
    assert answer.status_code == 200, answer.text
    shown = await bob.get(f"/v1/videos/{video}")
    assert datetime.fromisoformat(shown["withdrawal"]["at"]) == pytest.approx(
        datetime.fromisoformat(at), abs=timedelta(milliseconds=1)
    )
    payload = msgspec.json.encode(PublishJob(uuid.UUID(video)))
    await withdraw_video(make_job_ports(ports), payload)
    assert (await bob.get(f"/v1/videos/{video}"))["visibility"] == "public", "it came early"
    await end_its_time(ports, video)
    assert (await bob.call("GET", f"/v1/videos/{video}")).status_code == 404
    assert video not in str(await bob.get("/v1/videos"))
    own = await ada.get(f"/v1/videos/{video}")
    assert (own["visibility"], own["withdrawal"]) == ("private", None)
    again = await ada.call("PATCH", f"/v1/videos/{video}", json={"visibility": "public"})
    assert again.json()["visibility"] == "public"
    await withdraw_video(make_job_ports(ports), payload)
    assert (await bob.get(f"/v1/videos/{video}"))["visibility"] == "public"


async def test_publication_comes_before_withdrawal(ada: Person, bob: Person, ports: ApiPorts):
    video = await add_video(ports, ada)
    await put(ada, video, in_s(3600))
    for at in (in_s(-1), in_s(1800), in_s(367 * 86_400)):
        refused = await withdraw(ada, video, at)
        assert (refused.status_code, refused.json()["error"]) == (409, "withdrawal_unfit")
    assert (await withdraw(ada, video, in_s(7200))).status_code == 200
    late = await ada.call("PUT", f"/v1/videos/{video}/publication", json={"at": in_s(9000)})
    assert (late.status_code, late.json()["error"]) == (409, "publication_unfit")
    await reach_its_time(ports, video)
    await run_job(ports, video)
    assert (await bob.get(f"/v1/videos/{video}"))["withdrawal"] is not None
    for _ in range(2):
        assert (await ada.call("DELETE", f"/v1/videos/{video}/withdrawal")).status_code == 204
    await withdraw_video(make_job_ports(ports), msgspec.json.encode(PublishJob(uuid.UUID(video))))
    assert (await bob.get(f"/v1/videos/{video}"))["withdrawal"] is None
    for method in ("PUT", "DELETE"):
        foreign = await bob.call(method, f"/v1/videos/{video}/withdrawal", json={"at": in_s(60)})
        assert foreign.status_code == 403


async def test_a_file_announced_by_tus_says_its_time_in_its_metadata(ada: Person, ports: ApiPorts):
    owner = Identity(uuid.UUID(ada.id), make_id(), "ada", Role.USER)
    words = {"filename": "walk.mp4", "visibility": "followers", "publish_at": in_s(3600)}

    async def announce(words: dict[str, str]) -> None:
        async with ports.database.transaction() as connection:
            await open_file(connection, ports.settings, owner, NewFile(100, "", words))

    await announce(words)
    (video,) = (await ada.get("/v1/videos", params={"owner": "me"}))["items"]
    assert (video["visibility"], video["publication"]["visibility"]) == ("private", "followers")
    refused = (("soon", UploadWordsInvalid), ("2026-12-01T10:00:00", UploadWordsInvalid))
    for text, error in (*refused, (in_s(-1), PublicationUnfit)):
        with pytest.raises(error):
            await announce({**words, "publish_at": text})


async def test_the_queue_publishes_within_seconds_after_its_time_and_not_before(
    ada: Person, bob: Person, ports: ApiPorts
):
    """An hour ahead, then moved to now: nobody's pause comes between."""
    video = await add_video(ports, ada)
    at = datetime.fromisoformat(in_s(3600))
    runner = JobRunner(make_job_ports(ports), {PUBLISH_JOB: HANDLERS[PUBLISH_JOB]}, {}, FAST)
    await runner.start()
    await put(ada, video, at.isoformat())
    async with ports.database.transaction() as connection:
        assert await connection.fetchval("SELECT execute_after FROM pgqueuer") >= at
        await connection.execute("UPDATE pgqueuer SET execute_after = now()")
        come = await connection.fetchval("UPDATE videos SET publish_at = now() RETURNING now()")
    async with asyncio.timeout(60):
        while (await bob.call("GET", f"/v1/videos/{video}")).status_code == 404:
            await asyncio.sleep(0.05)
    shown = await bob.get(f"/v1/videos/{video}")
    await runner.drain(2.0)
    assert datetime.fromisoformat(shown["published_at"]) >= come.replace(microsecond=0)
