"""Fixtures of the videos tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kit.settings import Settings
from storage.cache import Cache
from storage.database import Database
from storage.objects import ObjectStore
from tests.serve_apps.videos.api_stage import Api, serve_videos
from tests.serve_apps.videos.arriving import Arriving, CountingMedia, make_film
from tests.serve_apps.videos.video_world import VideoWorld, make_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Lend nine seconds of moving picture and tone."""
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4").read_bytes()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Lend a file that takes a while to arrive."""
    return make_film(tmp_path_factory.mktemp("film") / "a.mp4")


@pytest.fixture
async def arriving(world: VideoWorld, film: bytes) -> Arriving:
    """Lend an upload of it that has begun."""
    found = Arriving(world, CountingMedia(world.objects), film)
    await found.open()
    return found


@pytest.fixture
def world(settings: Settings, database: Database, cache: Cache, objects: ObjectStore) -> VideoWorld:
    """Lend empty storage to put videos into."""
    return VideoWorld(settings, database, cache, objects)


@pytest.fixture
async def api(world: VideoWorld) -> AsyncIterator[Api]:
    """Lend the videos routes."""
    async with serve_videos(world) as api:
        yield api
