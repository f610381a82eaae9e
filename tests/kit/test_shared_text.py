"""A text that many ask for is hashed and compressed once, in a thread where it is large."""

from __future__ import annotations

import asyncio
import gzip
import hashlib

import pytest

from kit.shared_text import ASIDE_FROM_BYTES, SharedText

pytestmark = pytest.mark.unit

SMALL, LARGE = b"#EXTINF:2.0,\n" * 100, b"#EXTINF:2.0,\n" * (ASIDE_FROM_BYTES // 4)


@pytest.mark.parametrize("body", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
async def test_a_text_is_hashed_and_compressed_once_for_all_who_ask(body: bytes):
    text = SharedText(body)
    assert (text.hashed, text.compressed) == (0, 0), "nobody asked"
    for _time in range(2):
        hashes = await asyncio.gather(*(text.hash() for _ in range(20)))
        packed = await asyncio.gather(*(text.compress() for _ in range(20)))
        assert set(hashes) == {hashlib.sha256(body).hexdigest()}
        assert {gzip.decompress(each) for each in packed} == {body}
    assert (text.hashed, text.compressed) == (1, 1)


async def test_who_asks_first_and_goes_away_takes_nothing_from_the_others():
    text = SharedText(LARGE)
    first, second = (asyncio.create_task(text.compress()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert gzip.decompress(await second) == LARGE
    assert first.cancelled()
    assert text.compressed == 1


async def test_the_same_text_is_compressed_to_the_same_bytes():
    assert await SharedText(LARGE).compress() == await SharedText(LARGE).compress()
