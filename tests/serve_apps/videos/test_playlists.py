"""Playlists over the API: who sees them, what is in them, and in which order."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from serve_apps.http.state import ApiPorts
from serve_apps.videos import playlist_service
from tests.serve_apps.api_client import Person
from tests.storage.video_rows import create_ready_video

pytestmark = pytest.mark.db


async def add_videos(ports: ApiPorts, owner: Person, *visibilities: str) -> list[str]:
    async with ports.database.transaction() as connection:
        return [
            str(await create_ready_video(connection, uuid.UUID(owner.id), visibility=visibility))
            for visibility in visibilities
        ]


async def make_list(owner: Person, visibility: str = "public") -> str:
    body = {"title": " Mornings ", "visibility": visibility}
    made = await owner.post("/v1/playlists", body, status=201)
    assert (made["title"], made["kind"], made["videos"]) == ("Mornings", "made", 0)
    return f"/v1/playlists/{made['id']}"


async def place(owner: Person, path: str, video: str, position: int | None = None) -> Any:
    return await owner.call("PUT", f"{path}/videos/{video}", json={"position": position})


async def list_ids(person: Person, path: str, **params: Any) -> list[str]:
    return [it["id"] for it in (await person.get(f"{path}/videos", params=params))["items"]]


async def test_videos_stand_where_their_owner_puts_them(ada: Person, ports: ApiPorts):
    a, b, c, d = await add_videos(ports, ada, *["public"] * 4)
    path = await make_list(ada)
    for video in (a, b, c, d):
        assert (await place(ada, path, video)).json()["has_video"] is True
    assert await list_ids(ada, path) == [a, b, c, d]
    await place(ada, path, d, 0)
    await place(ada, path, a, 2)
    await place(ada, path, b, 400)
    await place(ada, path, c)
    assert await list_ids(ada, path) == [d, a, c, b]
    for _ in range(2):
        assert (await ada.call("DELETE", f"{path}/videos/{c}")).status_code == 204
    first = await ada.get(f"{path}/videos", params={"limit": 2})
    rest = await list_ids(ada, path, cursor=first["next_cursor"])
    assert [it["id"] for it in first["items"]] + rest == [d, a, b]
    mine = (await ada.get("/v1/playlists", params={"video_id": a}))["items"]
    assert [(it["videos"], it["has_video"]) for it in mine] == [(3, True)]


async def test_visibility_decides_who_finds_a_playlist_and_what_they_see_in_it(
    client: httpx.AsyncClient, ada: Person, bob: Person, ports: ApiPorts
):
    shown, hidden = await add_videos(ports, ada, "public", "private")
    paths = {kind: await make_list(ada, kind) for kind in ("public", "unlisted", "private")}
    for kind, path in paths.items():
        for video in (shown, hidden):
            assert (await place(ada, path, video)).status_code == 200
        expected = 404 if kind == "private" else 200
        for person in (bob, client):
            get = person.call("GET", path) if isinstance(person, Person) else person.get(path)
            assert (await get).status_code == expected
        assert (await client.get(f"{path}/videos")).status_code == expected
        refused = await place(bob, path, shown)
        assert refused.status_code == (404 if kind == "private" else 403)
        for method in ("PATCH", "DELETE"):
            answer = await bob.call(method, path, json={} if method == "PATCH" else None)
            assert answer.status_code == refused.status_code
    assert await list_ids(bob, paths["public"]) == [shown]
    assert await list_ids(ada, paths["public"]) == [shown, hidden]
    found = (await client.get("/v1/users/ada/playlists")).json()["items"]
    assert [it["visibility"] for it in found] == ["public"]
    await ada.call("PATCH", paths["private"], json={"visibility": "public"})
    assert (await client.get(paths["private"])).status_code == 200
    assert (await ada.call("DELETE", paths["private"])).status_code == 204
    assert (await client.get(paths["private"])).status_code == 404


async def test_the_list_to_watch_later_is_one_and_stays_as_it_is(
    ada: Person, bob: Person, ports: ApiPorts
):
    (video,) = await add_videos(ports, bob, "public")
    opened = [(await ada.call("PUT", "/v1/playlists/watch-later")).json() for _ in range(2)]
    assert opened[0] == opened[1]
    assert (opened[0]["kind"], opened[0]["visibility"]) == ("watch_later", "private")
    path = f"/v1/playlists/{opened[0]['id']}"
    assert (await place(ada, path, video)).status_code == 200
    for method, body in (("PATCH", {"visibility": "public"}), ("DELETE", None)):
        refused = await ada.call(method, path, json=body)
        assert (refused.status_code, refused.json()["error"]) == (409, "playlist_fixed")
    assert (await bob.call("GET", path)).status_code == 404


async def test_what_does_not_fit_is_refused(ada: Person, bob: Person, ports: ApiPorts):
    (hidden,) = await add_videos(ports, bob, "private")
    path = await make_list(ada)
    refused = await place(ada, path, hidden)
    assert (refused.status_code, refused.json()["error"]) == (404, "video_not_found")
    async with ports.database.transaction() as connection:
        owner = uuid.UUID(ada.id)
        for _ in range(playlist_service.VIDEOS_MAX):
            video_id = await create_ready_video(connection, owner)
            await connection.execute(
                "INSERT INTO playlist_videos (playlist_id, video_id, position)"
                " SELECT $1, $2, count(*) FROM playlist_videos",
                uuid.UUID(path.rpartition("/")[2]),
                video_id,
            )
        last = await create_ready_video(connection, owner)
        await connection.execute(
            "INSERT INTO playlists SELECT gen_random_uuid(), owner_id, kind, title, description,"
            " visibility, created_at FROM playlists, generate_series(2, $1)",
            playlist_service.PLAYLISTS_MAX,
        )
    refused = await place(ada, path, str(last))
    assert (refused.status_code, refused.json()["error"]) == (409, "playlist_full")
    assert (await place(ada, path, str(video_id), 0)).status_code == 200
    refused = await ada.call("POST", "/v1/playlists", json={"title": "x"})
    assert (refused.status_code, refused.json()["error"]) == (409, "too_many_playlists")
    for body in ({"title": " "}, {"title": "x", "visibility": "followers"}):
        assert (await ada.call("POST", "/v1/playlists", json=body)).status_code == 422
    assert (await place(ada, path, str(video_id), -1)).status_code == 422
    answer = await ada.call("GET", f"{path}/videos", params={"cursor": "WyJ4Il0"})
    assert (answer.status_code, answer.json()["error"]) == (422, "cursor_malformed")
