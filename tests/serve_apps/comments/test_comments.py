"""Comments in threads below posts and videos: written, answered, sorted, liked, pinned, deleted."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from kit.clock import ManualClock
from serve_apps.http.state import ApiPorts
from tests.serve_apps.api_client import Person, deliver_all, register
from tests.storage.video_rows import create_ready_video

pytestmark = pytest.mark.db


async def add_video(ports: ApiPorts, owner: Person, visibility: str = "public") -> str:
    async with ports.database.transaction() as connection:
        video_id = await create_ready_video(connection, uuid.UUID(owner.id), visibility=visibility)
    return f"/v1/videos/{video_id}"


@pytest.fixture(params=["post", "video"])
async def place(request: pytest.FixtureRequest, ada: Person, ports: ApiPorts) -> str:
    """Lend the address of something of ada's that can be commented on."""
    if request.param == "video":
        return await add_video(ports, ada)
    return f"/v1/posts/{(await ada.write_post('talk'))['id']}"


async def write(person: Person, place: str, text: str, reply_to: str | None = None) -> Any:
    body = {"text": text} | ({"reply_to": reply_to} if reply_to else {})
    return await person.post(f"{place}/comments", body, status=201)


async def list_texts(person: Person, path: str, **params: Any) -> list[str]:
    return [it["text"] for it in (await person.get(path, params=params))["items"]]


async def test_replies_join_one_thread_and_are_counted(
    client: httpx.AsyncClient, place: str, ada: Person, bob: Person, clock: ManualClock
):
    first = await write(bob, place, "first")
    clock.advance(1)
    answer = await write(ada, place, "answer", first["id"])
    clock.advance(1)
    again = await write(bob, place, "again", answer["id"])
    assert answer["parent_id"] == again["parent_id"] == first["id"]
    assert await list_texts(ada, f"{place}/comments") == ["first"]
    replies = f"/v1/comments/{first['id']}/replies"
    page = (await client.get(replies, params={"limit": 1})).json()
    rest = await list_texts(ada, replies, cursor=page["next_cursor"])
    assert [it["text"] for it in page["items"]] + rest == ["answer", "again"]
    assert (await ada.get(f"{place}/comments"))["items"][0]["replies"] == 2
    assert (await bob.call("DELETE", f"/v1/comments/{again['id']}")).status_code == 204
    assert (await ada.get(f"{place}/comments"))["items"][0]["replies"] == 1
    assert (await bob.call("DELETE", f"/v1/comments/{first['id']}")).status_code == 204
    for path in (replies, f"/v1/comments/{answer['id']}/replies"):
        assert (await client.get(path)).status_code == 404
    gone = await ada.call("POST", f"{place}/comments", json={"text": "x", "reply_to": first["id"]})
    assert (gone.status_code, gone.json()["error"]) == (404, "comment_not_found")


async def test_comments_are_sorted_by_time_or_likes_behind_the_pinned_one(
    place: str, ada: Person, bob: Person, clock: ManualClock
):
    written = []
    for text in ("a", "b", "c", "d"):
        written.append(await write(bob, place, text))
        clock.advance(1)
    for person, index in ((ada, 1), (bob, 1), (ada, 0)):
        liked = await person.post(f"/v1/comments/{written[index]['id']}/like")
        assert liked["liked"] is True
    assert (await bob.post(f"/v1/comments/{written[1]['id']}/like"))["likes"] == 2
    path = f"{place}/comments"
    top = await ada.get(path, params={"sort": "top", "limit": 3})
    rest = await list_texts(ada, path, sort="top", cursor=top["next_cursor"])
    assert [it["text"] for it in top["items"]] + rest == ["b", "a", "d", "c"]
    for index in (3, 2):
        pinned = await ada.post(f"/v1/comments/{written[index]['id']}/pin")
        assert pinned["pinned"] is True
    assert await list_texts(bob, path) == ["c", "d", "b", "a"]
    refused = await bob.call("POST", f"/v1/comments/{written[0]['id']}/pin")
    assert (refused.status_code, refused.json()["error"]) == (403, "not_your_comment")
    answer = await ada.call("DELETE", f"/v1/comments/{written[2]['id']}/pin")
    assert answer.json()["pinned"] is False
    for _ in range(2):
        answer = await ada.call("DELETE", f"/v1/comments/{written[0]['id']}/like")
        assert (answer.json()["liked"], answer.json()["likes"]) == (False, 0)
    assert await list_texts(ada, path, sort="top") == ["b", "d", "c", "a"]


async def test_only_its_author_changes_a_comment_and_the_owner_may_delete_it(
    client: httpx.AsyncClient, place: str, ada: Person, bob: Person
):
    carol = await register(client, "carol")
    comment = await write(bob, place, "frist")
    path = f"/v1/comments/{comment['id']}"
    changed = (await bob.call("PATCH", path, json={"text": " first "})).json()
    assert (changed["text"], changed["edited_at"]) == ("first", "2026-01-01T00:00:00.000Z")
    for person in (ada, carol):
        refused = await person.call("PATCH", path, json={"text": "mine"})
        assert (refused.status_code, refused.json()["error"]) == (403, "not_your_comment")
    assert (await bob.call("PATCH", path, json={"text": "x" * 2_001})).status_code == 422
    assert (await carol.call("DELETE", path)).status_code == 403
    assert (await ada.call("DELETE", path)).status_code == 204
    assert (await bob.call("PATCH", path, json={"text": "again"})).status_code == 404


async def test_who_may_not_see_a_video_reads_and_writes_nothing_below_it(
    client: httpx.AsyncClient, ada: Person, bob: Person, ports: ApiPorts
):
    place = await add_video(ports, ada, "followers")
    comment = await write(ada, place, "mine")
    path = f"/v1/comments/{comment['id']}"
    asked: list[tuple[str, str, Any]] = [
        ("GET", f"{place}/comments", None),
        ("POST", f"{place}/comments", {"text": "x"}),
        ("GET", f"{path}/replies", None),
        ("PATCH", path, {"text": "x"}),
        ("POST", f"{path}/like", None),
        ("POST", f"{path}/pin", None),
        ("DELETE", path, None),
    ]
    for method, address, body in asked:
        answer = await bob.call(method, address, json=body)
        assert (answer.status_code, answer.json()["error"]) == (404, "video_not_found"), address
    await bob.post("/v1/users/ada/follow")
    assert await list_texts(bob, f"{place}/comments") == ["mine"]
    assert (await client.get(f"{place}/comments")).status_code == 404


async def test_what_happens_to_comments_is_told_on_the_channel_of_their_place(
    place: str, ada: Person, bob: Person, ports: ApiPorts, hear: Any
):
    kind, _, place_id = place.removeprefix("/v1/").partition("s/")
    comment = await write(bob, place, "hi")
    async with hear(f"{kind}:{place_id}") as messages:
        await deliver_all(ports)
        await ada.post(f"/v1/comments/{comment['id']}/like")
        await deliver_all(ports)
        await bob.call("DELETE", f"/v1/comments/{comment['id']}")
        await deliver_all(ports)
        heard = [m for m in await messages(3 if kind == "video" else 5) if "comment" in m.kind]
    told = [message for message in heard if message.kind != "post_counters"]
    assert [message.kind for message in told] == [
        "post_comment",
        "post_comment_changed",
        "post_comment_deleted",
    ]
    assert told[0].data == {k: v for k, v in comment.items() if k != "liked"}
    assert told[1].data["likes"] == 1
    assert told[2].data == {"id": comment["id"]}
