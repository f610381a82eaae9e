"""Playback over a real port: playlists from rows, bytes from objects, and who is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kit.clock import ManualClock
from kit.ids import make_id
from kit.settings import Settings
from media.vod.records import (
    preview_key,
    track_key,
)
from storage import videos
from storage.database import Database, PoolOptions
from storage.objects import ObjectStore
from storage.publications import Publication, open_due_video, schedule_video
from tests.media.playlist_rules import check_presentation
from tests.serve_apps.edge.playback_client import check_conditions, serve_playback
from tests.serve_apps.edge.playback_world import (
    World,
    add_video,
)
from tests.storage.gate import Gate
from tests.storage.video_rows import create_owner, create_video_row

pytestmark = pytest.mark.db


@pytest.fixture
async def world(
    settings: Settings, database: Database, objects: ObjectStore, clock: ManualClock
) -> AsyncIterator[World]:
    async with serve_playback(settings, database, objects, clock) as player:
        yield World(player, settings, database, objects, clock)


async def test_segments_are_cached_for_ever_and_playlists_are_asked_for_again(world: World):
    video_id = await add_video(world)
    master = await world.player.get(f"/v/{video_id}/master.m3u8")
    assert master.status == 200
    assert master.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    assert "no-cache" in master.headers["Cache-Control"]
    again = await world.player.get(
        f"/v/{video_id}/master.m3u8", If_None_Match=master.headers["ETag"]
    )
    assert (again.status, again.body) == (304, b"")
    segment = await world.player.get(f"/v/{video_id}/320p/00001.m4s")
    assert (segment.status, segment.body) == (200, b"1!")
    assert "immutable" in segment.headers["Cache-Control"]
    assert segment.headers["Content-Type"] == "video/mp4"
    assert segment.headers["Access-Control-Allow-Origin"] == "*"
    sound = await world.player.get(f"/v/{video_id}/audio/init.mp4")
    assert sound.headers["Content-Type"] == "audio/mp4"


async def test_a_range_of_a_segment_is_sent_alone(world: World):
    video_id = await add_video(world)
    path = f"/v/{video_id}/240p/init.mp4"
    part = await world.player.get(path, Range="bytes=4-11")
    assert (part.status, part.body) == (206, b"initinit")
    assert part.headers["Content-Range"] == "bytes 4-11/400"
    beyond = await world.player.get(path, Range="bytes=999-")
    assert beyond.status == 416
    head = await world.player.get(path, method="HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, "400")
    preflight = await world.player.get(path, method="OPTIONS")
    assert "Range" in preflight.headers["Access-Control-Allow-Headers"]


async def test_a_bucket_is_passed_on_with_ranges(
    settings: Settings, database: Database, clock: ManualClock
):
    bucket = ObjectStore.open("memory:///")
    async with serve_playback(settings, database, bucket, clock) as player:
        world = World(player, settings, database, bucket, clock)
        video_id = await add_video(world)
        path = f"/v/{video_id}/240p/init.mp4"
        whole = await player.get(path)
        part = await player.get(path, Range="bytes=-6")
        beyond = await player.get(path, Range="bytes=999-")
        await bucket.delete(track_key(str(video_id), "240p", "init.mp4"))
        missing = await player.get(path)
    assert (whole.status, whole.body) == (200, b"init" * 100)
    assert (part.status, part.body, part.headers["Content-Range"]) == (
        206,
        b"itinit",
        "bytes 394-399/400",
    )
    assert beyond.status == 416
    assert missing.status == 404


async def test_caches_are_told_that_texts_come_compressed_or_not(world: World):
    video_id = await add_video(world, length_s=120.0)
    for name in ("master.m3u8", "240p.m3u8", "manifest.mpd", "storyboard.vtt"):
        path = f"/v/{video_id}/{name}"
        plain = await world.player.get(path, Accept_Encoding="identity")
        short = await world.player.get(path, Accept_Encoding="gzip")
        known = await world.player.get(path, If_None_Match=short.headers["ETag"])
        assert plain.body == short.body
        assert "Content-Encoding" not in plain.headers
        assert short.headers.get("Content-Encoding") == (
            "gzip" if len(plain.body) >= 1024 else None
        )
        assert (known.status, known.body) == (304, b"")
        for answer in (plain, short, known):
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert answer.headers["ETag"].startswith('W/"'), "one tag for both"


async def test_an_object_has_the_same_tag_in_every_store_and_conditions_are_kept(world: World):
    video_id = await add_video(world)
    async with world.database.transaction() as connection:
        await videos.set_preview(connection, video_id)
    await world.objects.put(preview_key(str(video_id)), b"three seconds")
    bucket = ObjectStore.open("memory:///")
    for entry in await world.objects.list(f"videos/{video_id}"):
        await bucket.put(entry.key, await world.objects.get(entry.key))
    names = ("320p/00001.m4s", "240p/init.mp4", "audio/init.mp4", "thumbnail.jpg", "preview.mp4")
    paths = [f"/v/{video_id}/{name}" for name in (*names, "storyboard/00001.jpg")]
    filed = [await check_conditions(world.player, path) for path in paths]
    async with serve_playback(world.settings, world.database, bucket, world.clock) as player:
        fetched = [await check_conditions(player, path) for path in paths]
        await bucket.delete(track_key(str(video_id), "240p", "init.mp4"))
        missing = await player.get(f"/v/{video_id}/240p/init.mp4", If_None_Match="*")
    assert [it.headers["ETag"] for it in filed] == [it.headers["ETag"] for it in fetched]
    assert [it.body for it in filed] == [it.body for it in fetched]
    assert len({it.headers["ETag"] for it in filed}) == len(paths)
    assert missing.status == 404


@pytest.mark.parametrize(
    "tail",
    [
        "other.m3u8",
        "source",
        "320p/source",
        "320p/00003.m4s",
        "320p/1.m4s",
        "320p/00001.m4s.bak",
        "320p/%2e%2e%2f%2e%2e%2fsource",
        "%2e%2e/source",
        "records/audio.json",
        "320p/00001.m4s%00",
        "480p/00001.m4s",
    ],
)
async def test_only_what_the_records_list_has_an_address(world: World, tail: str):
    video_id = await add_video(world)
    await world.objects.put(f"videos/{video_id}/source", b"the owner's file")
    answer = await world.player.get(f"/v/{video_id}/{tail}")
    assert answer.status == 404
    assert b"owner's file" not in answer.body


async def test_only_complete_renditions_are_offered_while_work_goes_on(world: World):
    video_id = await add_video(world, lacks="rest")
    renditions = await world.player.list_renditions(f"/v/{video_id}/master.m3u8")
    assert set(renditions) == {"240p.m3u8", "audio.m3u8"}
    assert (await world.player.get(f"/v/{video_id}/320p/00000.m4s")).status == 404


async def test_the_first_seconds_play_while_the_rest_is_made(world: World):
    video_id = await add_video(
        world, lacks="audio$|audio-more|rest|first-0000[1-9]", length_s=200.0
    )
    base = f"/v/{video_id}"
    renditions = await world.player.list_renditions(f"{base}/master.m3u8")
    assert set(renditions) == {"240p.m3u8", "audio.m3u8"}
    picture = (await world.player.get(f"{base}/240p.m3u8")).text
    assert "#EXT-X-PLAYLIST-TYPE:EVENT\n" in picture
    assert "#EXT-X-ENDLIST" not in picture
    assert picture.count("#EXTINF") == 1
    # Sound that is there already is listed as far as the picture: none ends far after the others.
    assert (await world.player.get(f"{base}/audio.m3u8")).text.count("#EXTINF") == 1
    assert (await world.player.get(f"{base}/240p/00000.m4s")).status == 200
    assert (await world.player.get(f"{base}/240p/00001.m4s")).status == 404


async def test_every_playlist_keeps_the_rules_and_names_what_is_there(world: World):
    video_id = await add_video(world)
    tails = await world.list_files(video_id)
    bodies = {tail: (await world.player.get(f"/v/{video_id}/{tail}")).body for tail in tails}
    playlists = {tail: body for tail, body in bodies.items() if tail.endswith(".m3u8")}
    found = check_presentation(playlists, lambda tail: len(bodies[tail]))
    assert set(found) == {
        *("240p.m3u8", "320p.m3u8", "audio.m3u8"),
        *("subtitles-en.m3u8", "storyboard.m3u8"),
    }


async def test_an_unknown_or_unfinished_video_is_not_found(world: World):
    assert (await world.player.get(f"/v/{make_id()}/master.m3u8")).status == 404
    assert (await world.player.get("/v/none/master.m3u8")).status == 404
    async with world.database.transaction() as connection:
        video_id = await create_video_row(connection, await create_owner(connection))
    assert (await world.player.get(f"/v/{video_id}/master.m3u8")).status == 404


async def test_a_deleted_video_is_gone_within_a_second(world: World):
    video_id = await add_video(world)
    segment = f"/v/{video_id}/320p/00000.m4s"
    assert (await world.player.get(segment)).status == 200
    async with world.database.transaction() as connection:
        await videos.delete_video(connection, video_id)
    world.clock.advance(1.1)
    assert (await world.player.get(segment)).status == 410
    assert (await world.player.get(f"/v/{video_id}/thumbnail.jpg")).status == 410


@pytest.mark.parametrize("visibility", ["private", "followers", "subscribers"])
async def test_a_video_that_is_not_open_needs_a_grant_for_itself(world: World, visibility: str):
    video_id = await add_video(world, visibility=visibility)
    other_id = await add_video(world)
    for name in ("best", "240p"):
        path = f"/v/{video_id}/download/{name}.mp4"
        for way in ("", world.grant(other_id), "/t/forged"):
            assert (await world.player.get(way + path)).status == 403
    tails = await world.list_files(video_id)
    assert {"subtitles/en-1.vtt", "storyboard/00001.jpg", "320p/00000.m4s"} <= set(tails)
    kinds = {tail.rpartition(".")[2] for tail in tails}
    assert kinds == {"m3u8", "mpd", "m4s", "mp4", "vtt", "jpg"}, "every kind of file is walked"
    for tail in tails:
        path = f"/v/{video_id}/{tail}"
        assert (await world.player.get(path)).status == 403
        assert (await world.player.get(world.grant(other_id) + path)).status == 403
        assert (await world.player.get(f"/t/forged{path}")).status == 403
        assert (await world.player.get(world.grant(video_id) + path)).status == 200, tail
    renditions = await world.player.list_renditions(
        f"{world.grant(video_id)}/v/{video_id}/master.m3u8"
    )
    assert len(await world.player.fetch_rendition(renditions["320p.m3u8"])) == 406


async def test_a_grant_ends_with_its_time_its_session_and_every_change_of_who_may_see(
    world: World,
):
    video_id = await add_video(world, visibility="private")
    session_id = make_id()
    path = f"/v/{video_id}/master.m3u8"
    grant = world.grant(video_id, session=session_id)
    assert (await world.player.get(grant + path)).status == 200
    world.player.revoked.add(session_id)
    assert (await world.player.get(grant + path)).status == 403
    grant = world.grant(video_id)
    async with world.database.transaction() as connection:
        await videos.change_video(
            connection, video_id, title=None, description=None, visibility="followers"
        )
    world.clock.advance(1.1)
    assert (await world.player.get(grant + path)).status == 403
    grant = world.grant(video_id, access_version=2)
    assert (await world.player.get(grant + path)).status == 200
    world.clock.advance(601)
    assert (await world.player.get(grant + path)).status == 403


async def test_a_video_that_waits_for_its_time_plays_for_grants_alone_and_then_for_everybody(
    world: World,
):
    video_id = await add_video(world)
    assert (await world.player.get(f"/v/{video_id}/preview.mp4")).status == 404
    await world.objects.put(preview_key(str(video_id)), b"three seconds")
    async with world.database.transaction() as connection:
        await videos.set_preview(connection, video_id)
    paths = [f"/v/{video_id}/{name}" for name in ("320p/00000.m4s", "preview.mp4")]

    async def ask(way: str = "") -> set[int]:
        world.clock.advance(1.1)
        return {(await world.player.get(way + path)).status for path in paths}

    assert await ask() == {200}
    async with world.database.transaction() as connection:
        at = await connection.fetchval("SELECT now() + interval '1 hour'")
        await schedule_video(connection, video_id, Publication(at, "public"))
    assert await ask() == {403}
    assert await ask(world.grant(video_id, access_version=1)) == {403}
    assert await ask(world.grant(video_id, access_version=2)) == {200}
    async with world.database.transaction() as connection:
        await connection.execute("UPDATE videos SET publish_at = now()")
        assert await open_due_video(connection, video_id)
    assert await ask() == {200}


async def test_an_unlisted_video_plays_for_whoever_has_its_address(world: World):
    video_id = await add_video(world, visibility="unlisted")
    assert (await world.player.get(f"/v/{video_id}/master.m3u8")).status == 200


async def test_known_videos_play_on_while_the_database_is_away(
    world: World, database_dsn: str, clock: ManualClock
):
    video_id = await add_video(world)
    segment = f"/v/{video_id}/320p/00000.m4s"
    gate = Gate(database_dsn)
    await gate.open()
    behind = Database(gate.dsn, PoolOptions(size=2, wait_s=60.0))
    await behind.open()
    async with serve_playback(world.settings, behind, world.objects, clock) as player:
        assert (await player.get(segment)).status == 200
        await gate.shut()
        clock.advance(30)
        assert (await player.get(segment)).status == 200
        assert (await player.get(f"/v/{make_id()}/master.m3u8")).status == 503
        clock.advance(31)
        assert (await player.get(segment)).status == 503
        await gate.open()
        assert (await player.get(segment)).status == 200
    await behind.close()
    await gate.shut()
