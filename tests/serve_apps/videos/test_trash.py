"""One's own deleted videos over HTTP: listed, had back, or deleted for good with their bytes."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from serve_apps.access.identity import Role
from serve_apps.deletions import PURGE_JOB, STOPPED_AFTER_S
from serve_apps.videos.jobs import HANDLERS
from serve_apps.videos.publishing import PUBLISH_JOB
from serve_apps.videos.reencoding_rules import REENCODE_JOB
from serve_apps.videos.service import PROCESS_JOB
from storage.quota import sum_used_bytes
from storage.recordings import (
    MAKE_AAC_JOB,
    MAKE_RUNGS_JOB,
    PURGE_SEGMENTS_JOB,
    list_unneeded,
)
from tests.serve_apps.videos.api_stage import Api, Person
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.storage.live_rows import create_room_row

pytestmark = pytest.mark.db

SIZE_BYTES = 5_000
KEPT_S = 30 * 86_400


async def call(person: Person, method: str, path: str = "") -> httpx.Response:
    return await person.http.request(method, f"/v1/trash{path}", headers=person.headers)


async def list_trash(person: Person) -> list[dict[str, Any]]:
    answer = await call(person, "GET")
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def change(api: Api, statement: str) -> None:
    async with api.world.database.connection() as connection:
        await connection.execute(statement)


async def add_stored_video(api: Api, owner: Person, visibility: str = "public") -> uuid.UUID:
    """A ready video whose source takes up room."""
    video_id = await api.add_ready_video(owner, visibility)
    await api.world.objects.put(f"videos/{video_id}/source", b"x" * SIZE_BYTES)
    async with api.world.database.connection() as connection:
        await connection.execute(
            "UPDATE videos SET source_bytes = $2, source_key = $3 WHERE id = $1",
            video_id,
            SIZE_BYTES,
            f"videos/{video_id}/source",
        )
    return video_id


async def add_recording(
    api: Api, owner: Person, video_id: uuid.UUID, *, is_whole: bool = True
) -> uuid.UUID:
    """Let a video be one of a live of two segments; return the live."""
    async with api.world.database.transaction() as connection:
        live_id = await create_room_row(connection, owner.id)
        await connection.execute(
            "INSERT INTO recordings (video_id, live_id, first_number, last_number, is_whole)"
            " VALUES ($1, $2, 0, 1, $3)",
            video_id,
            live_id,
            is_whole,
        )
        await connection.execute(
            "INSERT INTO live_origins (live_id, origin_gen) VALUES ($1, 1)", live_id
        )
        for number in (0, 1):
            await connection.execute(
                "INSERT INTO live_segments (live_id, number, origin_gen, started_at, duration_ms,"
                " is_discontinuous, tracks) VALUES ($1, $2, 1, now(), 2000, false, '{}')",
                live_id,
                number,
            )
    return live_id


async def delete(owner: Person, video_id: uuid.UUID) -> None:
    assert (await owner.call("DELETE", f"/{video_id}")).status_code == 204


async def list_jobs(api: Api, name: str) -> list[Any]:
    async with api.world.database.connection() as connection:
        rows: list[Any] = await connection.fetch(
            "SELECT payload, extract(epoch FROM execute_after - now())::float AS after_s"
            " FROM pgqueuer WHERE entrypoint = $1 ORDER BY id",
            name,
        )
    return rows


async def run_purges(api: Api) -> None:
    """Run what is queued, as if its time had come."""
    ports = api.world.ports(InlineMedia(api.world.objects))
    for row in await list_jobs(api, PURGE_JOB):
        await HANDLERS[PURGE_JOB].handle(ports, row["payload"])
    await change(api, "DELETE FROM pgqueuer")


async def measure_used(api: Api, owner: Person) -> int:
    async with api.world.database.connection() as connection:
        return await sum_used_bytes(connection, owner.id)


async def test_what_one_deleted_is_in_ones_trash_with_its_size_and_time(api: Api):
    ada, bob = await api.add_person(), await api.add_person()
    first, second = await add_stored_video(api, ada), await add_stored_video(api, ada)
    for video_id in (first, second):
        await delete(ada, video_id)
    newest, oldest = await list_trash(ada)
    assert [newest["id"], oldest["id"]] == [str(second), str(first)]
    assert newest["size_bytes"] == SIZE_BYTES
    assert newest["deleted_at"] < newest["purge_at"]
    assert (newest["is_final"], newest["is_restorable"]) == (False, True)
    page = (await call(ada, "GET", "?limit=1")).json()
    rest = (await call(ada, "GET", f"?limit=1&cursor={page['next_cursor']}")).json()
    assert [it["id"] for it in page["items"] + rest["items"]] == [str(second), str(first)]
    assert rest["next_cursor"] is None
    assert await list_trash(bob) == []
    assert (await call(api.add_stranger(), "GET")).status_code == 401


async def test_a_restored_video_is_there_as_it_was_and_its_bytes_stay(api: Api):
    ada, bob = await api.add_person(), await api.add_person()
    video_id = await add_stored_video(api, ada, "unlisted")
    await delete(ada, video_id)
    for other in (bob, await api.add_person(Role.MODERATOR)):
        assert (await call(other, "POST", f"/{video_id}/restore")).status_code == 404
    answer = await call(ada, "POST", f"/{video_id}/restore")
    assert (answer.status_code, answer.json()["visibility"]) == (200, "unlisted")
    assert (await bob.call("GET", f"/{video_id}")).status_code == 200
    assert await list_trash(ada) == []
    assert await api.world.list_events(video_id) == ["video.deleted", "video.restored"]
    await run_purges(api)
    assert await api.world.objects.exists(f"videos/{video_id}/source")
    assert (await call(ada, "POST", f"/{video_id}/restore")).status_code == 404


async def test_deleting_for_good_makes_room_once_the_bytes_are_gone(api: Api):
    ada = await api.add_person()
    video_id = await add_stored_video(api, ada)
    await delete(ada, video_id)
    await change(api, "UPDATE videos SET deleted_at = now() - interval '1 hour'")
    assert await measure_used(api, ada) == SIZE_BYTES
    for _time in range(2):
        answer = await call(ada, "DELETE", f"/{video_id}")
        assert (answer.status_code, answer.json()["is_final"]) == (202, True)
    waits = [row["after_s"] for row in await list_jobs(api, PURGE_JOB)]
    assert waits == pytest.approx([KEPT_S, 0], abs=60)
    refused = await call(ada, "POST", f"/{video_id}/restore")
    assert (refused.status_code, refused.json()["error"]) == (409, "video_not_restorable")
    assert await measure_used(api, ada) == SIZE_BYTES
    await run_purges(api)
    assert not await api.world.objects.exists(f"videos/{video_id}/source")
    assert await measure_used(api, ada) == 0
    assert await list_trash(ada) == []
    assert (await call(ada, "DELETE", f"/{video_id}")).status_code == 404


async def test_what_was_deleted_just_now_goes_when_nothing_works_on_it_any_more(api: Api):
    ada = await api.add_person()
    video_id = await add_stored_video(api, ada)
    await delete(ada, video_id)
    assert (await call(ada, "DELETE", f"/{video_id}")).status_code == 202
    waits = [row["after_s"] for row in await list_jobs(api, PURGE_JOB)]
    assert waits == pytest.approx([KEPT_S, STOPPED_AFTER_S], abs=60)


async def test_only_whoever_deleted_their_own_video_deletes_it_for_good(api: Api):
    ada, bob = await api.add_person(), await api.add_person()
    moderator = await api.add_person(Role.MODERATOR)
    own, taken, living = [await add_stored_video(api, ada) for _ in range(3)]
    await delete(ada, own)
    await delete(moderator, taken)
    for person, video_id in ((bob, own), (moderator, own), (ada, taken), (ada, living)):
        assert (await call(person, "DELETE", f"/{video_id}")).status_code == 404
        assert (await call(person, "POST", f"/{video_id}/restore")).status_code == 404
    assert (await call(api.add_stranger(), "DELETE", f"/{own}")).status_code == 401
    assert [it["id"] for it in await list_trash(ada)] == [str(own)]
    assert (await bob.call("GET", f"/{living}")).status_code == 200


async def test_a_video_deleted_again_stays_as_long_again(api: Api):
    ada = await api.add_person()
    video_id = await add_stored_video(api, ada)
    await delete(ada, video_id)
    (first,) = await list_jobs(api, PURGE_JOB)
    assert (await call(ada, "POST", f"/{video_id}/restore")).status_code == 200
    await delete(ada, video_id)
    assert len(await list_jobs(api, PURGE_JOB)) == 2
    ports = api.world.ports(InlineMedia(api.world.objects))
    await HANDLERS[PURGE_JOB].handle(ports, first["payload"])
    assert await api.world.objects.exists(f"videos/{video_id}/source")
    await run_purges(api)
    assert not await api.world.objects.exists(f"videos/{video_id}/source")


async def test_nothing_is_restored_whose_bytes_are_about_to_go(api: Api):
    ada = await api.add_person()
    video_id = await add_stored_video(api, ada)
    await delete(ada, video_id)
    await change(api, "UPDATE videos SET purge_at = now() + interval '30 s'")
    assert [it["is_restorable"] for it in await list_trash(ada)] == [False]
    assert (await call(ada, "POST", f"/{video_id}/restore")).status_code == 409


async def test_an_upload_that_was_given_up_is_in_no_trash(api: Api):
    ada = await api.add_person()
    order = {"title": "Walk", "filename": "walk.mp4", "size_bytes": 1000}
    created = (await ada.call("POST", "", order)).json()
    await delete(ada, uuid.UUID(created["id"]))
    assert await list_trash(ada) == []


async def test_a_recording_of_a_live_that_was_taken_down_stays_away(api: Api):
    ada = await api.add_person()
    video_id = await add_stored_video(api, ada)
    await add_recording(api, ada, video_id)
    await delete(ada, video_id)
    assert [it["is_restorable"] for it in await list_trash(ada)] == [True]
    await change(api, "UPDATE lives SET deleted_at = now(), takedown_reason = 'Spam'")
    assert [it["is_restorable"] for it in await list_trash(ada)] == [False]
    assert (await call(ada, "POST", f"/{video_id}/restore")).status_code == 409


async def test_a_restored_video_goes_on_with_what_it_waited_for(api: Api):
    ada = await api.add_person()
    working, timed, remade = [await add_stored_video(api, ada) for _ in range(3)]
    async with api.world.database.connection() as connection:
        await connection.execute("UPDATE videos SET status = 'processing' WHERE id = $1", working)
        await connection.execute(
            "UPDATE videos SET publish_at = now() - interval '1 s', publish_as = 'public',"
            " visibility = 'private' WHERE id = $1",
            timed,
        )
        await connection.execute(
            "INSERT INTO video_versions (video_id, version, state, recipe)"
            " VALUES ($1, 2, 'processing', '{}')",
            remade,
        )
    for video_id in (working, timed, remade):
        await delete(ada, video_id)
        assert (await call(ada, "POST", f"/{video_id}/restore")).status_code == 200
    assert (await api.world.get_video(working)).status == "queued"
    for name in (PROCESS_JOB, PUBLISH_JOB, REENCODE_JOB):
        assert len(await list_jobs(api, name)) == 1


async def test_a_restored_recording_gets_what_it_still_lacks(api: Api):
    ada = await api.add_person()
    video_id = await add_stored_video(api, ada)
    await add_recording(api, ada, video_id)
    await change(api, "UPDATE videos SET width = 1280, height = 720")
    await change(api, "UPDATE recordings SET aac = 'making', rungs = 'making'")
    for count in (1, 2):  # the first ones may be ending for the second time
        await delete(ada, video_id)
        assert (await call(ada, "POST", f"/{video_id}/restore")).status_code == 200
        for name in (MAKE_AAC_JOB, MAKE_RUNGS_JOB):
            assert len(await list_jobs(api, name)) == count


@pytest.mark.parametrize("is_whole", [True, False], ids=["recording", "clip"])
async def test_the_segments_of_a_recording_go_behind_it(api: Api, is_whole: bool):
    ada = await api.add_person()
    ports = api.world.ports(InlineMedia(api.world.objects))
    video_id = await add_stored_video(api, ada)
    live_id = await add_recording(api, ada, video_id, is_whole=is_whole)
    await delete(ada, video_id)
    assert await list_free_segments(api, live_id) == []
    assert (await call(ada, "POST", f"/{video_id}/restore")).status_code == 200
    await delete(ada, video_id)
    assert await list_free_segments(api, live_id) == []
    assert (await call(ada, "DELETE", f"/{video_id}")).status_code == 202
    for row in await list_jobs(api, PURGE_JOB):
        await HANDLERS[PURGE_JOB].handle(ports, row["payload"])
    assert len(await list_jobs(api, PURGE_SEGMENTS_JOB)) == 1
    assert await list_free_segments(api, live_id) == [0, 1]


async def list_free_segments(api: Api, live_id: uuid.UUID) -> list[int]:
    """Return the segments that may go, were deleted videos kept for no time from now on."""
    async with api.world.database.connection() as connection:
        rows = await list_unneeded(connection, live_id, deleted_for_s=0)
    return [row.number for row in rows]


async def test_a_video_whose_time_ended_in_the_trash_comes_back_withdrawn(api: Api):
    ada = await api.add_person()
    video_id = await add_stored_video(api, ada)
    await delete(ada, video_id)
    await change(api, "UPDATE videos SET withdraw_at = now() - interval '1 s'")
    restored = await call(ada, "POST", f"/{video_id}/restore")
    assert (restored.status_code, restored.json()["visibility"]) == (200, "private")
    assert await list_jobs(api, PUBLISH_JOB) == []


async def test_a_video_whose_work_has_not_ended_is_restored_later(api: Api):
    ada = await api.add_person()
    video_id = await add_stored_video(api, ada)
    await change(api, "UPDATE videos SET status = 'queued'")
    await delete(ada, video_id)
    assert (await call(ada, "POST", f"/{video_id}/restore")).status_code == 200
    await delete(ada, video_id)
    refused = await call(ada, "POST", f"/{video_id}/restore")
    assert (refused.status_code, refused.json()["error"]) == (409, "video_still_stopping")
    assert [it["id"] for it in await list_trash(ada)] == [str(video_id)]
