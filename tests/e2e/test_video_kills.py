"""kill -9 under video work: uploads go on where they were acknowledged, transcoding is finished."""

import asyncio
import contextlib
import hashlib
import os
import signal
import struct
import time
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from tests.e2e.load import FAILURES, RETRY_S, Account, await_video, insist, register
from tests.product import Product, await_true

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

UPLOADS = 12
PIECE_BYTES = 64 << 10
DEADLINE_S = 150


class Upload:
    """One file on its way by tus in small pieces; it asks where to go on after every failure."""

    def __init__(self, url: str, owner: Account, data: bytes) -> None:
        self.url, self.owner, self.data = url, owner, data
        self.video_id = ""
        self.address = ""
        self.acknowledged = 0
        self.elsewhere = ""
        """The same upload at another edge, where it goes on after a failure."""
        self.is_sending = False
        self.failures = 0

    async def announce(self, session: aiohttp.ClientSession) -> None:
        body = {"title": "kill", "filename": "a.mp4", "size_bytes": len(self.data)}
        status, answer = await insist(
            session, "POST", f"{self.url}/v1/videos", json=body, headers=self.owner.headers
        )
        assert status == 201, answer
        self.video_id, self.address = answer["id"], answer["upload"]["url"]

    async def send(self, session: aiohttp.ClientSession) -> None:
        while self.acknowledged < len(self.data):
            try:
                await self._send_piece(session)
            except FAILURES:
                self.failures += 1
                self.address, self.elsewhere = self.elsewhere or self.address, self.address
                await asyncio.sleep(RETRY_S)
                await self._ask(session)

    async def _send_piece(self, session: aiohttp.ClientSession) -> None:
        piece = self.data[self.acknowledged : self.acknowledged + PIECE_BYTES]
        headers = self.owner.headers | {
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": str(self.acknowledged),
            "Content-Type": "application/offset+octet-stream",
        }
        timeout = aiohttp.ClientTimeout(total=10)
        self.is_sending = True
        async with session.patch(
            self.address, data=piece, headers=headers, timeout=timeout
        ) as answer:
            if answer.status != 204:
                raise ConnectionError(f"{answer.status} {await answer.text()}")
            self.acknowledged = int(answer.headers["Upload-Offset"])
        self.is_sending = False

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        """Take the offset the server names; what it acknowledged must not have shrunk."""
        timeout = aiohttp.ClientTimeout(total=10)
        headers = self.owner.headers | {"Tus-Resumable": "1.0.0"}
        try:
            async with session.head(self.address, headers=headers, timeout=timeout) as answer:
                if answer.status == 200:
                    offset = int(answer.headers["Upload-Offset"])
                    assert offset >= self.acknowledged, "an acknowledged piece was lost"
                    self.acknowledged = offset
        except FAILURES:
            return


async def start_uploads(
    session: aiohttp.ClientSession, product: Product, small_film: Path, count: int = UPLOADS
) -> list[Upload]:
    owner = await register(session, product.url)
    data = small_film.read_bytes()
    # Each has a box of its own at the end: the same file twice is recognised by its hash.
    copies = [data + struct.pack(">I4sQ", 16, b"free", number) for number in range(count)]
    uploads = [Upload(product.url, owner, copy) for copy in copies]
    for upload in uploads:
        await upload.announce(session)
    return uploads


async def wait_until_ready(
    session: aiohttp.ClientSession, product: Product, uploads: list[Upload]
) -> None:
    async with asyncio.timeout(DEADLINE_S):
        for upload in uploads:
            address = f"{product.url}/v1/videos/{upload.video_id}"
            await await_video(session, address, upload.owner.headers)


async def fetch(product: Product, statement: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(product.settings.database.url, timeout=10)
    try:
        return await connection.fetch(statement, *values)
    finally:
        await connection.close()


async def test_uploads_survive_the_death_of_the_edge(product: Product, small_film: Path):
    async with aiohttp.ClientSession() as session:
        uploads = await start_uploads(session, product, small_film)
        # Asking who to kill takes a second and stops this loop: it comes before the pieces count.
        killed = product.pids("edge-0")[0]
        tasks = [asyncio.create_task(upload.send(session)) for upload in uploads]
        async with asyncio.timeout(60):
            while sum(upload.is_sending and upload.acknowledged > 0 for upload in uploads) < 10:
                await asyncio.sleep(0)
        caught = sum(upload.is_sending for upload in uploads)
        os.kill(killed, signal.SIGKILL)
        started = time.monotonic()
        async with asyncio.timeout(90):
            await asyncio.gather(*tasks)
        print(
            f"edge {killed}: {caught} pieces in flight, all uploads complete "
            f"{time.monotonic() - started:.1f} s later, "
            f"{sum(upload.failures for upload in uploads)} failures"
        )
        assert caught >= 10
        await wait_until_ready(session, product, uploads)
    await check_stored(product, uploads)


async def check_stored(product: Product, uploads: list[Upload]) -> None:
    """Every upload's bytes are the video's source, whole and once."""
    rows = await fetch(
        product,
        "SELECT id, source_sha256, source_bytes FROM videos WHERE id = ANY($1::uuid[])",
        [upload.video_id for upload in uploads],
    )
    stored = {str(row["id"]): (bytes(row["source_sha256"]), row["source_bytes"]) for row in rows}
    assert stored == {
        upload.video_id: (hashlib.sha256(upload.data).digest(), len(upload.data))
        for upload in uploads
    }


@pytest.mark.parametrize(
    "parts",
    [("media workers",), ("runner",), ("ray-control",), ("ray-control", "ray-node")],
    ids=["media workers", "runner", "ray-control", "the head's Ray"],
)
async def test_transcoding_survives_the_death_of_whoever_takes_part_in_it(
    parts: tuple[str, ...], product: Product, small_film: Path
):
    async with aiohttp.ClientSession() as session:
        uploads = await start_uploads(session, product, small_film)
        await asyncio.gather(*(upload.send(session) for upload in uploads))
        ids = [upload.video_id for upload in uploads]
        pending = (
            "SELECT count(*) AS n FROM videos WHERE id = ANY($1::uuid[]) AND status <> 'ready'"
        )
        killed: dict[str, int] = {}
        async with asyncio.timeout(60):
            while len(killed) < len(parts):
                await asyncio.sleep(0.1)
                caught = (await fetch(product, pending, ids))[0]["n"]
                with contextlib.suppress(ProcessLookupError, IndexError):
                    for part in parts:  # one may end by itself meanwhile
                        killed[part] = killed.get(part) or product.kill(part)
        started = time.monotonic()
        async with asyncio.timeout(DEADLINE_S):  # nobody may answer meanwhile
            while (await fetch(product, pending, ids))[0]["n"]:
                await asyncio.sleep(RETRY_S)
        for part, pid in killed.items():
            if part != "media workers":
                await asyncio.to_thread(product.await_new, part, pid)
        await asyncio.to_thread(
            await_true,
            lambda: {it.health for it in product.look().parts} == {"healthy"},
            "every part is back",
        )
        await wait_until_ready(session, product, uploads)
    chunks = await fetch(
        product,
        "SELECT video_id, name, state, losses FROM video_chunks WHERE video_id = ANY($1::uuid[])",
        ids,
    )
    repeated = [row["name"] for row in chunks if row["losses"]]
    print(
        f"{killed}: {caught} videos in work, {len(chunks)} pieces, repeated: {repeated},"
        f" all ready {time.monotonic() - started:.1f} s later"
    )
    assert caught >= 10
    assert {row["state"] for row in chunks} == {"done"}
    assert {str(row["video_id"]) for row in chunks} == set(ids)
