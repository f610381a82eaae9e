"""A protected video from its announcement to its keys: real media, real rows."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import re
import uuid
from dataclasses import replace

import av
import av.error
import msgspec
import orjson
import pytest

from kit.clock import SystemClock
from kit.ids import make_id
from kit.setting_sections import ProcessingSettings
from media.vod.recipe import Recipe
from serve_apps.access.identity import Identity
from serve_apps.access.visibility import Visibility
from serve_apps.videos.jobs import process_video
from serve_apps.videos.reencoding import reencode_video
from serve_apps.videos.reencoding_rules import VersionJob, request_reencoding
from serve_apps.videos.service import VideoOrder, open_upload
from storage import video_versions
from tests.serve_apps.edge.playback_client import Player, serve_playback
from tests.serve_apps.videos.api_stage import Api
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload, make_clip
from tests.storage.video_rows import create_owner

pytestmark = pytest.mark.media

KEY_ID = re.compile(r"#EXT-X-KEY:.*KEYID=0x([0-9a-f]{32})")
STALE_S = 1.1
ANNOUNCED = {"title": "Mine", "filename": "a.mp4", "size_bytes": 9}


@pytest.fixture(autouse=True)
def _secret(world: VideoWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers read the secret from their own settings."""
    monkeypatch.setenv("SOCIALFLOW_AUTH_CONTENT_KEY", world.settings.auth.content_key)


