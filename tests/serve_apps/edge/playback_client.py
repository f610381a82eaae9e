"""The edge's playback on a real port, and a player that follows its playlists."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin

from aiohttp import ClientSession, web
from multidict import CIMultiDictProxy

from kit.clock import Clock
from kit.settings import Settings
from serve_apps.edge.access_book import AccessBook
from serve_apps.edge.playback import PlaybackPorts, add_playback_routes
from storage.database import Database
from storage.objects import ObjectStore
from storage.rates import RateBook

MAP = re.compile(r'#EXT-X-MAP:URI="([^"]+)"')
SOUND = re.compile(r'TYPE=AUDIO.*URI="([^"]+)"')


@dataclass
class Fetched:
    """An answer that was read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Player:
    """Fetches what playlists name, relative to where they were found."""

    url: str
    http: ClientSession
    revoked: set[uuid.UUID] = field(default_factory=set)

    async def get(self, path: str, *, method: str = "GET", **headers: str) -> Fetched:
        url = urljoin(self.url, path)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(method, url, headers=given) as response:
            return Fetched(response.status, response.headers, await response.read())

    async def ask_keys(self, path: str, body: object) -> Fetched:
        """Send a licence request."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(urljoin(self.url, path), data=data) as response:
            return Fetched(response.status, response.headers, await response.read())

    async def list_renditions(self, master: str) -> dict[str, str]:
        """Return the address of each media playlist by its file name, sound included."""
        answer = await self.get(master)
        assert answer.status == 200, answer.body
        lines = answer.text.splitlines()
        names = [line for line in lines if line and not line.startswith("#")]
        names += [found.group(1) for line in lines if (found := SOUND.search(line))]
        return {name: urljoin(master, name) for name in names}

    async def fetch_rendition(self, playlist: str) -> bytes:
        """Return a rendition's init segment and all its segments, one after the other."""
        answer = await self.get(playlist)
        assert answer.status == 200, answer.body
        found = MAP.search(answer.text)
        assert found is not None
        names = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
        pieces = [await self.get(urljoin(playlist, name)) for name in [found.group(1), *names]]
        assert {piece.status for piece in pieces} == {200}
        return b"".join(piece.body for piece in pieces)


@asynccontextmanager
async def serve_playback(
    settings: Settings,
    database: Database,
    objects: ObjectStore,
    clock: Clock,
    changed: AccessBook | None = None,
) -> AsyncIterator[Player]:
    """Without a book of changes no change is told."""
    revoked: set[uuid.UUID] = set()
    app = web.Application()
    ports = PlaybackPorts(
        settings=settings,
        database=database,
        objects=objects,
        clock=clock,
        is_void=lambda grant: grant.session in revoked,
        changed=changed or AccessBook(database, clock),
        rates=RateBook(None, clock),
    )
    add_playback_routes(app, ports)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as http:
        yield Player(f"http://127.0.0.1:{runner.addresses[0][1]}", http, revoked)
    await runner.cleanup()
