"""Keys of protected videos go to whoever may watch at that moment, and to nobody else."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from kit.clock import ManualClock
from kit.ids import make_id
from kit.setting_sections import AuthSettings
from kit.settings import Settings
from media.vod.protection import derive_key, make_key_id
from serve_apps.access.grants import TicketKind, TicketOrder, issue_ticket
from serve_apps.access.identity import Identity
from serve_apps.access.rates import RateTier, list_limits
from serve_apps.access.tokens import issue_access_token
from storage import videos
from storage.database import Database
from storage.objects import ObjectStore
from storage.publications import Publication, schedule_video
from tests.serve_apps.edge.playback_client import Fetched, serve_playback
from tests.serve_apps.edge.playback_world import World, add_video

pytestmark = pytest.mark.db

STALE_S = 1.1


@pytest.fixture
async def world(
    settings: Settings, database: Database, objects: ObjectStore, clock: ManualClock
) -> AsyncIterator[World]:
    async with serve_playback(settings, database, objects, clock) as player:
        yield World(player, settings, database, objects, clock)


def write_id(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_request(world: World, video_id: uuid.UUID, version: int = 1) -> dict[str, Any]:
    key_id = make_key_id(world.settings.auth.content_key, str(video_id), version)
    return {"kids": [write_id(bytes.fromhex(key_id))], "type": "temporary"}


async def ask(world: World, video_id: uuid.UUID, prefix: str = "", body: Any = None) -> Fetched:
    request = make_request(world, video_id) if body is None else body
    return await world.player.ask_keys(f"{prefix}/v/{video_id}/keys", request)


def code_of(answer: Fetched) -> tuple[int, str]:
    return answer.status, orjson.loads(answer.body)["error"]


async def test_a_public_videos_key_is_answered_as_a_clearkey_licence(world: World):
    video_id = await add_video(world, is_protected=True)
    answer = await ask(world, video_id)
    assert answer.status == 200
    secret = world.settings.auth.content_key
    key = derive_key(secret, make_key_id(secret, str(video_id), 1))
    assert orjson.loads(answer.body) == {
        "keys": [{"kty": "oct", "kid": write_id(key.id), "k": write_id(key.key)}],
        "type": "temporary",
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    preflight = await world.player.get(f"/v/{video_id}/keys", method="OPTIONS")
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert (await world.player.get(f"/v/{video_id}/keys")).status == 404


@pytest.mark.parametrize(
    ("visibility", "without", "granted"),
    [
        ("public", 200, 200),
        ("unlisted", 200, 200),
        ("followers", 403, 200),
        ("subscribers", 403, 200),
        ("private", 403, 200),
    ],
)
async def test_who_may_watch_gets_the_key(
    world: World, visibility: str, without: int, granted: int
):
    video_id = await add_video(world, visibility=visibility, is_protected=True)
    for prefix, expected in (("", without), (world.grant(video_id), granted)):
        segment = await world.player.get(f"{prefix}/v/{video_id}/240p/00000.m4s")
        answer = await ask(world, video_id, prefix)
        assert (answer.status, segment.status) == (expected, expected)


async def test_no_other_right_opens_a_private_videos_key(world: World):
    video_id = await add_video(world, visibility="private", is_protected=True)
    other_id = await add_video(world, visibility="private", is_protected=True)
    session, auth, now = make_id(), world.settings.auth, world.clock.now()
    access = issue_access_token(auth, Identity(make_id(), session, "ada"), now)
    order = TicketOrder(TicketKind.WHEP, video_id, "http://edge", make_id())
    grant = world.grant(video_id)
    assert code_of(await ask(world, video_id)) == (403, "grant_missing")
    for prefix in (world.grant(other_id), world.grant(video_id, access_version=2)):
        assert code_of(await ask(world, video_id, prefix)) == (403, "grant_outdated")
    for token in (access, issue_ticket(auth, order, now), grant[3:-2]):
        assert code_of(await ask(world, video_id, f"/t/{token}")) == (403, "grant_invalid")
    logged_out = world.grant(video_id, session=session)
    assert (await ask(world, video_id, logged_out)).status == 200
    world.player.revoked.add(session)
    assert code_of(await ask(world, video_id, logged_out)) == (403, "grant_outdated")
    assert (await ask(world, video_id, grant)).status == 200
    world.clock.advance(601)
    assert code_of(await ask(world, video_id, grant)) == (403, "grant_expired")


async def test_a_changed_visibility_and_a_deletion_end_the_keys_within_a_second(world: World):
    video_id = await add_video(world, is_protected=True)
    assert (await ask(world, video_id)).status == 200
    soon = world.clock.now() + timedelta(days=1)
    async with world.database.transaction() as connection:
        await schedule_video(connection, video_id, Publication(soon, "public"))
    world.clock.advance(STALE_S)
    assert code_of(await ask(world, video_id)) == (403, "grant_missing")
    assert code_of(await ask(world, video_id, world.grant(video_id))) == (403, "grant_outdated")
    async with world.database.transaction() as connection:
        await videos.delete_video(connection, video_id)
    world.clock.advance(STALE_S)
    assert code_of(await ask(world, video_id)) == (410, "video_gone")


async def test_what_has_no_such_key_answers_404(world: World):
    video_id = await add_video(world, is_protected=True)
    plain_id = await add_video(world)
    assert code_of(await ask(world, make_id())) == (404, "video_not_found")
    assert code_of(await ask(world, plain_id)) == (404, "content_key_not_found")
    wrong = make_request(world, plain_id)
    assert code_of(await ask(world, video_id, body=wrong)) == (404, "content_key_not_found")
    both = {"kids": wrong["kids"] + make_request(world, video_id)["kids"]}
    assert len(orjson.loads((await ask(world, video_id, body=both)).body)["keys"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        {"kids": []},
        {"kids": "AAAA"},
        {"kids": ["not base64!"]},
        {"kids": [7]},
        {"kids": ["AAAA"] * 17},
        {"kids": ["AAAA"], "type": "persistent-license"},
        b'{"kids": ["' + b"A" * 5000 + b'"]}',
    ],
)
async def test_a_malformed_licence_request_is_refused(world: World, body: Any):
    video_id = await add_video(world, is_protected=True)
    answer = await ask(world, video_id, body=body)
    assert code_of(answer) == (422, "licence_request_malformed")


async def test_a_caller_asks_for_only_so_many_keys(world: World):
    video_id = await add_video(world, is_protected=True)
    (limit,) = list_limits(RateTier.KEY, None)
    for _call in range(limit.calls):
        assert (await ask(world, video_id)).status == 200
    answer = await ask(world, video_id)
    assert code_of(answer) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await world.player.get(f"/v/{video_id}/240p/00000.m4s")).status == 200


async def test_an_edge_with_another_secret_says_that_it_cannot(
    world: World, objects: ObjectStore, clock: ManualClock
):
    video_id = await add_video(world, is_protected=True)
    auth: AuthSettings = replace(world.settings.auth, content_key="another")
    elsewhere = replace(world.settings, auth=auth)
    async with serve_playback(elsewhere, world.database, objects, clock) as player:
        answer = await player.ask_keys(f"/v/{video_id}/keys", make_request(world, video_id))
        assert code_of(answer) == (503, "content_key_unknown")


async def test_a_protected_video_is_not_offered_as_a_file(world: World):
    video_id = await add_video(world, is_protected=True)
    answer = await world.player.get(f"/v/{video_id}/download/best.mp4")
    assert code_of(answer) == (403, "download_protected")
