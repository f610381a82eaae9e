"""A writer that lost its lock takes nothing from those who came after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from kit.clock import SystemClock
from kit.ids import make_id
from kit.settings import Settings
from serve_apps.edge.upload_writer import (
    Body,
    Checksum,
    UploadLocked,
    UploadPorts,
    UploadRules,
    UploadWriter,
)
from serve_apps.videos.arrivals import describe_file, foresee_end, open_file
from serve_apps.videos.service import declare_size, finish_upload, terminate_upload
from storage.database import Database
from storage.objects import ObjectStore
from storage.rates import RateBook
from storage.uploads import find_upload
from tests.serve_apps.edge.tus_client import TusServer, serve_uploads

pytestmark = pytest.mark.db


@pytest.fixture
async def server(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[TusServer]:
    async with serve_uploads(settings, database, objects, SystemClock()) as running:
        yield running


@dataclass
class Sent:
    """A body that has arrived."""

    chunks: list[bytes]

    async def readany(self) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""


@pytest.mark.parametrize("checksum", [None, Checksum("sha1", b"of the whole body")])
async def test_a_writer_that_comes_too_late_cuts_nothing_off(
    server: TusServer, checksum: Checksum | None
):
    upload = await server.open_upload(10)
    async with server.database.connection() as connection:
        known = await find_upload(connection, upload.id)
    assert known is not None
    await upload.patch(0, b"0123")
    rules = UploadRules(
        open_file, describe_file, declare_size, finish_upload, foresee_end, terminate_upload
    )
    ports = UploadPorts(
        server.settings,
        server.database,
        server.objects,
        server.clock,
        rules,
        lambda _id: False,
        RateBook(None, server.clock),
    )
    late = UploadWriter(ports, known, make_id())
    with pytest.raises(UploadLocked):
        await late.write(Body(Sent([b"xx"]), 2, checksum))
    await late.close()
    assert await server.read_stored(upload.id) == b"0123"
