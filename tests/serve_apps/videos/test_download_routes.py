"""The link to a video's file: whoever opens it, and whenever, it leads there by a fresh right."""

from __future__ import annotations

import uuid

import httpx
import pytest

from serve_apps.access.grants import DownloadPass, issue_pass
from storage.follows import add_follow, remove_follow
from tests.serve_apps.videos.api_stage import Api, Person

pytestmark = pytest.mark.db

EDGE = "http://localhost:8001"


async def show_link(person: Person, video_id: uuid.UUID) -> str:
    shown = (await person.call("GET", f"/{video_id}")).json()
    link: str = shown["playback"]["download"]
    return link


async def open_link(api: Api, link: str) -> httpx.Response:
    """Follow a link as a browser does: without a token."""
    return await api.http.get(httpx.URL(link).raw_path.decode())


async def show_refusal(api: Api, link: str) -> tuple[int, str]:
    answer = await open_link(api, link)
    return answer.status_code, answer.json()["error"]


async def test_an_open_videos_link_leads_anybody_to_the_file(api: Api):
    video_id = await api.add_ready_video(await api.add_person())
    link = await show_link(api.add_stranger(), video_id)
    assert link == f"http://localhost:8000/v1/videos/{video_id}/download"
    answer = await open_link(api, link)
    assert answer.status_code == 307
    assert answer.headers["Location"] == f"{EDGE}/v/{video_id}/download/best.mp4"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_hidden_videos_link_gets_a_right_each_time_it_is_opened(api: Api):
    ada = await api.add_person()
    video_id = await api.add_ready_video(ada, "private")
    link = await show_link(ada, video_id)
    places = [(await open_link(api, link)).headers["Location"] for _ in range(2)]
    for place in places:
        assert place.startswith(f"{EDGE}/t/")
        assert place.endswith(f"/v/{video_id}/download/best.mp4")
    assert places[0] != places[1]
    assert await show_refusal(api, link.partition("?")[0]) == (404, "video_not_found")
    token = await ada.call("GET", f"/{video_id}/download")
    assert token.status_code == 307


async def test_a_link_leads_nowhere_once_its_session_has_ended(api: Api):
    ada = await api.add_person()
    link = await show_link(ada, await api.add_ready_video(ada, "private"))
    async with api.world.database.connection() as connection:
        await connection.execute("UPDATE sessions SET revoked_at = now()")
    assert await show_refusal(api, link) == (403, "grant_expired")


async def test_a_link_leads_nowhere_for_whoever_may_no_longer_watch(api: Api):
    ada, bob = await api.add_person(), await api.add_person()
    async with api.world.database.transaction() as connection:
        await add_follow(connection, bob.id, ada.id, api.clock.now())
    link = await show_link(bob, await api.add_ready_video(ada, "followers"))
    assert (await open_link(api, link)).status_code == 307
    async with api.world.database.transaction() as connection:
        await remove_follow(connection, bob.id, ada.id)
    assert await show_refusal(api, link) == (404, "video_not_found")


async def test_a_pass_is_for_its_own_video_and_its_day(api: Api):
    ada = await api.add_person()
    first, second = [await api.add_ready_video(ada, "private") for _ in range(2)]
    link = await show_link(ada, first)
    other = link.replace(str(first), str(second))
    assert await show_refusal(api, other) == (403, "grant_invalid")
    assert await show_refusal(api, link[:-1]) == (403, "grant_invalid")
    over = DownloadPass(first, ada.id, uuid.uuid4(), api.clock.now().timestamp() - 1)
    text = issue_pass(api.world.settings.auth, over)
    assert await show_refusal(api, f"/v1/videos/{first}/download?pass={text}") == (
        403,
        "grant_expired",
    )


@pytest.mark.parametrize("change", ["is_protected = true", "status = 'processing'"])
async def test_without_a_file_there_is_nothing_to_go_to(api: Api, change: str):
    video_id = await api.add_ready_video(await api.add_person())
    async with api.world.database.connection() as connection:
        await connection.execute(f"UPDATE videos SET {change} WHERE id = $1", video_id)
    assert await show_refusal(api, f"/v1/videos/{video_id}/download") == (
        404,
        "download_not_found",
    )


async def test_another_version_is_another_address_of_the_same_link(api: Api):
    video_id = await api.add_ready_video(await api.add_person())
    async with api.world.database.connection() as connection:
        await connection.execute("UPDATE videos SET version = 2 WHERE id = $1", video_id)
    answer = await open_link(api, f"/v1/videos/{video_id}/download")
    assert answer.headers["Location"] == f"{EDGE}/v/{video_id}/download/best.mp4?v=2"
