"""Videos sent as plain forms, over a real port against rows and objects."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import FormData

from kit.clock import SystemClock
from kit.ids import make_id
from kit.setting_sections import UploadSettings
from kit.settings import Settings
from serve_apps.videos.jobs import purge_video
from storage.cache import Cache
from storage.database import Database
from storage.objects import ObjectStore
from storage.uploads import find_upload_of_video, make_part_key
from storage.videos import Video, find_video
from tests.serve_apps.edge.tus_client import Answer, TusServer, serve_uploads
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload
from tests.storage.video_rows import create_owner

pytestmark = pytest.mark.db

PIECE_BYTES = 64 << 10
SIZE_BYTES_MAX = 1 << 20
BOUNDARY = "b0undary"


@pytest.fixture
async def server(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[TusServer]:
    limits = UploadSettings(
        piece_bytes=PIECE_BYTES, size_bytes_max=SIZE_BYTES_MAX, quota_bytes=2 << 20
    )
    small = replace(settings, uploads=limits)
    async with serve_uploads(small, database, objects, SystemClock()) as running:
        yield running


class Sender:
    """Someone who sends forms."""

    def __init__(self, server: TusServer, user_id: uuid.UUID) -> None:
        self.server = server
        self.id = user_id
        self.url = f"{server.url}/uploads/form"

    @classmethod
    async def join(cls, server: TusServer) -> Sender:
        async with server.database.transaction() as connection:
            return cls(server, await create_owner(connection, f"u{uuid.uuid4().hex[:8]}"))

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.token(self.id)}"}

    async def send(
        self,
        *fields: tuple[str, str | bytes],
        headers: dict[str, str] | None = None,
        filename: str = "walk.mp4",
    ) -> Answer:
        """Send fields in this order; bytes are a file."""
        form = FormData(quote_fields=False, default_to_multipart=True)
        for name, value in fields:
            if isinstance(value, bytes):
                form.add_field(name, value, filename=filename, content_type="video/mp4")
            else:
                form.add_field(name, value)
        given = self.bearer if headers is None else headers
        async with self.server.http.post(self.url, data=form, headers=given) as response:
            return await Answer.read(response)

    async def send_in_pieces(self, body: AsyncIterator[bytes]) -> Answer:
        """Send a body of no announced length."""
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        headers = {**self.bearer, **kind}
        async with self.server.http.post(self.url, data=body, headers=headers) as response:
            return await Answer.read(response)

    async def begin_raw(self, size_bytes: int) -> asyncio.StreamWriter:
        """Send a form's head by hand, up to where its file begins."""
        _reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        lines = [
            "POST /uploads/form HTTP/1.1",
            "Host: edge",
            f"Content-Length: {size_bytes}",
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
            f"Authorization: {self.bearer['Authorization']}",
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + make_head())
        await writer.drain()
        return writer

    async def list_videos(self) -> list[Video]:
        """Return this person's videos that are not deleted."""
        async with self.server.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT id FROM videos WHERE owner_id = $1 AND deleted_at IS NULL", self.id
            )
            found = [await find_video(connection, row["id"]) for row in rows]
        return [video for video in found if video is not None]

    async def read(self, answer: Answer) -> tuple[Video, bytes]:
        """Return the video an answer names, and the bytes that are stored for it."""
        assert answer.status == 201, answer.body
        video_id = uuid.UUID(json.loads(answer.body)["id"])
        assert answer.headers["Location"].endswith(f"/v1/videos/{video_id}")
        async with self.server.database.connection() as connection:
            video = await find_video(connection, video_id)
            upload = await find_upload_of_video(connection, video_id)
        assert video is not None
        assert upload is not None
        assert (video.owner_id, upload.state) == (self.id, "finished")
        return video, await self.server.read_stored(upload.id)


def make_head(name: str = "file") -> bytes:
    return (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name={name}; filename=a.mp4\r\n\r\n"
    ).encode()


async def test_a_file_sent_as_a_form_is_stored_and_its_video_queued(server: TusServer):
    ada = await Sender.join(server)
    data = secrets.token_bytes(PIECE_BYTES * 3 + 17)
    answer = await ada.send(("title", "A walk"), ("visibility", "private"), ("file", data))
    video, stored = await ada.read(answer)
    assert (video.title, video.visibility, video.status) == ("A walk", "private", "queued")
    assert stored == data
    async with server.database.connection() as connection:
        events = await connection.fetch("SELECT name FROM events")
    assert [event["name"] for event in events] == ["video.uploaded"]
    assert json.loads(answer.body)["size_bytes"] == len(data)


