"""The videos routes over HTTP in one process, and people who call them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from fastapi import FastAPI

from kit.clock import Clock, SystemClock
from kit.ids import make_id
from kit.setting_sections import UploadSettings
from serve_apps.access.identity import Identity, Role
from serve_apps.access.revocations import RevocationBook
from serve_apps.access.tokens import issue_access_token
from serve_apps.http.errors import install_errors
from serve_apps.http.state import ApiPorts
from serve_apps.videos.download_routes import routes as download_routes
from serve_apps.videos.reencoding_routes import routes as reencoding_routes
from serve_apps.videos.routes import routes
from serve_apps.videos.subtitle_routes import routes as subtitle_routes
from serve_apps.videos.thumbnail_routes import routes as thumbnail_routes
from serve_apps.videos.trash_routes import routes as trash_routes
from storage import videos
from storage.rates import RateBook
from tests.serve_apps.videos.video_world import VideoWorld
from tests.storage.live_rows import create_session_row
from tests.storage.video_rows import create_owner, create_video_row


class NoRooms:
    async def end_live(self, room_id: uuid.UUID) -> None:
        raise AssertionError("no room was expected")


@dataclass
class Api:
    """A client of the videos routes, and what is behind them."""

    http: httpx.AsyncClient
    world: VideoWorld
    clock: Clock

    async def add_person(self, role: Role = Role.USER) -> Person:
        async with self.world.database.transaction() as connection:
            user_id = await create_owner(connection, f"u{uuid.uuid4().hex[:8]}")
            session_id = await create_session_row(connection, user_id)
        identity = Identity(user_id, session_id, "ada", role)
        token = issue_access_token(self.world.settings.auth, identity, self.clock.now())
        return Person(self.http, user_id, {"Authorization": f"Bearer {token}"})

    def add_stranger(self) -> Person:
        return Person(self.http, make_id(), {})

    async def add_ready_video(self, owner: Person, visibility: str = "public") -> uuid.UUID:
        async with self.world.database.transaction() as connection:
            video_id = await create_video_row(connection, owner.id, visibility=visibility)
            await videos.queue_video(connection, video_id)
            await videos.start_processing(connection, video_id)
            await videos.finish_video(connection, video_id)
        return video_id


@dataclass
class Person:
    """Someone who calls the API."""

    http: httpx.AsyncClient
    id: uuid.UUID
    headers: dict[str, str]

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.http.request(method, f"/v1/videos{path}", json=body, headers=self.headers)


@asynccontextmanager
async def serve_videos(world: VideoWorld) -> AsyncIterator[Api]:
    """Serve the routes on the world's storage; files are small and uploads few."""
    small = replace(world.settings, uploads=UploadSettings(size_bytes_max=10_000, per_user_max=2))
    clock = SystemClock()
    app = FastAPI()
    app.state.ports = ApiPorts(small, world.database, world.cache, world.objects, clock, NoRooms())
    app.state.rates = RateBook(world.cache, clock)
    app.state.revocations = RevocationBook(world.database, small.auth.access_ttl_s)
    install_errors(app)
    for each in (routes, download_routes, thumbnail_routes, subtitle_routes, reencoding_routes):
        each.install(app, "/v1")
    trash_routes.install(app, "/v1")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        there = VideoWorld(small, world.database, world.cache, world.objects)
        yield Api(http, there, clock)
