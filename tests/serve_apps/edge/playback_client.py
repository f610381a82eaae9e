"""The edge's playback on a real port, and a player that follows its playlists."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin
from xml.etree import ElementTree

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
TAG = re.compile(r'"[0-9a-f]{32,64}"')
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

    async def fetch_dash(self, manifest: str) -> dict[str, bytes]:
        """Return each track's init segment and segments as the manifest names them, by its id."""
        answer, found = await self.get(manifest), {}
        assert answer.headers["Content-Type"].startswith("application/dash+xml")
        for track in ElementTree.fromstring(answer.text).iterfind(".//{*}Representation"):
            template = track.find("{*}SegmentTemplate")
            if template is None:  # it is no track of its own: pictures for scrubbing
                continue
            count = sum(1 + int(run.get("r", "0")) for run in template.iterfind(".//{*}S"))
            first, media = int(template.attrib["startNumber"]), template.attrib["media"]
            numbers = range(first, first + count)
            names = [media.replace("$Number%05d$", f"{number:05d}") for number in numbers]
            named = [template.attrib["initialization"], *names]
            pieces = [await self.get(urljoin(manifest, name)) for name in named]
            assert {piece.status for piece in pieces} == {200}
            found[track.attrib["id"]] = b"".join(piece.body for piece in pieces)
        return found


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


async def check_conditions(player: Player, path: str) -> Fetched:
    """Ask for something whole, in parts and under conditions (RFC 9110 §13); return all of it."""
    whole = await player.get(path)
    tag, middle = whole.headers["ETag"], len(whole.body) // 2
    assert whole.status == 200
    assert TAG.fullmatch(tag)
    assert whole.headers["Accept-Ranges"] == "bytes"
    head = await player.get(path, method="HEAD", Range="bytes=1-")
    assert (head.status, head.body, head.headers["ETag"]) == (200, b"", tag)
    assert head.headers["Content-Length"] == str(len(whole.body))
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        for method in ("GET", "HEAD"):
            kept = await player.get(path, method=method, If_None_Match=known, Range="bytes=0-0")
            assert (kept.status, kept.body, kept.headers["ETag"]) == (304, b"", tag)
            assert kept.headers["Cache-Control"] == whole.headers["Cache-Control"]
    changed = await player.get(path, If_None_Match='"other"')
    assert (changed.status, changed.body) == (200, whole.body)
    begun = await player.get(path, Range=f"bytes=0-{middle - 1}")
    rest = await player.get(path, Range=f"bytes={middle}-", If_Range=begun.headers["ETag"])
    assert (begun.status, rest.status, rest.headers["ETag"]) == (206, 206, tag)
    assert begun.body + rest.body == whole.body
    for outdated in ('"other"', f"W/{tag}", "Sat, 01 Jan 2050 00:00:00 GMT"):
        again = await player.get(path, Range=f"bytes={middle}-", If_Range=outdated)
        assert (again.status, again.body) == (200, whole.body), outdated
        assert "Content-Range" not in again.headers
    assert (await player.get(path, If_Match='"other"')).status == 412
    assert (await player.get(path, If_Match=tag)).body == whole.body
    return whole
