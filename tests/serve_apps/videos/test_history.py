"""A person's history over the API: noted, gone on from, listed, paused and cleared."""

from __future__ import annotations

import uuid

import httpx
import pytest

from kit.clock import ManualClock
from serve_apps.http.state import ApiPorts
from storage import history
from tests.serve_apps.api_client import Person
from tests.storage.video_rows import create_ready_video

pytestmark = pytest.mark.db


async def add_video(ports: ApiPorts, owner: Person, visibility: str = "public") -> str:
    async with ports.database.transaction() as connection:
        return str(await create_ready_video(connection, uuid.UUID(owner.id), visibility=visibility))


async def watch(person: Person, video: str, position_ms: int) -> bool:
    answer = await person.call("PUT", f"/v1/history/{video}", json={"position_ms": position_ms})
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["remembered"])


async def list_ids(person: Person, **params: object) -> list[str]:
    return [it["id"] for it in (await person.get("/v1/history", params=params))["items"]]


async def test_a_video_goes_on_where_any_device_left_it(
    client: httpx.AsyncClient, ada: Person, bob: Person, ports: ApiPorts, clock: ManualClock
):
    video = await add_video(ports, ada)
    path = f"/v1/videos/{video}"
    assert (await bob.get(path))["resume_ms"] == 0
    assert await watch(bob, video, 30_000)
    clock.advance(1)
    assert await watch(bob, video, 61_000)
    assert (await bob.get(path))["resume_ms"] == 61_000
    assert (await ada.get(path))["resume_ms"] == 0
    assert (await client.get(path)).json()["resume_ms"] is None
    entry = (await bob.get("/v1/history"))["items"][0]
    assert (entry["position_ms"], entry["finished"]) == (61_000, False)
    assert entry["video"]["playback"]["hls"].endswith("/master.m3u8")
    assert await watch(bob, video, 10**9)
    entry = (await bob.get("/v1/history"))["items"][0]
    assert (entry["position_ms"], entry["finished"], entry["resume_ms"]) == (100_000, True, 0)
    assert await list_ids(bob, unfinished=True) == []


async def test_the_history_pages_last_watched_first_and_keeps_a_bounded_number(
    ada: Person, ports: ApiPorts, clock: ManualClock
):
    videos = [await add_video(ports, ada) for _ in range(4)]
    for video in videos:
        watched = history.Watched(uuid.UUID(video), 9_000, False, clock.now())
        async with ports.database.transaction() as connection:
            await history.note_position(connection, uuid.UUID(ada.id), watched, keep_max=3)
        clock.advance(1)
    assert await list_ids(ada) == videos[:0:-1]
    await watch(ada, videos[1], 10_000)
    first = await ada.get("/v1/history", params={"limit": 2})
    rest = await ada.get("/v1/history", params={"limit": 2, "cursor": first["next_cursor"]})
    assert [it["id"] for it in first["items"] + rest["items"]] == [videos[n] for n in (1, 3, 2)]
    assert rest["next_cursor"] is None


async def test_what_may_no_longer_be_seen_is_not_listed_and_not_noted(
    ada: Person, bob: Person, ports: ApiPorts
):
    await bob.post("/v1/users/ada/follow")
    video = await add_video(ports, ada, "followers")
    await watch(bob, video, 9_000)
    assert await list_ids(bob) == [video]
    await bob.call("DELETE", "/v1/users/ada/follow")
    assert await list_ids(bob) == []
    refused = await bob.call("PUT", f"/v1/history/{video}", json={"position_ms": 1})
    assert (refused.status_code, refused.json()["error"]) == (404, "video_not_found")
    for wrong in ({"position_ms": -1}, {"position_ms": 1 << 50}, {}):
        assert (await ada.call("PUT", f"/v1/history/{video}", json=wrong)).status_code == 422


async def test_a_video_for_subscribers_leaves_lists_with_the_subscription(
    ada: Person, bob: Person, ports: ApiPorts
):
    video = await add_video(ports, ada, "subscribers")
    playlist = await bob.post("/v1/playlists", {"title": "Mine"}, status=201)
    placed = f"/v1/playlists/{playlist['id']}/videos"
    refused = await bob.call("PUT", f"{placed}/{video}", json={})
    assert (refused.status_code, refused.json()["error"]) == (403, "for_subscribers")
    await ada.call("PUT", "/v1/subscribers/bob", json={})
    await watch(bob, video, 9_000)
    assert (await bob.call("PUT", f"{placed}/{video}", json={})).is_success
    assert await list_ids(bob) == [it["id"] for it in (await bob.get(placed))["items"]] == [video]
    await ada.call("DELETE", "/v1/subscribers/bob")
    assert await list_ids(bob) == (await bob.get(placed))["items"] == []


async def test_a_paused_history_remembers_nothing_new_and_can_be_emptied(
    ada: Person, bob: Person, ports: ApiPorts
):
    videos = [await add_video(ports, bob) for _ in range(3)]
    for video in videos[:2]:
        await watch(ada, video, 9_000)
    await watch(bob, videos[0], 9_000)
    assert (await ada.call("PUT", "/v1/history/settings", json={"paused": True})).json()["paused"]
    assert not await watch(ada, videos[2], 9_000)
    assert not await watch(ada, videos[0], 50_000)
    assert (await ada.get(f"/v1/videos/{videos[0]}"))["resume_ms"] == 9_000
    assert (await ada.get("/v1/history/settings"))["paused"] is True
    await ada.call("PUT", "/v1/history/settings", json={"paused": False})
    assert await watch(ada, videos[2], 9_000)
    for _ in range(2):
        assert (await ada.call("DELETE", f"/v1/history/{videos[2]}")).status_code == 204
    assert set(await list_ids(ada)) == set(videos[:2])
    assert (await ada.call("DELETE", "/v1/history")).status_code == 204
    assert await list_ids(ada) == []
    assert await list_ids(bob) == videos[:1]
