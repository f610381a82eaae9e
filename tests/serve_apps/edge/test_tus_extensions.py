"""tus beyond the core: announcing files, lengths that come later, parts joined to one."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
import pytest

from kit.clock import SystemClock
from kit.ids import make_id
from kit.setting_sections import UploadSettings
from kit.settings import Settings
from serve_apps.access.identity import Identity
from serve_apps.videos.jobs import collect_part, purge_video
from serve_apps.videos.service import delete_video
from serve_apps.videos.upload_jobs import COLLECT_JOB, UploadJob
from storage.cache import Cache
from storage.database import Database
from storage.jobs import count_jobs
from storage.objects import ObjectStore
from storage.quota import sum_used_bytes
from storage.uploads import find_upload, list_parts, make_part_key, make_parts_prefix
from storage.videos import Video, find_video
from tests.serve_apps.edge.tus_client import TUS, Answer, TusServer, Upload, serve_uploads
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload
from tests.storage.video_rows import create_owner

pytestmark = pytest.mark.db

PIECE_BYTES = 16 << 10


@pytest.fixture
async def server(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[TusServer]:
    limits = UploadSettings(piece_bytes=PIECE_BYTES, size_bytes_max=1 << 20, quota_bytes=2 << 20)
    small = replace(settings, uploads=limits)
    async with serve_uploads(small, database, objects, SystemClock()) as running:
        yield running


class Person:
    """Someone who announces files."""

    def __init__(self, server: TusServer, user_id: uuid.UUID) -> None:
        self.server = server
        self.id = user_id

    @classmethod
    async def join(cls, server: TusServer) -> Person:
        async with server.database.transaction() as connection:
            return cls(server, await create_owner(connection, f"u{uuid.uuid4().hex[:8]}"))

    async def announce(self, data: bytes = b"", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        token = {"Authorization": f"Bearer {self.server.token(self.id)}"}
        url = f"{self.server.url}/uploads"
        async with self.server.http.post(
            url, headers={**TUS, **token, **named}, data=data
        ) as response:
            return await Answer.read(response)

    async def open(self, **headers: str) -> Upload:
        answer = await self.announce(**headers)
        assert answer.status == 201, answer.body
        return await self.find(answer)

    async def find(self, answer: Answer) -> Upload:
        upload_id = uuid.UUID(answer.headers["Location"].rpartition("/")[2])
        async with self.server.database.connection() as connection:
            row = await find_upload(connection, upload_id)
        assert row is not None
        return Upload(self.server, upload_id, row.video_id, self.id)

    async def get_video(self, upload: Upload) -> Video:
        async with self.server.database.connection() as connection:
            video = await find_video(connection, upload.video_id)
        assert video is not None
        return video


def words(**said: str) -> str:
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in said.items())


async def test_an_announced_file_becomes_a_video_with_what_was_said_of_it(server: TusServer):
    ada = await Person.join(server)
    about = {"title": "A walk — été", "visibility": "private", "protected": "true"}
    said = words(filename="walk.mp4", **about)
    upload = await ada.open(Upload_Length="10", Upload_Metadata=said)
    video = await ada.get_video(upload)
    assert (video.title, video.visibility, video.status) == ("A walk — été", "private", "uploading")
    assert video.is_protected
    head = await upload.request("HEAD", upload.headers())
    assert head.headers["Upload-Metadata"] == said
    assert (await upload.patch(0, b"0123456789")).status == 204
    assert (await ada.get_video(upload)).status == "queued"


async def test_who_announces_too_many_files_is_told_when_to_come_back(server: TusServer):
    """A person's files count, whoever else announces; parts of files count apart."""
    settings = replace(
        server.settings,
        limits=replace(server.settings.limits, rates_enabled=True),
        uploads=replace(server.settings.uploads, per_user_max=100),
    )
    async with serve_uploads(settings, server.database, server.objects, SystemClock()) as counting:
        ada, bob = await Person.join(counting), await Person.join(counting)
        answers = [await ada.announce(Upload_Length="10") for _ in range(32)]
        assert {answer.status for answer in answers[:30]} == {201}
        refused = answers[-1]
        error = msgspec.json.decode(refused.body)["error"]
        assert (refused.status, error) == (429, "rate_limited")
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await ada.announce(Upload_Length="10", Upload_Concat="partial")).status == 201
        assert (await bob.announce(Upload_Length="10")).status == 201


