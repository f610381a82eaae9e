"""Posts, likes and comments: who may write, see and delete what."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from kit.clock import ManualClock
from serve_apps.http.state import ApiPorts
from tests.serve_apps.api_client import Person, deliver_all, register

pytestmark = pytest.mark.db


async def add_video(ports: ApiPorts, owner: Person, visibility: str = "public") -> str:
    video_id = uuid.uuid4()
    async with ports.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO videos (id, owner_id, title, status, visibility, playable_at,"
            " thumbnail_key, duration_ms) VALUES ($1, $2, 'Sunrise', 'ready', $3, now(), 'k', 12)",
            video_id,
            uuid.UUID(owner.id),
            visibility,
        )
    return str(video_id)


async def see(person: Person | httpx.AsyncClient, path: str) -> int:
    if isinstance(person, Person):
        return (await person.call("GET", path)).status_code
    return (await person.get(path)).status_code


async def test_a_post_comes_back_as_it_was_written(ada: Person, client: httpx.AsyncClient):
    post = await ada.write_post("  First light.  ")
    assert post["text"] == "First light."
    assert post["author"] == {"id": ada.id, "username": "ada", "display_name": "ada"}
    assert post["created_at"] == "2026-01-01T00:00:00.000Z"
    assert post["counters"] == {"likes": 0, "comments": 0}
    assert (await client.get(f"/v1/posts/{post['id']}")).json() == post


async def test_a_post_shows_its_videos_in_order_with_their_addresses(
    ada: Person, client: httpx.AsyncClient, ports: ApiPorts
):
    videos = [await add_video(ports, ada) for _ in range(3)]
    post = await ada.write_post("", video_ids=videos)
    assert [video["id"] for video in post["videos"]] == videos
    assert post["videos"][0]["playback"]["hls"] == (
        f"http://localhost:8001/v/{videos[0]}/master.m3u8"
    )
    assert post["videos"][0]["thumbnail"].endswith("/thumbnail.jpg")


async def test_a_private_video_in_a_public_post_shows_to_its_owner_alone(
    ada: Person, client: httpx.AsyncClient, ports: ApiPorts
):
    post = await ada.write_post("look", video_ids=[await add_video(ports, ada, "private")])
    assert "/t/" in post["videos"][0]["playback"]["hls"]
    assert (await client.get(f"/v1/posts/{post['id']}")).json()["videos"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": "   "}, 422, "post_empty"),
        ({"text": "x" * 5_001}, 422, "text_too_long"),
        ({"text": "x", "visibility": "unlisted"}, 422, "malformed_request"),
        ({"text": "x", "colour": "red"}, 422, "malformed_request"),
        ({"text": "x", "video_ids": [str(uuid.uuid4())]}, 404, "video_not_found"),
        ({"text": "x", "video_ids": [str(uuid.uuid4())] * 5}, 422, "malformed_request"),
    ],
)
async def test_a_post_that_cannot_stand_is_refused(
    ada: Person, body: dict[str, object], status: int, code: str
):
    answer = await ada.call("POST", "/v1/posts", json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, code)


async def test_nobody_shows_the_video_of_another(ada: Person, bob: Person, ports: ApiPorts):
    video = await add_video(ports, bob)
    answer = await ada.call("POST", "/v1/posts", json={"text": "mine", "video_ids": [video]})
    assert (answer.status_code, answer.json()["error"]) == (404, "video_not_found")


async def test_visibility_decides_for_every_route_of_a_post(
    client: httpx.AsyncClient, ada: Person, bob: Person
):
    carol = await register(client, "carol")
    dora = await register(client, "dora")
    await bob.post("/v1/users/ada/follow")
    await ada.call("PUT", "/v1/subscribers/dora", json={})
    sees = {
        "public": {"ada": 200, "bob": 200, "carol": 200, "dora": 200, "anonymous": 200},
        "followers": {"ada": 200, "bob": 200, "carol": 404, "dora": 404, "anonymous": 404},
        "subscribers": {"ada": 200, "bob": 403, "carol": 403, "dora": 200, "anonymous": 403},
        "private": {"ada": 200, "bob": 404, "carol": 404, "dora": 404, "anonymous": 404},
    }
    for visibility, expected in sees.items():
        post = await ada.write_post("hello", visibility=visibility)
        path = f"/v1/posts/{post['id']}"
        people = {"ada": ada, "bob": bob, "carol": carol, "dora": dora, "anonymous": client}
        for name, person in people.items():
            assert await see(person, path) == expected[name], (visibility, name)
            assert await see(person, path + "/comments") == expected[name]
        for person, name in [(bob, "bob"), (carol, "carol"), (dora, "dora")]:
            like = await person.call("POST", path + "/like")
            comment = await person.call("POST", path + "/comments", json={"text": "x"})
            assert (like.status_code == 200) == (expected[name] == 200)
            assert (comment.status_code == 201) == (expected[name] == 200)
            listed = [item["id"] for item in (await person.get("/v1/users/ada/posts"))["items"]]
            assert (post["id"] in listed) == (expected[name] == 200)


async def test_a_like_counts_once_and_can_be_taken_back(ada: Person, bob: Person, ports: ApiPorts):
    post = await ada.write_post("like me")
    path = f"/v1/posts/{post['id']}"
    for _ in range(2):
        assert (await bob.post(path + "/like"))["liked"] is True
    await deliver_all(ports)
    seen = await bob.get(path)
    assert (seen["counters"]["likes"], seen["liked"]) == (1, True)
    assert (await ada.get(path))["liked"] is False
    for _ in range(2):
        assert (await bob.call("DELETE", path + "/like")).json()["liked"] is False
    await deliver_all(ports)
    seen = await bob.get(path)
    assert (seen["counters"]["likes"], seen["liked"]) == (0, False)


async def test_comments_page_newest_first_without_repeating_or_skipping(
    ada: Person, bob: Person, client: httpx.AsyncClient, clock: ManualClock
):
    post = await ada.write_post("talk")
    path = f"/v1/posts/{post['id']}/comments"
    written = []
    for number in range(7):
        comment = await bob.post(path, {"text": f"line {number}"}, status=201)
        written.append(comment["id"])
        if number % 3 == 0:
            clock.advance(1)  # the others share one moment
    seen, cursor = [], None
    for _ in range(10):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(path, params=params)).json()
        seen += [comment["id"] for comment in page["items"]]
        cursor = page["next_cursor"]
        # A comment that arrives while somebody reads must not move the pages.
        await ada.post(path, {"text": "meanwhile"}, status=201)
        if cursor is None:
            break
        clock.advance(1)
    assert seen == written[::-1]


async def test_a_comment_is_deleted_by_its_author_or_the_posts_and_nobody_else(
    client: httpx.AsyncClient, ada: Person, bob: Person, ports: ApiPorts
):
    carol = await register(client, "carol")
    post = await ada.write_post("talk")
    path = f"/v1/posts/{post['id']}/comments"
    ids = [(await bob.post(path, {"text": "x"}, status=201))["id"] for _ in range(2)]
    refused = await carol.call("DELETE", f"/v1/comments/{ids[0]}")
    assert (refused.status_code, refused.json()["error"]) == (403, "not_your_comment")
    assert (await bob.call("DELETE", f"/v1/comments/{ids[0]}")).status_code == 204
    assert (await ada.call("DELETE", f"/v1/comments/{ids[1]}")).status_code == 204
    assert (await ada.call("DELETE", f"/v1/comments/{ids[1]}")).status_code == 404
    await deliver_all(ports)
    assert (await ada.get(f"/v1/posts/{post['id']}"))["counters"]["comments"] == 0


async def test_a_deleted_post_is_gone_from_everywhere(
    ada: Person, bob: Person, client: httpx.AsyncClient, ports: ApiPorts
):
    await bob.post("/v1/users/ada/follow")
    post = await ada.write_post("gone soon")
    await deliver_all(ports)
    path = f"/v1/posts/{post['id']}"
    refused = await bob.call("DELETE", path)
    assert (refused.status_code, refused.json()["error"]) == (403, "not_your_post")
    assert (await ada.call("DELETE", path)).status_code == 204
    assert (await ada.call("DELETE", path)).status_code == 404
    assert await see(client, path) == 404
    for feed in ("/v1/feed/home", "/v1/feed/explore", "/v1/users/ada/posts"):
        assert (await bob.get(feed))["items"] == []
    await deliver_all(ports)
    assert (await ada.get("/v1/users/ada"))["counters"]["posts"] == 0
    async with ports.database.connection() as connection:
        left = await connection.fetchval(
            "SELECT count(*) FROM timelines WHERE user_id = $1", uuid.UUID(bob.id)
        )
    assert left == 0


async def test_a_person_s_videos_show_to_those_who_may_find_them(
    ada: Person, bob: Person, client: httpx.AsyncClient, ports: ApiPorts
):
    found = ("public", "followers", "subscribers")
    videos = {kind: await add_video(ports, ada, kind) for kind in found}
    hidden = {kind: await add_video(ports, ada, kind) for kind in ("unlisted", "private")}
    path = "/v1/users/ada/videos"

    def list_ids(page: Any) -> set[str]:
        return {item["id"] for item in page["items"]}

    assert list_ids((await client.get(path)).json()) == {videos["public"]}
    assert list_ids(await bob.get(path)) == {videos["public"]}
    await bob.post("/v1/users/ada/follow")
    assert list_ids(await bob.get(path)) == {videos["public"], videos["followers"]}
    await ada.call("PUT", "/v1/subscribers/bob", json={})
    assert list_ids(await bob.get(path)) == set(videos.values())
    assert list_ids(await ada.get(path)) == {*videos.values(), *hidden.values()}
    first = await ada.get(path, params={"limit": 3})
    rest = await ada.get(path, params={"limit": 3, "cursor": first["next_cursor"]})
    assert len(list_ids(first) | list_ids(rest)) == 5
    assert rest["next_cursor"] is None


async def test_posts_of_nobody_are_not_found(client: httpx.AsyncClient):
    answer = await client.get("/v1/users/ghost/posts")
    assert (answer.status_code, answer.json()["error"]) == (404, "user_not_found")