@pytest.fixture(scope="module")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Lend two seconds of moving picture and tone."""
    return make_clip(tmp_path_factory.mktemp("short") / "a.mp4", length_s=2).read_bytes()


async def make_ready(world: VideoWorld, clip: bytes, *, is_protected: bool) -> uuid.UUID:
    video_id = await world.upload(clip)
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE videos SET is_protected = $2 WHERE id = $1", video_id, is_protected
        )
    await process_video(world.ports(InlineMedia(world.objects)), job_payload(video_id))
    assert (await world.get_video(video_id)).status == "ready"
    return video_id


async def fetch_key(player: Player, video_id: uuid.UUID, playlist: str) -> str:
    """Do what a player does: read the id, ask for the key; in hex."""
    found = KEY_ID.search((await player.get(f"/v/{video_id}/{playlist}")).text)
    assert found is not None
    kid = base64.urlsafe_b64encode(bytes.fromhex(found[1])).rstrip(b"=").decode()
    answer = await player.ask_keys(f"/v/{video_id}/keys", {"kids": [kid], "type": "temporary"})
    assert answer.status == 200
    (key,) = orjson.loads(answer.body)["keys"]
    assert key["kid"] == kid
    return base64.urlsafe_b64decode(key["k"] + "==").hex()


def hash_frames(data: bytes, key: str = "") -> list[str]:
    options = {"decryption_key": key} if key else {}
    with av.open(io.BytesIO(data), options=options) as container:
        frames = list(container.decode(container.streams[0]))
    return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in frames]


def hash_or_none(data: bytes, key: str = "") -> set[str]:
    try:
        return set(hash_frames(data, key))
    except av.error.FFmpegError:
        return set()


async def test_what_the_edge_sends_plays_with_the_key_it_gives_and_not_without(
    world: VideoWorld, clip: bytes
):
    plain_id = await make_ready(world, clip, is_protected=False)
    video_id = await make_ready(world, clip, is_protected=True)
    async with serve_playback(
        world.settings, world.database, world.objects, SystemClock()
    ) as player:
        renditions = await player.list_renditions(f"/v/{video_id}/master.m3u8")
        plain = await player.list_renditions(f"/v/{plain_id}/master.m3u8")
        assert set(renditions) == {"240p.m3u8", "320p.m3u8", "audio.m3u8"}
        for name in ("240p.m3u8", "audio.m3u8"):
            expected = hash_frames(await player.fetch_rendition(plain[name]))
            data = await player.fetch_rendition(renditions[name])
            key = await fetch_key(player, video_id, name)
            assert hash_frames(data, key) == expected
            for wrong in ("", "00" * 16):
                assert not hash_or_none(data, wrong) & set(expected)


async def test_the_owner_chooses_and_where_they_do_not_the_site_does(world: VideoWorld):
    protecting = replace(world.settings, processing=ProcessingSettings(protected=True))
    expected = {(None, False): False, (None, True): True, (False, True): False, (True, False): True}
    for (asked, site), found in expected.items():
        settings = protecting if site else world.settings
        async with world.database.transaction() as connection:
            owner_id = await create_owner(connection, f"u{uuid.uuid4().hex[:8]}")
            owner = Identity(owner_id, make_id(), "ada")
            order = VideoOrder("A", "a.mp4", 9, "", Visibility.PUBLIC, is_protected=asked)
            video_id, _upload_id, _expires_at = await open_upload(
                connection, settings, owner, order
            )
        assert (await world.get_video(video_id)).is_protected is found


async def test_a_protecting_site_leaves_its_other_codecs_out_of_protected_videos(
    world: VideoWorld, short_clip: bytes
):
    processing = ProcessingSettings(protected=True, codecs=("vp9",), short_side_max=240)
    there = VideoWorld(
        replace(world.settings, processing=processing), world.database, world.cache, world.objects
    )
    video_id = await make_ready(there, short_clip, is_protected=True)
    async with serve_playback(
        world.settings, world.database, world.objects, SystemClock()
    ) as player:
        assert set(await player.list_renditions(f"/v/{video_id}/master.m3u8")) == {
            "240p.m3u8",
            "audio.m3u8",
        }


@pytest.mark.parametrize("is_protected", [False, True])
async def test_making_it_again_changes_the_choice_and_the_version_before_plays_on(
    world: VideoWorld, short_clip: bytes, is_protected: bool
):
    video_id = await make_ready(world, short_clip, is_protected=not is_protected)
    video = await world.get_video(video_id)
    recipe = Recipe(short_side_max=240, is_protected=is_protected)
    async with world.database.transaction() as connection:
        await connection.execute("DELETE FROM pgqueuer")  # jobs before ended outside a runner
        owner = Identity(video.owner_id, make_id(), "ada")
        await request_reencoding(connection, ProcessingSettings(), owner, video_id, recipe)
        (making,) = await video_versions.list_makings(connection, [video_id])
    job = msgspec.json.encode(VersionJob(video_id, making.version))
    async with serve_playback(
        world.settings, world.database, world.objects, SystemClock()
    ) as player:
        before = await player.list_renditions(f"/v/{video_id}/master.m3u8")
        keys = {} if is_protected else {"240p": await fetch_key(player, video_id, "240p.m3u8")}
        await reencode_video(world.ports(InlineMedia(world.objects)), job)
        await asyncio.sleep(STALE_S)
        after = await world.get_video(video_id)
        assert (after.version, after.is_protected) == (2, is_protected)
        if is_protected:
            keys["v2-240p"] = await fetch_key(player, video_id, "v2-240p.m3u8")
        else:
            assert await fetch_key(player, video_id, "240p.m3u8") == keys["240p"]
        old = await player.fetch_rendition(before["240p.m3u8"])
        new = await player.fetch_rendition(f"/v/{video_id}/v2-240p.m3u8")
        shown = hash_frames(new, keys.get("v2-240p", ""))
        assert hash_frames(old, keys.get("240p", "")) == shown
        assert not hash_or_none(new if is_protected else old) & set(shown)


async def test_the_api_takes_the_choice_and_says_where_keys_are(api: Api):
    owner = await api.add_person()
    for asked, expected in (({}, False), ({"protected": True}, True)):
        created = await owner.call("POST", "", {**ANNOUNCED, **asked})
        assert created.status_code == 201
        shown = (await owner.call("GET", f"/{created.json()['id']}")).json()
        assert shown["protected"] is expected
    video_id = await api.add_ready_video(owner)
    plain = (await owner.call("GET", f"/{video_id}")).json()
    assert (plain["protected"], plain["playback"]["keys"]) == (False, None)
    assert plain["playback"]["download"].endswith(f"/v1/videos/{video_id}/download")
    async with api.world.database.transaction() as connection:
        await connection.execute("UPDATE videos SET is_protected = true WHERE id = $1", video_id)
    shown = (await owner.call("GET", f"/{video_id}")).json()
    assert shown["protected"] is True
    assert shown["playback"]["keys"].endswith(f"/v/{video_id}/keys")
    assert shown["playback"]["download"] is None


async def test_protection_stays_when_it_is_not_named_and_goes_with_no_other_codecs(api: Api):
    owner = await api.add_person()
    video_id = await api.add_ready_video(owner)
    async with api.world.database.transaction() as connection:
        await connection.execute(
            "UPDATE videos SET is_protected = true, source_key = 'sources/a' WHERE id = $1",
            video_id,
        )
    refused = await owner.call("POST", f"/{video_id}/reencode", {"codecs": ["vp9"]})
    assert (refused.status_code, refused.json()["error"]) == (409, "codecs_not_protected")
    asked = await owner.call("POST", f"/{video_id}/reencode", {"quality_max": "240p"})
    assert asked.status_code == 202
    assert asked.json()["reencoding"]["recipe"]["protected"] is True