async def test_a_title_is_taken_from_the_file_when_none_is_said(server: TusServer):
    ada = await Person.join(server)
    said = words(filename="holiday 2.final.mov")
    upload = await ada.open(Upload_Length="10", Upload_Metadata=said)
    assert (await ada.get_video(upload)).title == "holiday 2.final"


async def test_the_announcement_may_bring_the_first_bytes(server: TusServer):
    ada = await Person.join(server)
    kind = {"Content-Type": "application/offset+octet-stream"}
    answer = await ada.announce(b"01234", Upload_Length="10", **kind)
    assert (answer.status, answer.headers["Upload-Offset"]) == (201, "5")
    upload = await ada.find(answer)
    assert (await upload.patch(5, b"56789")).status == 204
    assert await server.read_stored(upload.id) == b"0123456789"


async def test_a_length_may_come_with_the_last_bytes_or_after_them(server: TusServer):
    ada = await Person.join(server)
    upload = await ada.open(Upload_Defer_Length="1")
    assert (await upload.patch(0, b"01234")).headers["Upload-Defer-Length"] == "1"
    head = await upload.request("HEAD", upload.headers())
    assert "Upload-Length" not in head.headers
    assert (await upload.patch(5, b"", Upload_Length="4")).status == 400
    assert (await upload.patch(5, b"56789", Upload_Length="10")).status == 204
    assert (await ada.get_video(upload)).status == "queued"
    late = await ada.open(Upload_Defer_Length="1")
    await late.patch(0, b"01234")
    assert (await late.patch(5, b"", Upload_Length="5")).status == 204
    assert (await ada.get_video(late)).status == "queued"


async def test_parts_sent_side_by_side_become_one_file_without_a_copy(server: TusServer):
    ada = await Person.join(server)
    data = secrets.token_bytes(3 * PIECE_BYTES + 5)
    cut = PIECE_BYTES + 100
    first = await ada.open(Upload_Length=str(cut), Upload_Concat="partial")
    second = await ada.open(Upload_Length=str(len(data) - cut), Upload_Concat="partial")
    await second.patch(0, data[cut:])
    names = f"final;/uploads/{first.id} {server.url}/uploads/{second.id}"
    early = await ada.announce(Upload_Concat=names, Upload_Metadata=words(title="Both"))
    assert early.status == 409
    await first.patch(0, data[:cut])
    final = await ada.open(Upload_Concat=names, Upload_Metadata=words(title="Both"))
    video = await ada.get_video(final)
    assert (video.title, video.status) == ("Both", "queued")
    head = await final.request("HEAD", final.headers())
    assert head.headers["Upload-Concat"] == names
    assert head.headers["Upload-Length"] == str(len(data))
    assert (await final.patch(len(data), b"more")).status == 403
    async with server.database.connection() as connection:
        parts = await list_parts(connection, final.id)
        assert (await count_jobs(connection)).queued >= 1
    stored = [await server.objects.get(part.object_key or "") for part in parts]
    assert b"".join(stored) == data
    assert (await ada.announce(Upload_Concat=names)).status == 409  # joined already


async def test_nobody_joins_the_parts_of_somebody_else(server: TusServer):
    ada, eve = await Person.join(server), await Person.join(server)
    part = await ada.open(Upload_Length="3", Upload_Concat="partial")
    await part.patch(0, b"abc")
    assert (await eve.announce(Upload_Concat=f"final;/uploads/{part.id}")).status == 409


async def test_a_part_that_was_given_up_or_expired_leaves_no_bytes(server: TusServer, cache: Cache):
    ada = await Person.join(server)
    part = await ada.open(Upload_Length="3", Upload_Concat="partial")
    await part.patch(0, b"abc")
    left = await ada.open(Upload_Length="9", Upload_Concat="partial")
    await left.patch(0, b"abc")
    assert (await left.request("DELETE", left.headers())).status == 204
    world = VideoWorld(server.settings, server.database, cache, server.objects)
    ports = world.ports(InlineMedia(server.objects))
    for upload in (part, left):
        await collect_part(ports, msgspec.json.encode(UploadJob(upload.id)))
        await collect_part(ports, msgspec.json.encode(UploadJob(upload.id)))
    assert await server.objects.list(make_parts_prefix(left.id)) == []
    assert len(await server.objects.list(make_parts_prefix(part.id))) == 1  # has its time still
    async with server.database.connection() as connection:
        await connection.execute("UPDATE uploads SET expires_at = now() WHERE id = $1", part.id)
    await collect_part(ports, msgspec.json.encode(UploadJob(part.id)))
    assert await server.objects.list(make_parts_prefix(part.id)) == []


async def test_a_complete_part_can_be_given_up_until_it_is_joined(server: TusServer, cache: Cache):
    ada = await Person.join(server)
    parts = []
    for _ in range(2):
        part = await ada.open(Upload_Length="3", Upload_Concat="partial")
        assert (await part.patch(0, b"abc")).status == 204
        parts.append(part)
    joined, left = parts
    await ada.open(Upload_Concat=f"final;/uploads/{joined.id}")
    refused = await joined.request("DELETE", joined.headers())
    assert (refused.status, b"upload_finished" in refused.body) == (409, True)
    assert (await left.request("DELETE", left.headers())).status == 204
    assert (await left.request("HEAD", left.headers())).status == 410
    assert (await ada.announce(Upload_Concat=f"final;/uploads/{left.id}")).status == 409
    async with server.database.connection() as connection:
        assert await sum_used_bytes(connection, ada.id) == 3
    world = VideoWorld(server.settings, server.database, cache, server.objects)
    ports = world.ports(InlineMedia(server.objects))
    for part in parts:
        await collect_part(ports, msgspec.json.encode(UploadJob(part.id)))
    assert await server.objects.list(make_parts_prefix(left.id)) == []
    assert await server.objects.get(make_part_key(joined.id, 0)) == b"abc"


async def test_a_part_whose_time_began_anew_is_collected_when_that_is_over(
    server: TusServer, cache: Cache
):
    ada = await Person.join(server)
    part = await ada.open(Upload_Length="3", Upload_Concat="partial")
    world = VideoWorld(server.settings, server.database, cache, server.objects)
    ports = world.ports(InlineMedia(server.objects))
    for _ in range(2):
        await collect_part(ports, msgspec.json.encode(UploadJob(part.id)))
    async with server.database.connection() as connection:
        upload = await find_upload(connection, part.id)
        rows = await connection.fetch(
            "SELECT execute_after FROM pgqueuer WHERE entrypoint = $1 ORDER BY id", COLLECT_JOB
        )
    assert upload is not None
    assert len(rows) == 2  # the one of the beginning, and another
    assert rows[1]["execute_after"] > upload.expires_at


async def test_the_answer_to_an_announcement_says_until_when_the_upload_waits(server: TusServer):
    ada = await Person.join(server)
    answer = await ada.announce(Upload_Length="10")
    upload = await ada.find(answer)
    head = await upload.request("HEAD", upload.headers())
    assert answer.headers["Upload-Expires"] == head.headers["Upload-Expires"]


