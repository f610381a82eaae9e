"""tus on the edge, spoken over a real port against rows and objects."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from kit.clock import SystemClock
from kit.ids import make_id
from kit.setting_sections import UploadSettings
from kit.settings import Settings
from serve_apps.deletions import PURGE_JOB
from serve_apps.edge.upload_writer import LOCK_TTL_S
from serve_apps.videos.upload_jobs import EXPECT_JOB
from storage.database import Database
from storage.growing_files import GrowingObject
from storage.jobs import count_jobs
from storage.objects import ObjectStore
from storage.uploads import (
    LockTerms,
    UploadPart,
    find_upload,
    insert_parts,
    lock_upload,
    make_part_key,
)
from storage.videos import find_video
from tests.serve_apps.edge.tus_client import (
    TUS,
    Answer,
    TusServer,
    Upload,
    checksum,
    serve_uploads,
)

pytestmark = pytest.mark.db

PIECE_BYTES = 64 << 10


@pytest.fixture(params=[1, 1 << 40], ids=["moved", "read"])
async def server(
    settings: Settings,
    database: Database,
    objects: ObjectStore,
    request: pytest.FixtureRequest,
) -> AsyncIterator[TusServer]:
    limits = UploadSettings(piece_bytes=PIECE_BYTES, moved_bytes_min=request.param)
    small = replace(settings, uploads=limits)
    async with serve_uploads(small, database, objects, SystemClock()) as running:
        yield running


def read_expiry(answer: Answer) -> datetime:
    return parsedate_to_datetime(answer.headers["Upload-Expires"])


async def wait_for_offset(upload: Upload, offset: int) -> None:
    async with asyncio.timeout(60):
        while await upload.head() < offset:
            await asyncio.sleep(0.02)


async def wait_until_unlocked(upload: Upload) -> int:
    """Return the offset once nobody writes any more."""
    async with asyncio.timeout(60):
        while True:
            async with upload.server.database.connection() as connection:
                row = await find_upload(connection, upload.id)
            assert row is not None
            if not row.is_locked:
                return row.offset_bytes
            await asyncio.sleep(0.02)


async def test_a_file_sent_in_several_requests_is_stored_byte_by_byte(server: TusServer):
    data = secrets.token_bytes(PIECE_BYTES * 3 + 17)
    upload = await server.open_upload(len(data))
    assert await upload.head() == 0
    first = await upload.patch(0, data[:100_000])
    assert (first.status, first.headers["Upload-Offset"]) == (204, "100000")
    assert "Upload-Expires" in first.headers
    second = await upload.patch(100_000, data[100_000:])
    assert (second.status, second.headers["Upload-Offset"]) == (204, str(len(data)))
    assert second.headers["Tus-Resumable"] == "1.0.0"
    assert await server.read_stored(upload.id) == data
    assert await upload.head() == len(data)


async def test_the_last_byte_queues_the_video_with_its_job_and_its_event(server: TusServer):
    upload = await server.open_upload(10)
    await upload.patch(0, b"0123456789")
    async with server.database.connection() as connection:
        video = await find_video(connection, upload.video_id)
        row = await find_upload(connection, upload.id)
        counts = await count_jobs(connection)
        events = await connection.fetch("SELECT name, subject_id, actor_id FROM events")
    assert video is not None
    assert row is not None
    assert (video.status, row.state, counts.queued) == ("queued", "finished", 1)
    assert [tuple(event) for event in events] == [
        ("video.uploaded", upload.video_id, upload.owner_id)
    ]
    again = await upload.patch(10, b"")
    assert again.status == 204


async def test_a_body_of_unknown_length_is_taken_in_pieces(server: TusServer):
    data = secrets.token_bytes(PIECE_BYTES + 5)

    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 9_000):
            yield data[start : start + 9_000]

    upload = await server.open_upload(len(data))
    answer = await upload.patch(0, stream())
    assert answer.status == 204
    assert await server.read_stored(upload.id) == data


async def test_what_arrived_before_the_connection_broke_is_kept_and_continued(server: TusServer):
    data = secrets.token_bytes(PIECE_BYTES * 4)
    upload = await server.open_upload(len(data))
    writer = await upload.begin_raw(0, len(data))
    writer.write(data[: PIECE_BYTES * 2 + 1000])
    await writer.drain()
    await wait_for_offset(upload, PIECE_BYTES)  # what is behind the last whole piece waits
    writer.transport.abort()
    offset = await wait_until_unlocked(upload)
    assert offset >= PIECE_BYTES
    assert await server.read_stored(upload.id) == data[:offset]
    answer = await upload.patch(offset, data[offset:])
    assert answer.status == 204
    assert await server.read_stored(upload.id) == data


async def test_a_second_writer_is_told_that_the_upload_is_locked(server: TusServer):
    upload = await server.open_upload(PIECE_BYTES * 2)
    writer = await upload.begin_raw(0, PIECE_BYTES * 2)
    writer.write(b"x" * PIECE_BYTES)
    await writer.drain()
    await wait_for_offset(upload, PIECE_BYTES)
    second = await upload.patch(PIECE_BYTES, b"y" * 10)
    gone = await upload.request("DELETE", upload.headers())
    assert (second.status, gone.status) == (423, 423)
    writer.write(b"x" * PIECE_BYTES)
    await writer.drain()
    await wait_for_offset(upload, PIECE_BYTES * 2)
    writer.close()
    assert await server.read_stored(upload.id) == b"x" * PIECE_BYTES * 2


async def test_a_slow_body_keeps_its_lock(server: TusServer):
    upload = await server.open_upload(10)
    writer = await upload.begin_raw(0, 10)
    writer.write(b"012")
    await writer.drain()
    deadlines = set()
    async with asyncio.timeout(60):
        while len(deadlines) < 3:
            async with server.database.connection() as connection:
                deadlines.add(await connection.fetchval("SELECT lock_until FROM uploads"))
            await asyncio.sleep(0.1)
    writer.write(b"3456789")
    await wait_for_offset(upload, 10)
    writer.close()


async def test_the_lock_of_a_dead_edge_lapses(server: TusServer):
    upload = await server.open_upload(10)
    async with server.database.connection() as connection:
        await lock_upload(connection, upload.id, make_id(), 3600)
    assert LOCK_TTL_S == 10
    assert (await upload.patch(0, b"0123456789")).status == 423
    async with server.database.connection() as connection:
        await connection.execute("UPDATE uploads SET lock_until = clock_timestamp()")
    assert (await upload.patch(0, b"0123456789")).status == 204


async def test_an_object_that_no_row_names_is_replaced(server: TusServer):
    upload = await server.open_upload(10)
    await server.objects.put(make_part_key(upload.id, 0), b"left by a request that died")
    assert (await upload.patch(0, b"0123456789")).status == 204
    assert await server.read_stored(upload.id) == b"0123456789"


async def test_bytes_that_no_row_names_are_cut_off_by_the_next_request(server: TusServer):
    upload = await server.open_upload(10)
    await upload.patch(0, b"0123")
    path = server.objects.local_path(make_part_key(upload.id, 0))
    assert path is not None
    path.write_bytes(b"0123 of a request that died")
    assert (await upload.patch(4, b"456789")).status == 204
    assert await server.read_stored(upload.id) == b"0123456789"
    assert len(await server.objects.list(f"uploads/{upload.id}")) == 1


async def test_while_a_stalled_edge_has_the_file_open_nobody_else_writes(server: TusServer):
    upload = await server.open_upload(10)
    await upload.patch(0, b"0123")
    stalled = GrowingObject.open(server.objects, make_part_key(upload.id, 0), is_new=False)
    assert stalled is not None
    assert (await upload.patch(4, b"456789")).status == 423
    assert await upload.head() == 4
    stalled.close()
    assert (await upload.patch(4, b"456789")).status == 204
    assert await server.read_stored(upload.id) == b"0123456789"


async def test_a_file_that_began_in_pieces_goes_on_in_pieces(server: TusServer):
    upload, lock_owner = await server.open_upload(10), make_id()
    async with server.database.transaction() as connection:
        await lock_upload(connection, upload.id, lock_owner, 10)
        terms = LockTerms(lock_owner, None, 3600)
        await insert_parts(connection, upload.id, terms, [UploadPart(0, 2), UploadPart(2, 2)])
    for start, piece in ((0, b"01"), (2, b"23")):
        await server.objects.put(make_part_key(upload.id, start), piece)
    assert (await upload.patch(4, b"456789")).status == 204
    assert await server.read_stored(upload.id) == b"0123456789"
    assert len(await server.objects.list(f"uploads/{upload.id}")) == 3


async def test_that_the_end_is_near_is_told_once(server: TusServer):
    data = secrets.token_bytes(PIECE_BYTES * 4)
    upload = await server.open_upload(len(data))
    await upload.patch(0, data[:-10])
    async with server.database.connection() as connection:
        told = await connection.fetchval(
            "SELECT count(*) FROM pgqueuer_log WHERE entrypoint = $1", EXPECT_JOB
        )
    assert told == 1


async def test_a_body_at_another_offset_is_refused_with_the_right_one(server: TusServer):
    upload = await server.open_upload(10)
    await upload.patch(0, b"0123")
    answer = await upload.patch(2, b"23456789")
    assert (answer.status, answer.headers["Upload-Offset"]) == (409, "4")
    assert await upload.head() == 4


async def test_more_bytes_than_announced_are_refused(server: TusServer):
    upload = await server.open_upload(10)
    assert (await upload.patch(0, b"0123456789x")).status == 413
    assert await upload.head() == 0

    async def stream() -> AsyncIterator[bytes]:
        yield b"0123456789x"

    assert (await upload.patch(0, stream())).status == 413
    assert await upload.head() == 0


async def test_a_checksum_that_fits_is_accepted_over_several_pieces(server: TusServer):
    data = secrets.token_bytes(PIECE_BYTES * 2 + 3)
    upload = await server.open_upload(len(data))
    answer = await upload.patch(0, data, Upload_Checksum=checksum(data, "sha256"))
    assert answer.status == 204
    assert await server.read_stored(upload.id) == data


async def test_a_checksum_that_does_not_fit_keeps_nothing(server: TusServer):
    data = secrets.token_bytes(PIECE_BYTES * 2 + 3)
    upload = await server.open_upload(len(data))
    answer = await upload.patch(0, data, Upload_Checksum=checksum(b"other"))
    assert answer.status == 460
    assert await upload.head() == 0
    assert await server.objects.list(f"uploads/{upload.id}") == []
    assert (await upload.patch(0, data, Upload_Checksum=checksum(data))).status == 204


async def test_a_broken_connection_under_a_checksum_keeps_nothing(server: TusServer):
    upload = await server.open_upload(PIECE_BYTES * 4)
    _reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = upload.headers(**{"Upload-Offset": "0", "Upload-Checksum": checksum(b"whole")})
    head |= {"Content-Type": "application/offset+octet-stream", "Host": "x"}
    head["Content-Length"] = str(PIECE_BYTES * 4)
    lines = [f"{name}: {value}" for name, value in head.items()]
    writer.write("\r\n".join([f"PATCH /uploads/{upload.id} HTTP/1.1", *lines, "", ""]).encode())
    writer.write(b"x" * PIECE_BYTES * 2)
    await writer.drain()
    async with asyncio.timeout(60):
        while not await server.objects.exists(make_part_key(upload.id, 0)):
            await asyncio.sleep(0.02)
    writer.transport.abort()
    assert await wait_until_unlocked(upload) == 0
    assert await server.objects.list(f"uploads/{upload.id}") == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Offset": "minus one"}, 400),
        ({"Upload-Offset": "-1"}, 400),
        ({"Content-Type": "video/mp4"}, 415),
        ({"Upload-Checksum": "crc32 AAAA"}, 400),
        ({"Upload-Checksum": "sha1 not base64"}, 400),
        ({"Upload-Checksum": "sha1 AAAA"}, 400),
        ({"Tus-Resumable": "0.2.0"}, 412),
    ],
)
async def test_malformed_headers_are_refused(
    server: TusServer, headers: dict[str, str], status: int
):
    upload = await server.open_upload(10)
    sound = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    answer = await upload.request("PATCH", upload.headers() | sound | headers, b"x")
    assert answer.status == status
    assert await upload.head() == 0


async def test_an_expired_upload_is_gone(server: TusServer):
    upload = await server.open_upload(10, expires_s=0)
    assert (await upload.patch(0, b"0123456789")).status == 410
    assert (await upload.request("HEAD", upload.headers())).status == 410


async def test_each_piece_begins_the_time_of_an_upload_anew(server: TusServer):
    upload = await server.open_upload(10, expires_s=3600)
    begun = await upload.request("HEAD", upload.headers())
    sent = await upload.patch(0, b"01234")
    later = await upload.request("HEAD", upload.headers())
    assert sent.headers["Upload-Expires"] == later.headers["Upload-Expires"]
    gained = read_expiry(later) - read_expiry(begun)
    assert gained >= timedelta(seconds=server.settings.uploads.expires_s - 3600)


async def test_others_do_not_learn_that_an_upload_exists(server: TusServer):
    upload = await server.open_upload(10)
    other = await server.open_upload(10)
    theirs = other.headers() | {
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
    }
    for method in ("HEAD", "PATCH", "DELETE"):
        assert (await upload.request(method, theirs, b"x")).status == 404
    unknown = replace(upload, id=make_id())
    assert (await unknown.request("HEAD", upload.headers())).status == 404
    assert (await upload.request("HEAD", TUS)).status == 401
    forged = TUS | {"Authorization": "Bearer no.such.token"}
    assert (await upload.request("HEAD", forged)).status == 401


async def test_a_revoked_session_cannot_go_on(server: TusServer):
    upload = await server.open_upload(10)
    session_id = make_id()
    headers = TUS | {"Authorization": f"Bearer {server.token(upload.owner_id, session_id)}"}
    assert (await upload.request("HEAD", headers)).status == 200
    server.revoked.add(session_id)
    assert (await upload.request("HEAD", headers)).status == 401


async def test_giving_up_removes_the_video_and_queues_the_removal_of_bytes(server: TusServer):
    upload = await server.open_upload(10)
    await upload.patch(0, b"0123")
    assert (await upload.request("DELETE", upload.headers())).status == 204
    assert (await upload.request("HEAD", upload.headers())).status == 410
    async with server.database.connection() as connection:
        assert await find_video(connection, upload.video_id) is None
        jobs = await connection.fetch("SELECT entrypoint FROM pgqueuer ORDER BY entrypoint")
    assert [row["entrypoint"] for row in jobs] == [EXPECT_JOB, PURGE_JOB]


async def test_a_complete_upload_cannot_be_given_up(server: TusServer):
    upload = await server.open_upload(4)
    await upload.patch(0, b"0123")
    assert (await upload.request("DELETE", upload.headers())).status == 409


async def test_a_post_may_stand_for_a_patch(server: TusServer):
    upload = await server.open_upload(4)
    headers = upload.headers(**{"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0"})
    headers["Content-Type"] = "application/offset+octet-stream"
    assert (await upload.request("POST", headers, b"0123")).status == 204
    assert (await upload.request("POST", upload.headers(), b"")).status == 400


async def test_the_page_may_read_the_answers_and_strangers_may_not(server: TusServer):
    upload = await server.open_upload(4)
    page = {"Origin": server.settings.http.public_url}
    preflight = await upload.request("OPTIONS", page)
    assert preflight.status == 204
    assert set(preflight.headers["Tus-Extension"].split(",")) == {
        *("creation", "creation-with-upload", "creation-defer-length", "concatenation"),
        *("termination", "checksum", "expiration"),
    }
    assert preflight.headers["Access-Control-Allow-Origin"] == page["Origin"]
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Upload-Offset" in preflight.headers["Access-Control-Allow-Headers"]
    answer = await upload.request("HEAD", upload.headers() | page)
    assert "Upload-Offset" in answer.headers["Access-Control-Expose-Headers"]
    stranger = await upload.request("HEAD", upload.headers() | {"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers
