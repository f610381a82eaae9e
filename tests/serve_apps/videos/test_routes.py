"""The videos routes over HTTP in one process, on real rows."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import orjson
import pytest

from actors.job_runner.runner import JobRunner, RunnerOptions
from media.vod.info import encode_json
from media.vod.plan import PlanOrder, plan_video
from media.vod.recipe import Recipe
from serve_apps.access.identity import Role
from serve_apps.deletions import PURGE_JOB
from serve_apps.videos.jobs import HANDLERS, expire_video, purge_video
from serve_apps.videos.recipes import CodecUnavailable, check_encoders
from serve_apps.videos.service import EXPIRE_JOB
from serve_apps.videos.upload_jobs import EXPECT_JOB
from storage import uploads, video_plans, videos
from storage.audit import list_audit
from storage.follows import add_follow
from storage.jobs import count_jobs
from storage.video_playback import find_playback
from tests.media.vod.sources import describe_source
from tests.serve_apps.videos.api_stage import Api, Person, serve_videos
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload

pytestmark = pytest.mark.db

ORDER = {"title": " A walk ", "filename": "walk.mp4", "size_bytes": 1000}
LEFT_OUT = "1 further sound track was left out: track 3 (deu, aac)."


async def test_an_announced_video_gets_an_address_for_its_bytes(api: Api):
    ada = await api.add_person()
    answer = await ada.call("POST", "", ORDER)
    assert answer.status_code == 201
    created = answer.json()
    assert created["status"] == "uploading"
    assert created["upload"]["url"].startswith("http://localhost:8001/uploads/")
    upload_id = uuid.UUID(created["upload"]["url"].rpartition("/")[2])
    async with api.world.database.connection() as connection:
        upload = await uploads.find_upload(connection, upload_id)
        jobs = await connection.fetch("SELECT entrypoint FROM pgqueuer ORDER BY entrypoint")
    assert upload is not None
    assert (str(upload.video_id), upload.owner_id) == (created["id"], ada.id)
    assert (upload.size_bytes, upload.state) == (1000, "open")
    # So small a file is there at once: a worker gets ready.
    assert [row["entrypoint"] for row in jobs] == [EXPECT_JOB, EXPIRE_JOB]
    shown = (await ada.call("GET", f"/{created['id']}")).json()
    assert (shown["title"], shown["status"], shown["playback"]) == ("A walk", "uploading", None)


async def test_the_owner_alone_sees_where_an_upload_goes_on(api: Api):
    ada, bob = await api.add_person(), await api.add_person()
    moderator = await api.add_person(Role.MODERATOR)
    created = (await ada.call("POST", "", ORDER)).json()
    assert created["upload"]["offset"] == 0
    upload_id = uuid.UUID(created["upload"]["url"].rpartition("/")[2])
    async with api.world.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO upload_parts (upload_id, offset_bytes, size_bytes) VALUES ($1, 0, 400)",
            upload_id,
        )
    path = f"/{created['id']}"
    seen = (await ada.call("GET", path)).json()
    assert seen["upload"] == created["upload"] | {"offset": 400}
    for other in (bob, moderator, api.add_stranger()):
        assert (await other.call("GET", path)).json()["upload"] is None
    async with api.world.database.transaction() as connection:
        await connection.execute("UPDATE uploads SET expires_at = now() - interval '1 s'")
    assert (await ada.call("GET", path)).json()["upload"] is None
    ready = await api.add_ready_video(ada)
    assert (await ada.call("GET", f"/{ready}")).json()["upload"] is None


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"size_bytes": 10_001}, 413, "video_too_large"),
        ({"duration_ms": 43_200_001}, 413, "video_too_long"),
        ({"duration_ms": -1}, 422, "malformed_request"),
        ({"size_bytes": 0}, 422, "malformed_request"),
        ({"title": "   "}, 422, "malformed_request"),
        ({"title": "x" * 201}, 422, "malformed_request"),
        ({"visibility": "secret"}, 422, "malformed_request"),
        ({"surprise": 1}, 422, "malformed_request"),
    ],
)
async def test_an_announcement_beyond_the_limits_is_refused(
    api: Api, change: dict[str, Any], status: int, code: str
):
    ada = await api.add_person()
    answer = await ada.call("POST", "", ORDER | change)
    assert (answer.status_code, answer.json()["error"]) == (status, code)


async def test_a_person_has_only_so_many_unfinished_uploads(api: Api):
    ada, eve = await api.add_person(), await api.add_person()
    for _ in range(2):
        assert (await ada.call("POST", "", ORDER)).status_code == 201
    refused = await ada.call("POST", "", ORDER)
    assert (refused.status_code, refused.json()["error"]) == (429, "too_many_uploads")
    assert (await eve.call("POST", "", ORDER)).status_code == 201


async def test_a_stranger_cannot_announce_or_ask_for_their_own(api: Api):
    stranger = api.add_stranger()
    assert (await stranger.call("POST", "", ORDER)).status_code == 401
    assert (await stranger.call("GET", "?owner=me")).status_code == 401


async def test_an_open_video_shows_its_plain_address_to_everyone(api: Api):
    ada = await api.add_person()
    video_id = await api.add_ready_video(ada)
    shown = (await api.add_stranger().call("GET", f"/{video_id}")).json()
    assert shown["playback"] == {
        "hls": f"http://localhost:8001/v/{video_id}/master.m3u8",
        "dash": f"http://localhost:8001/v/{video_id}/manifest.mpd",
        "thumbnail": None,
        "preview": None,
        "storyboard": f"http://localhost:8001/v/{video_id}/storyboard.vtt",
        "waveform": None,
        "keys": None,
        "download": f"http://localhost:8000/v1/videos/{video_id}/download",
        "left_out": [],
    }
    assert shown["owner"]["id"] == str(ada.id)
    assert shown["error"] is None


async def test_a_private_video_is_only_there_for_its_owner_and_moderators(api: Api):
    ada, eve = await api.add_person(), await api.add_person()
    warden = await api.add_person(Role.MODERATOR)
    video_id = await api.add_ready_video(ada, "private")
    for person, status in ((ada, 200), (warden, 200), (eve, 404), (api.add_stranger(), 404)):
        assert (await person.call("GET", f"/{video_id}")).status_code == status
    shown = (await ada.call("GET", f"/{video_id}")).json()
    assert shown["playback"]["hls"].startswith("http://localhost:8001/t/")


async def test_followers_see_what_is_for_followers(api: Api):
    ada, bob = await api.add_person(), await api.add_person()
    video_id = await api.add_ready_video(ada, "followers")
    assert (await bob.call("GET", f"/{video_id}")).status_code == 404
    async with api.world.database.transaction() as connection:
        await add_follow(connection, bob.id, ada.id, api.clock.now())
    assert (await bob.call("GET", f"/{video_id}")).status_code == 200


async def test_lists_page_and_keep_what_is_not_open_to_their_owner(api: Api):
    ada = await api.add_person()
    made = [await api.add_ready_video(ada) for _ in range(3)]
    hidden = await api.add_ready_video(ada, "private")
    stranger = api.add_stranger()
    first = (await stranger.call("GET", "?limit=2")).json()
    rest = (await stranger.call("GET", f"?limit=2&cursor={first['next_cursor']}")).json()
    ids = [uuid.UUID(item["id"]) for item in first["items"] + rest["items"]]
    assert ids == made[::-1]
    assert rest["next_cursor"] is None
    mine = (await ada.call("GET", "?owner=me")).json()
    assert [uuid.UUID(item["id"]) for item in mine["items"]] == [hidden, *made[::-1]]
    assert (await stranger.call("GET", "?cursor=rubbish")).status_code == 422


async def test_only_the_owner_changes_a_video(api: Api):
    ada, eve = await api.add_person(), await api.add_person()
    video_id = await api.add_ready_video(ada)
    changed = await ada.call("PATCH", f"/{video_id}", {"title": "A run", "visibility": "private"})
    assert (changed.status_code, changed.json()["title"]) == (200, "A run")
    assert changed.json()["visibility"] == "private"
    assert (await eve.call("PATCH", f"/{video_id}", {"title": "Mine"})).status_code == 404
    await ada.call("PATCH", f"/{video_id}", {"visibility": "public"})
    assert (await eve.call("PATCH", f"/{video_id}", {"title": "Mine"})).status_code == 403


async def test_a_deleted_video_disappears_at_once_and_its_bytes_when_purged(api: Api):
    ada, eve = await api.add_person(), await api.add_person()
    video_id = await api.add_ready_video(ada)
    await api.world.objects.put(f"videos/{video_id}/source", b"bytes")
    assert (await eve.call("DELETE", f"/{video_id}")).status_code == 403
    ports = api.world.ports(InlineMedia(api.world.objects))
    await purge_video(ports, job_payload(video_id))
    assert await api.world.objects.exists(f"videos/{video_id}/source")
    assert (await ada.call("DELETE", f"/{video_id}")).status_code == 204
    assert (await ada.call("GET", f"/{video_id}")).status_code == 404
    assert (await ada.call("DELETE", f"/{video_id}")).status_code == 404
    assert await api.world.list_events(video_id) == ["video.deleted"]
    for _ in range(2):
        await purge_video(ports, job_payload(video_id))
    assert not await api.world.objects.exists(f"videos/{video_id}/source")
    async with api.world.database.connection() as connection:
        assert await find_playback(connection, video_id) is None


@pytest.mark.parametrize(("days", "wait_s"), [(30, 30 * 86_400), (3, 3 * 86_400), (0, 120)])
async def test_the_bytes_of_a_deleted_video_go_when_the_site_wants_it(
    world: VideoWorld, days: int, wait_s: int
):
    default = world.settings.processing
    assert default.deleted_kept_days == 30
    settings = replace(world.settings, processing=replace(default, deleted_kept_days=days))
    kept = VideoWorld(settings, world.database, world.cache, world.objects)
    ports = kept.ports(InlineMedia(world.objects))
    runner = JobRunner(ports, {PURGE_JOB: HANDLERS[PURGE_JOB]}, {}, RunnerOptions(poll_every_s=0.2))
    await runner.start()
    async with serve_videos(kept) as api:
        ada = await api.add_person()
        video_id = await api.add_ready_video(ada)
        await world.objects.put(f"videos/{video_id}/source", b"bytes")
        assert (await ada.call("DELETE", f"/{video_id}")).status_code == 204
    async with world.database.connection() as connection:
        (wait,) = await connection.fetch("SELECT execute_after - created AS time FROM pgqueuer")
        assert wait["time"].total_seconds() == wait_s
        assert await world.objects.exists(f"videos/{video_id}/source")
        await connection.execute("UPDATE pgqueuer SET execute_after = created")
    async with asyncio.timeout(60):
        while await world.objects.exists(f"videos/{video_id}/source"):
            await asyncio.sleep(0.05)
    await runner.drain(2.0)


async def test_deleting_a_video_ends_its_unfinished_upload(api: Api):
    ada = await api.add_person()
    created = (await ada.call("POST", "", ORDER)).json()
    assert (await ada.call("DELETE", f"/{created['id']}")).status_code == 204
    async with api.world.database.connection() as connection:
        upload = await uploads.find_upload_of_video(connection, uuid.UUID(created["id"]))
    assert upload is not None
    assert upload.state == "terminated"
    assert (await ada.call("POST", "", ORDER)).status_code == 201


async def test_an_upload_that_was_not_completed_in_time_fails_its_video(api: Api):
    ada = await api.add_person()
    video_id = uuid.UUID((await ada.call("POST", "", ORDER)).json()["id"])
    ports = api.world.ports(InlineMedia(api.world.objects))
    async with api.world.database.transaction() as connection:
        upload = await uploads.find_upload_of_video(connection, video_id)
        assert upload is not None
    await api.world.objects.put(uploads.make_part_key(upload.id, 0), b"half")
    await expire_video(ports, job_payload(video_id))
    assert (await api.world.get_video(video_id)).status == "uploading"
    async with api.world.database.transaction() as connection:
        await connection.execute("UPDATE uploads SET expires_at = now()")
    for _ in range(2):
        await expire_video(ports, job_payload(video_id))
    shown = (await ada.call("GET", f"/{video_id}")).json()
    assert (shown["status"], shown["error"]["code"]) == ("failed", "upload_expired")
    assert await api.world.objects.list("uploads") == []


async def test_an_upload_whose_time_began_anew_is_looked_at_when_that_is_over(api: Api):
    ada = await api.add_person()
    video_id = uuid.UUID((await ada.call("POST", "", ORDER)).json()["id"])
    ports = api.world.ports(InlineMedia(api.world.objects))
    async with api.world.database.transaction() as connection:
        await connection.execute("UPDATE uploads SET expires_at = expires_at + interval '1 hour'")
        upload = await uploads.find_upload_of_video(connection, video_id)
        assert upload is not None
    for _ in range(2):
        await expire_video(ports, job_payload(video_id))
    async with api.world.database.transaction() as connection:
        rows = await connection.fetch(
            "SELECT execute_after FROM pgqueuer WHERE entrypoint = $1 ORDER BY id", EXPIRE_JOB
        )
    assert len(rows) == 2  # the one of the beginning, and another
    assert rows[0]["execute_after"] < upload.expires_at < rows[1]["execute_after"]
    assert (await api.world.get_video(video_id)).status == "uploading"


async def add_finished_video(api: Api, owner: Person) -> str:
    """A ready video whose file and plan are there."""
    video_id = await api.add_ready_video(owner)
    info = replace(describe_source(20.0, 30), warnings=(LEFT_OUT,))
    plan = plan_video(info, PlanOrder(str(video_id), "source"))
    async with api.world.database.transaction() as connection:
        await videos.set_source(connection, video_id, videos.VideoSource("source", b"x" * 32, 1))
        dimensions = video_plans.Dimensions(20_000, 1280, 720)
        await video_plans.set_plan(
            connection, video_id, orjson.loads(encode_json(plan)), dimensions
        )
    return str(video_id)


async def test_only_the_owner_is_told_what_of_the_file_was_left_out(api: Api):
    ada, bob = await api.add_person(), await api.add_person()
    path = f"/{await add_finished_video(api, ada)}"
    assert (await ada.call("GET", path)).json()["warnings"] == [LEFT_OUT]
    (mine,) = (await ada.call("GET", "?owner=me")).json()["items"]
    assert mine["warnings"] == [LEFT_OUT]
    for other in (bob, api.add_stranger()):
        assert (await other.call("GET", path)).json()["warnings"] == []
    (listed,) = (await bob.call("GET", "")).json()["items"]
    assert listed["warnings"] == []


async def test_asking_twice_for_the_same_version_asks_once(api: Api):
    ada = await api.add_person()
    path = f"/{await add_finished_video(api, ada)}"
    choice = (await ada.call("GET", f"{path}/reencode")).json()
    assert choice["qualities"] == ["480p", "360p", "240p"]
    asked = {"quality_max": "480p"}
    for _time in range(2):
        answer = await ada.call("POST", f"{path}/reencode", asked)
        assert answer.status_code == 202, answer.text
        assert answer.json()["status"] == "ready"
        assert answer.json()["reencoding"]["status"] == "queued"
    async with api.world.database.connection() as connection:
        assert (await count_jobs(connection)).queued == 1
    other = await ada.call("POST", f"{path}/reencode", {"quality_max": "240p"})
    assert (other.status_code, other.json()["error"]) == (409, "reencoding_in_work")
    (listed,) = (await ada.call("GET", "?owner=me")).json()["items"]
    assert listed["reencoding"]["recipe"]["quality_max"] == "480p"
    assert (await ada.call("POST", f"{path}/cancel")).json()["reencoding"] is None


async def test_only_owners_and_administrators_have_a_video_made_again(api: Api):
    ada, bob = await api.add_person(), await api.add_person()
    path = f"/{await add_finished_video(api, ada)}/reencode"
    assert (await bob.call("POST", path, {})).status_code == 403
    moderator = await api.add_person(Role.MODERATOR)
    assert (await moderator.call("POST", path, {})).status_code == 403
    admin = await api.add_person(Role.ADMIN)
    assert (await admin.call("POST", path, {})).status_code == 202
    async with api.world.database.connection() as connection:
        (act,) = await list_audit(connection, before=None, limit=5)
    assert (act.action, act.subject) == ("video.reencode", f"video:{path.split('/')[1]}")


async def test_a_person_has_so_many_videos_made_again_at_a_time(api: Api):
    ada = await api.add_person()
    limit = api.world.settings.processing.reencodings_per_user_max
    answers = [
        await ada.call("POST", f"/{await add_finished_video(api, ada)}/reencode", {})
        for _number in range(limit + 1)
    ]
    assert [answer.status_code for answer in answers] == [202] * limit + [429]


async def test_what_has_no_file_or_is_in_work_is_not_made_again(api: Api):
    ada = await api.add_person()
    bare = await api.add_ready_video(ada)
    refused = await ada.call("POST", f"/{bare}/reencode", {})
    assert refused.json()["error"] == "video_has_no_source"
    created = (await ada.call("POST", "", ORDER)).json()
    early = await ada.call("POST", f"/{created['id']}/reencode", {})
    assert early.json()["error"] == "video_in_work"
    odd = await ada.call("POST", f"/{bare}/reencode", {"quality_max": "500p"})
    assert odd.status_code == 422


def test_a_codec_without_its_encoder_is_refused():
    recipe = Recipe(codecs=("av1", "hevc"))
    check_encoders(recipe, {"vp9": "libvpx-vp9"})
    with pytest.raises(CodecUnavailable):
        check_encoders(recipe, {"av1": "libsvtav1"})