async def test_deleted_files_hold_room_until_their_bytes_are_gone_and_the_refusal_says_so(
    server: TusServer, cache: Cache
):
    ada = await Person.join(server)
    data = secrets.token_bytes(1 << 20)
    upload = await ada.open(Upload_Length=str(len(data)))
    assert (await upload.patch(0, data)).status == 204
    await ada.open(Upload_Length=str(1 << 20))
    async with server.database.transaction() as connection:
        owner = Identity(ada.id, make_id(), "ada")
        await delete_video(connection, server.settings, owner, upload.video_id)
    refused = await ada.announce(Upload_Length="1")
    error = msgspec.json.decode(refused.body)
    assert (refused.status, error["error"]) == (413, "quota_exceeded")
    assert error["details"]["used_bytes"] == 2 << 20
    assert error["details"]["deleted_bytes"] == 1 << 20
    assert "1,048,576 B" in error["message"]
    world = VideoWorld(server.settings, server.database, cache, server.objects)
    await purge_video(world.ports(InlineMedia(server.objects)), job_payload(upload.video_id))
    assert (await ada.announce(Upload_Length="1")).status == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Upload_Length": "0"}, 400),
        ({"Upload_Length": "x"}, 400),
        ({"Upload_Length": str((1 << 20) + 1)}, 413),
        ({"Upload_Defer_Length": "2"}, 400),
        ({"Upload_Defer_Length": "1", "Upload_Length": "5"}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": "title ???"}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": words(visibility="secret")}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": words(protected="maybe")}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": words(duration_ms="long")}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": words(duration_ms="43200001")}, 413),
        ({"Upload_Length": "5", "Upload_Concat": "half"}, 400),
        ({"Upload_Concat": "final;"}, 400),
        ({"Upload_Concat": "final;/uploads/none"}, 400),
    ],
)
async def test_a_malformed_announcement_is_refused(
    server: TusServer, headers: dict[str, str], status: int
):
    ada = await Person.join(server)
    assert (await ada.announce(**headers)).status == status


async def test_files_beyond_the_quota_are_refused_before_a_byte_is_taken(server: TusServer):
    ada = await Person.join(server)
    for _ in range(2):
        await ada.open(Upload_Length=str(1 << 20))
    refused = await ada.announce(Upload_Length="1")
    assert (refused.status, b"quota_exceeded" in refused.body) == (413, True)
    assert (await (await Person.join(server)).announce(Upload_Length="1")).status == 201


async def test_parts_count_against_the_quota_before_and_after_they_are_joined(server: TusServer):
    ada = await Person.join(server)
    half = secrets.token_bytes(1 << 19)
    await ada.open(Upload_Length=str(1 << 20))
    parts = []
    for _ in range(2):
        part = await ada.open(Upload_Length=str(len(half)), Upload_Concat="partial")
        assert (await part.patch(0, half)).status == 204
        parts.append(f"/uploads/{part.id}")
    refused = await ada.announce(Upload_Length="1", Upload_Concat="partial")
    assert (refused.status, b"quota_exceeded" in refused.body) == (413, True)
    await ada.open(Upload_Concat=f"final;{' '.join(parts)}")
    refused = await ada.announce(Upload_Length="1")
    assert (refused.status, b"quota_exceeded" in refused.body) == (413, True)


async def test_bytes_of_an_unknown_length_are_refused_beyond_what_is_left_of_the_quota(
    server: TusServer,
):
    ada = await Person.join(server)
    await ada.open(Upload_Length=str(1 << 20))
    other = await ada.open(Upload_Length=str((1 << 20) - 3 * PIECE_BYTES))
    upload = await ada.open(Upload_Defer_Length="1")
    data = secrets.token_bytes(3 * PIECE_BYTES)
    at = 2 * PIECE_BYTES
    assert (await upload.patch(0, data[:at])).status == 204

    async def stream() -> AsyncIterator[bytes]:
        yield data[at:]
        yield b"x"

    for body, kept in ((data[at:] + b"x", at), (stream(), len(data))):
        refused = await upload.patch(at, body)
        error = msgspec.json.decode(refused.body)
        assert (refused.status, error["error"]) == (413, "quota_exceeded")
        assert error["details"]["used_bytes"] == (2 << 20) - len(data)
        assert await upload.head() == kept
    assert await server.read_stored(upload.id) == data
    assert (await other.request("DELETE", other.headers())).status == 204
    assert (await upload.patch(len(data), b"x", Upload_Length=str(len(data) + 1))).status == 204
    assert await server.read_stored(upload.id) == data + b"x"


async def test_a_stranger_announces_nothing(server: TusServer):
    async with server.http.post(
        f"{server.url}/uploads", headers={**TUS, "Upload-Length": "5"}
    ) as answer:
        assert answer.status == 401
