"""A film whose sound was passed on gets one as loud as others', and is whole without it."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from media.vod.source import MediaUnreadable
from serve_apps.videos.jobs import process_video
from storage.objects import ObjectStoreFailed
from tests.media.vod.test_copying import film
from tests.serve_apps.edge.playback_client import Player
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.test_processing import play
from tests.serve_apps.videos.video_world import VideoWorld, job_payload

pytestmark = pytest.mark.media

COPIED, EVEN = "audio.m3u8", "audio-even.m3u8"


@pytest.fixture(scope="module")
def passed_on(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Lend eleven quiet seconds that are passed on, picture and sound."""
    return film(tmp_path_factory.mktemp("film") / "a.mp4").read_bytes()


def before_even(act: Callable[[], Awaitable[None]]) -> Any:
    """What media awaits ahead of each task: `act` ahead of the even sound."""

    async def run(_task_name: str, payload: Any) -> None:
        if getattr(payload, "task_id", "") == "audio-even":
            await act()

    return run


async def list_sounds(player: Player, video_id: uuid.UUID) -> set[str]:
    """The addresses of sounds that a new playback may choose from."""
    found = await player.list_renditions(f"/v/{video_id}/master.m3u8")
    return {name for name in found if name.startswith("audio")}


async def test_it_plays_as_it_came_until_the_even_one_is_there_and_on_for_who_began(
    world: VideoWorld, passed_on: bytes
):
    video_id = await world.upload(passed_on)
    base = f"/v/{video_id}"
    begun: list[bytes] = []

    async with play(world) as early, play(world) as late:

        async def begin() -> None:
            assert (await world.get_video(video_id)).playable_at is not None
            assert await list_sounds(early, video_id) == {COPIED}
            begun.append(await early.fetch_rendition(f"{base}/{COPIED}"))

        media = InlineMedia(world.objects, before=before_even(begin))
        await process_video(world.ports(media), job_payload(video_id))
        assert (await world.get_video(video_id)).status == "ready"
        assert media.started[-1] == "audio-even"
        assert await list_sounds(late, video_id) == {EVEN}
        assert await late.fetch_rendition(f"{base}/{COPIED}") == begun[0]
        assert await late.fetch_rendition(f"{base}/{EVEN}") != begun[0]
        assert 'id="audio-even"' in (await late.get(f"{base}/manifest.mpd")).text


@pytest.mark.parametrize(("error", "tries"), [(ObjectStoreFailed, 3), (MediaUnreadable, 1)])
async def test_it_is_whole_where_no_even_one_can_be_made(
    world: VideoWorld, passed_on: bytes, error: type[Exception], tries: int
):
    async def fail() -> None:
        raise error

    video_id = await world.upload(passed_on)
    media = InlineMedia(world.objects, before=before_even(fail))
    await process_video(world.ports(media), job_payload(video_id))
    assert (await world.get_video(video_id)).status == "ready"
    assert media.started.count("audio-even") == tries
    async with play(world) as player:
        assert await list_sounds(player, video_id) == {COPIED}
        assert 'id="audio"' in (await player.get(f"/v/{video_id}/manifest.mpd")).text
