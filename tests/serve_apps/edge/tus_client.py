"""A small tus client and the edge's upload server on a real port, for tests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientResponse, ClientSession, web

from kit.clock import Clock
from kit.ids import make_id
from kit.settings import Settings
from serve_apps.access.identity import Identity
from serve_apps.access.tokens import issue_access_token
from serve_apps.edge.upload_writer import UploadPorts
from serve_apps.edge.uploads import add_upload_routes
from serve_apps.edges import UPLOAD_RULES
from storage.database import Database
from storage.objects import ObjectStore
from storage.rates import RateBook
from storage.uploads import list_objects, list_parts
from tests.storage.video_rows import create_owner, create_upload_row, create_video_row

TUS = {"Tus-Resumable": "1.0.0"}


@dataclass
class TusServer:
    """The running server, and what a test needs to speak to it."""

    url: str
    port: int
    http: ClientSession
    settings: Settings
    database: Database
    objects: ObjectStore
    clock: Clock
    revoked: set[uuid.UUID] = field(default_factory=set)

    def token(self, user_id: uuid.UUID, session_id: uuid.UUID | None = None) -> str:
        identity = Identity(user_id, session_id or make_id(), "ada")
        return issue_access_token(self.settings.auth, identity, self.clock.now())

    async def open_upload(self, size_bytes: int, *, expires_s: int = 3600) -> Upload:
        name = f"u{uuid.uuid4().hex[:8]}"
        async with self.database.transaction() as connection:
            owner_id = await create_owner(connection, name)
            video_id = await create_video_row(connection, owner_id)
            upload_id = await create_upload_row(
                connection, video_id, owner_id, size_bytes, expires_s=expires_s
            )
        return Upload(self, upload_id, video_id, owner_id)

    async def read_stored(self, upload_id: uuid.UUID) -> bytes:
        async with self.database.connection() as connection:
            parts = await list_parts(connection, upload_id)
        stored = list_objects(upload_id, parts)
        pieces = [await self.objects.get(it.key) for it in stored]
        assert [len(piece) for piece in pieces] == [it.size_bytes for it in stored]
        return b"".join(pieces)


@dataclass
class Upload:
    """One open upload as its owner sees it."""

    server: TusServer
    id: uuid.UUID
    video_id: uuid.UUID
    owner_id: uuid.UUID

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.token(self.owner_id)}", **TUS, **more}

    async def request(self, method: str, headers: dict[str, str], data: object = None) -> Answer:
        url = f"{self.server.url}/uploads/{self.id}"
        async with self.server.http.request(method, url, headers=headers, data=data) as response:
            return await Answer.read(response)

    async def patch(self, offset: int, data: object, **more: str) -> Answer:
        headers = self.headers(**{"Upload-Offset": str(offset)})
        headers["Content-Type"] = "application/offset+octet-stream"
        headers.update({name.replace("_", "-"): value for name, value in more.items()})
        return await self.request("PATCH", headers, data)

    async def head(self) -> int:
        answer = await self.request("HEAD", self.headers())
        assert answer.status == 200
        return int(answer.headers["Upload-Offset"])

    async def begin_raw(self, offset: int, size_bytes: int) -> asyncio.StreamWriter:
        """Send a PATCH's head by hand, so that the test decides what of the body follows."""
        _reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        lines = [
            f"PATCH /uploads/{self.id} HTTP/1.1",
            f"Host: 127.0.0.1:{self.server.port}",
            f"Content-Length: {size_bytes}",
            "Content-Type: application/offset+octet-stream",
            f"Upload-Offset: {offset}",
            *(f"{name}: {value}" for name, value in self.headers().items()),
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()
        return writer


@dataclass
class Answer:
    """A response that was read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    async def read(cls, response: ClientResponse) -> Answer:
        return cls(response.status, dict(response.headers), await response.read())


def checksum(data: bytes, algorithm: str = "sha1") -> str:
    digest = hashlib.new(algorithm, data).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


@asynccontextmanager
async def serve_uploads(
    settings: Settings, database: Database, objects: ObjectStore, clock: Clock
) -> AsyncIterator[TusServer]:
    revoked: set[uuid.UUID] = set()
    app = web.Application()
    ports = UploadPorts(
        settings=settings,
        database=database,
        objects=objects,
        clock=clock,
        rules=UPLOAD_RULES,
        is_revoked=revoked.__contains__,
        rates=RateBook(None, clock),
    )
    add_upload_routes(app, ports)
    # Behind an answer that came before the body's end aiohttp reads on for ten seconds.
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with ClientSession() as http:
        yield TusServer(
            f"http://127.0.0.1:{port}", port, http, settings, database, objects, clock, revoked
        )
    await runner.cleanup()