async def test_words_may_come_after_the_file(server: TusServer):
    ada = await Sender.join(server)
    answer = await ada.send(("file", b"0123456789"), ("title", "Late"), ("visibility", "private"))
    video, _stored = await ada.read(answer)
    assert (video.title, video.visibility, video.status) == ("Late", "private", "queued")


@pytest.mark.parametrize("site", [False, True])
@pytest.mark.parametrize("said", [None, "true", "false"])
async def test_a_form_says_whether_its_video_is_protected(
    server: TusServer, site: bool, said: str | None
):
    """Before the file or after it; else it is as the site does."""
    processing = replace(server.settings.processing, protected=site)
    settings = replace(server.settings, processing=processing)
    field = [] if said is None else [("protected", said)]
    wanted = site if said is None else said == "true"
    async with serve_uploads(settings, server.database, server.objects, SystemClock()) as running:
        ada = await Sender.join(running)
        for fields in ([*field, ("file", b"0123456789")], [("file", b"0123456789"), *field]):
            video, _stored = await ada.read(await ada.send(*fields))
            assert video.is_protected is wanted


async def test_a_title_is_taken_from_the_file_without_its_folder(server: TusServer):
    ada = await Sender.join(server)
    answer = await ada.send(("file", b"0123456789"), filename="films/holiday 2.mov")
    video, _stored = await ada.read(answer)
    assert video.title == "holiday 2"


async def test_a_page_without_scripts_says_its_token_in_a_field(server: TusServer):
    ada = await Sender.join(server)
    token = ("access_token", server.token(ada.id))
    video, _stored = await ada.read(await ada.send(token, ("file", b"x" * 10), headers={}))
    assert video.status == "queued"
    for given in (("access_token", "nonsense"), ("title", "nobody")):
        assert (await ada.send(given, ("file", b"x" * 10), headers={})).status == 401
    assert len(await ada.list_videos()) == 1


async def test_a_login_that_ended_sends_nothing(server: TusServer):
    ada = await Sender.join(server)
    session = make_id()
    server.revoked.add(session)
    headers = {"Authorization": f"Bearer {server.token(ada.id, session)}"}
    assert (await ada.send(("file", b"x" * 10), headers=headers)).status == 401


WRONG: list[tuple[list[tuple[str, str | bytes]], str]] = [
    ([("title", "x")], "no field “file”"),
    ([("file", b"")], "empty file"),
    ([("visibilty", "private"), ("file", b"0123")], "no field “visibilty”"),
    ([("file", b"0123"), ("visibilty", "private")], "no field “visibilty”"),
    ([("visibility", "secret"), ("file", b"0123")], "unknown"),
    ([("file", b"0123"), ("visibility", "secret")], "unknown"),
    ([("protected", "yes"), ("file", b"0123")], "unknown"),
    ([("file", b"0123"), ("protected", "")], "unknown"),
    ([("duration_ms", "-1"), ("file", b"0123")], "unknown"),
    ([("file", b"0123"), ("file", b"4567")], "one file"),
    ([("title", "a"), ("title", "b"), ("file", b"0123")], "twice"),
    ([("title", "a" * 40_000), ("file", b"0123")], "longer than"),
    ([("sha256", "abc"), ("file", b"0123")], "hexadecimal"),
    ([("file", b"0123"), ("sha256", "a" * 64)], "before the file"),
]


async def test_a_form_with_something_wrong_is_refused_and_leaves_nothing(server: TusServer):
    ada = await Sender.join(server)
    for fields, words in WRONG:
        answer = await ada.send(*fields)
        assert answer.status == 400, fields
        assert words in json.loads(answer.body)["message"]
        assert await ada.list_videos() == [], fields


async def test_what_is_no_form_is_refused(server: TusServer):
    ada = await Sender.join(server)
    async with server.http.post(ada.url, data=b"bytes", headers=ada.bearer) as answer:
        assert answer.status == 415
    kind = {"Content-Type": "multipart/form-data"}
    async with server.http.post(ada.url, data=b"x", headers={**ada.bearer, **kind}) as answer:
        assert answer.status == 400


