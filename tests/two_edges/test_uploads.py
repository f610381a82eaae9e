"""Uploads whose edge is killed go on at the other one, where they were acknowledged."""

import asyncio
import os
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.test_video_kills import check_stored, start_uploads, wait_until_ready
from tests.product import Product

pytestmark = [pytest.mark.ray, pytest.mark.late, pytest.mark.timeout(240)]


def address_of(product: Product, address: str, slot: int) -> str:
    """The same upload at one of both edges."""
    edge = product.settings.edge
    path = address.partition("/uploads/")[2]
    return f"http://{edge.public_host}:{edge.port + 10 * slot}/uploads/{path}"


async def test_an_upload_goes_on_at_the_other_edge(product: Product, small_film: Path):
    async with aiohttp.ClientSession() as session:
        uploads = await start_uploads(session, product, small_film)
        for upload in uploads:
            upload.elsewhere = address_of(product, upload.address, 1)
            upload.address = address_of(product, upload.address, 0)
        killed = product.pids("edge-0")[0]
        tasks = [asyncio.create_task(upload.send(session)) for upload in uploads]
        async with asyncio.timeout(60):
            while sum(upload.is_sending and upload.acknowledged > 0 for upload in uploads) < 10:
                await asyncio.sleep(0)
        os.kill(killed, signal.SIGKILL)
        started = time.monotonic()
        async with asyncio.timeout(90):
            await asyncio.gather(*tasks)
        print(f"edge {killed}: all uploads complete {time.monotonic() - started:.1f} s later")
        moved = [upload for upload in uploads if upload.failures]
        assert len(moved) >= 10
        await wait_until_ready(session, product, uploads)
    await check_stored(product, uploads)
