"""The index of a file, sent to the edge ahead of the bytes before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from kit.clock import SystemClock
from kit.settings import Settings
from storage.database import Database
from storage.objects import ObjectStore
from storage.upload_indexes import INDEX_BYTES_MAX, find_index
from tests.serve_apps.edge.tus_client import Answer, TusServer, Upload, serve_uploads

pytestmark = pytest.mark.db

SIZE_BYTES = 100_000


@pytest.fixture
async def server(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[TusServer]:
    async with serve_uploads(settings, database, objects, SystemClock()) as running:
        yield running


@pytest.fixture
async def upload(server: TusServer) -> Upload:
    return await server.open_upload(SIZE_BYTES)


async def put_index(upload: Upload, at: int | str, data: bytes, **more: str) -> Answer:
    headers = upload.headers(**{"Upload-Offset": str(at)}) | more
    url = f"{upload.server.url}/uploads/{upload.id}/index"
    async with upload.server.http.put(url, headers=headers, data=data) as response:
        return await Answer.read(response)


async def test_an_index_is_kept_with_its_place_and_a_later_one_replaces_it(upload: Upload):
    assert (await put_index(upload, 90_000, b"a" * 500)).status == 204
    first = await find_index(upload.server.objects, upload.id)
    assert first is not None
    assert first.at_bytes == 90_000
    assert await upload.server.objects.get(first.key) == b"a" * 500
    assert (await put_index(upload, 80_000, b"b" * 500)).status == 204
    second = await find_index(upload.server.objects, upload.id)
    assert second is not None
    assert (second.at_bytes, second.sha256 == first.sha256) == (80_000, False)


async def test_bytes_that_come_beside_an_index_are_stored_as_ever(upload: Upload):
    data = bytes(range(256)) * (SIZE_BYTES // 256 + 1)
    await put_index(upload, 90_000, b"i" * 100)
    assert (await upload.patch(0, data[:SIZE_BYTES])).status == 204
    assert await upload.server.read_stored(upload.id) == data[:SIZE_BYTES]


@pytest.mark.parametrize(
    ("at", "size_bytes", "status", "code"),
    [
        (SIZE_BYTES - 10, 11, 409, "upload_index_unfit"),
        (9, 10, 409, "upload_index_unfit"),
        (90_000, INDEX_BYTES_MAX + 1, 413, "upload_index_too_large"),
        ("soon", 10, 400, "upload_header_invalid"),
    ],
    ids=["beyond-the-end", "come-already", "too-large", "nowhere"],
)
async def test_what_cannot_be_the_files_index_is_refused(
    upload: Upload, at: int | str, size_bytes: int, status: int, code: str
):
    await upload.patch(0, b"0123456789")
    answer = await put_index(upload, at, b"i" * size_bytes)
    assert answer.status == status
    assert code in answer.body.decode()
    assert await find_index(upload.server.objects, upload.id) is None


async def test_others_and_sites_that_begin_nothing_ahead_take_none(
    server: TusServer, settings: Settings, database: Database, objects: ObjectStore
):
    upload = await server.open_upload(SIZE_BYTES)
    other = await server.open_upload(SIZE_BYTES)
    stranger = {"Authorization": f"Bearer {server.token(other.owner_id)}"}
    assert (await put_index(upload, 9_000, b"i", **stranger)).status == 404
    processing = replace(settings.processing, head_start=False)
    off = replace(settings, processing=processing)
    async with serve_uploads(off, database, objects, SystemClock()) as plain:
        refused = await put_index(await plain.open_upload(SIZE_BYTES), 9_000, b"i")
    assert refused.status == 409
    assert "upload_index_unwanted" in refused.body.decode()


async def test_the_page_may_send_one(server: TusServer, upload: Upload):
    origin = {"Origin": "http://localhost:8000", "Access-Control-Request-Method": "PUT"}
    url = f"{server.url}/uploads/{upload.id}/index"
    async with server.http.options(url, headers=origin) as answer:
        assert answer.status == 204
        assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:8000"