async def test_a_hash_that_comes_with_the_file_is_checked(server: TusServer):
    ada = await Sender.join(server)
    data = secrets.token_bytes(PIECE_BYTES + 5)
    wrong = ("sha256", hashlib.sha256(b"other").hexdigest())
    assert (await ada.send(wrong, ("file", data))).status == 460
    assert await ada.list_videos() == []
    right = ("sha256", hashlib.sha256(data).hexdigest())
    _video, stored = await ada.read(await ada.send(right, ("file", data)))
    assert stored == data


async def test_a_file_beyond_the_limits_is_refused_before_it_is_taken(server: TusServer):
    ada = await Sender.join(server)
    writer = await ada.begin_raw(1 << 40)
    async with asyncio.timeout(60):
        while await count_rows(server, "uploads") != 0:
            await asyncio.sleep(0.05)
    writer.close()
    answer = await ada.send(("file", b"x" * (SIZE_BYTES_MAX + (300 << 10))))
    assert (answer.status, json.loads(answer.body)["error"]) == (413, "video_too_large")
    answer = await ada.send(("duration_ms", "43200001"), ("file", b"0123"))
    assert (answer.status, json.loads(answer.body)["error"]) == (413, "video_too_long")
    for _ in range(2):
        await ada.read(await ada.send(("file", secrets.token_bytes(900_000))))
    answer = await ada.send(("file", b"x" * 900_000))
    assert (answer.status, json.loads(answer.body)["error"]) == (413, "quota_exceeded")
    assert len(await ada.list_videos()) == 2


async def test_a_form_of_no_announced_length_ends_at_the_limit(server: TusServer):
    ada = await Sender.join(server)

    async def stream(chunks: int) -> AsyncIterator[bytes]:
        yield make_head()
        for _ in range(chunks):
            yield b"x" * 100_000
        yield f"\r\n--{BOUNDARY}--\r\n".encode()

    assert (await ada.send_in_pieces(stream(12))).status == 413
    assert await ada.list_videos() == []
    _video, stored = await ada.read(await ada.send_in_pieces(stream(8)))
    assert stored == b"x" * 800_000


async def count_rows(server: TusServer, table: str) -> int:
    async with server.database.connection() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


@pytest.mark.parametrize("ending", ["connection", "body"])
async def test_a_form_that_breaks_off_leaves_no_video_and_no_bytes(
    server: TusServer, cache: Cache, ending: str
):
    ada = await Sender.join(server)
    data = secrets.token_bytes(PIECE_BYTES * 8 + 100)
    head = len(make_head())
    size_bytes = head + len(data) if ending == "body" else 900_000
    writer = await ada.begin_raw(size_bytes)
    sent = 0
    async with asyncio.timeout(60):
        while await count_rows(server, "upload_parts") == 0:
            writer.write(data[sent : sent + 40_000])  # the last chunk is held: it may be the end
            sent = min(len(data), sent + 40_000)
            await writer.drain()
    (video,) = await ada.list_videos()
    async with server.database.connection() as connection:
        upload = await find_upload_of_video(connection, video.id)
    assert upload is not None
    assert await server.objects.exists(make_part_key(upload.id, 0))
    if ending == "body":
        writer.write(data[sent:])
        await writer.drain()
    else:
        writer.transport.abort()
    async with asyncio.timeout(60):
        while await ada.list_videos():
            await asyncio.sleep(0.02)
    writer.close()
    world = VideoWorld(server.settings, server.database, cache, server.objects)
    await purge_video(world.ports(InlineMedia(server.objects)), job_payload(video.id))
    assert await server.objects.list(f"uploads/{upload.id}") == []
    assert await count_rows(server, "videos") == 0


async def test_a_form_that_comes_byte_by_byte_loses_none(server: TusServer):
    ada = await Sender.join(server)
    data = secrets.token_bytes(300)

    async def stream() -> AsyncIterator[bytes]:
        for byte in make_head() + data + f"\r\n--{BOUNDARY}--\r\n".encode():
            yield bytes([byte])

    _video, stored = await ada.read(await ada.send_in_pieces(stream()))
    assert stored == data


async def test_the_pages_origin_may_send_forms(server: TusServer):
    origin = {"Origin": "http://localhost:3000"}
    async with server.http.options(f"{server.url}/uploads/form", headers=origin) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    strange = {"Origin": "https://evil.example"}
    async with server.http.options(f"{server.url}/uploads/form", headers=strange) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers
