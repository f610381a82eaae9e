"""Playlists go out with one hash and one compression for all who ask for the same text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from kit.shared_text import SharedText
from media.live.fragments import VIDEO
from media.vod.publish import Publication
from serve_apps.edge.media_answers import PLAYLIST_TYPE, send_text
from serve_apps.edge.video_catalog import CatalogEntry
from tests.media.live.programme import Programme
from tests.serve_apps.edge.playback_client import Fetched

pytestmark = pytest.mark.media

PLAYERS = 20


@dataclass
class Stage:
    """A live of a minute, its picture's whole playlist at an address, and players."""

    programme: Programme = field(default_factory=Programme)
    client: TestClient[web.Request, web.Application] = field(init=False)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        return await send_text(request, PLAYLIST_TYPE, self.text)

    @property
    def text(self) -> SharedText:
        return self.programme.playlists.render(VIDEO, is_delta=False)

    async def get(self, **headers: str) -> Fetched:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.get("/index.m3u8", headers=given) as answer:
            return Fetched(answer.status, answer.headers, await answer.read())

    async def get_many(self, **headers: str) -> list[Fetched]:
        """Have all players ask at once."""
        return await asyncio.gather(*(self.get(**headers) for _ in range(PLAYERS)))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    stage.programme.run(60)
    app = web.Application()
    app.router.add_get("/index.m3u8", stage.answer)
    async with TestClient(TestServer(app)) as stage.client:
        yield stage


async def test_a_playlist_is_hashed_and_compressed_once_for_all_players(stage: Stage):
    text = stage.text
    packed = await stage.get_many(Accept_Encoding="gzip")
    plain = await stage.get_many(Accept_Encoding="identity")
    assert {answer.body for answer in (*packed, *plain)} == {text.body}
    assert {answer.headers.get("Content-Encoding") for answer in packed} == {"gzip"}
    assert all("Content-Encoding" not in answer.headers for answer in plain)
    (tag,) = {answer.headers["ETag"] for answer in (*packed, *plain)}
    known = await stage.get_many(If_None_Match=tag)
    assert {(answer.status, answer.body) for answer in known} == {(304, b"")}
    assert (text.hashed, text.compressed) == (1, 1)


async def test_the_next_part_makes_another_tag(stage: Stage):
    before = await stage.get(Accept_Encoding="gzip")
    earlier = stage.text
    stage.programme.run(1)
    after = await stage.get(Accept_Encoding="gzip", If_None_Match=before.headers["ETag"])
    assert (after.status, after.body) == (200, stage.text.body)
    assert after.headers["ETag"] != before.headers["ETag"]
    assert (await stage.get(If_None_Match=after.headers["ETag"])).status == 304
    assert stage.text is not earlier
    assert (stage.text.hashed, stage.text.compressed) == (1, 1)


async def test_who_takes_no_compression_costs_none(stage: Stage):
    answers = await stage.get_many(Accept_Encoding="identity")
    assert {answer.status for answer in answers} == {200}
    assert stage.text.compressed == 0


@pytest.mark.parametrize(
    ("given", "coding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("br;q=1.0, GZIP;q=0.5", "gzip"),
        ("gzip; q=0, identity", None),
        ("gzip;q=0.000", None),
        ("deflate", None),
        ("x-gzipped", None),
    ],
)
async def test_only_who_names_gzip_gets_it(stage: Stage, given: str, coding: str | None):
    answer = await stage.get(Accept_Encoding=given)
    assert answer.headers.get("Content-Encoding") == coding
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.body == stage.text.body


def test_a_videos_playlist_is_one_text_until_something_else_plays():
    made = CatalogEntry(0.0, None, Publication(files={"240p.m3u8": b"first"}))
    text = made.find_file("240p.m3u8")
    assert text is not None
    assert replace(made, read_s=1.0).find_file("240p.m3u8") is text, "read again, it is the same"
    assert made.find_file("480p.m3u8") is None
    later = CatalogEntry(2.0, None, Publication(files={"240p.m3u8": b"second"}))
    found = later.find_file("240p.m3u8")
    assert found is not None
    assert found.body == b"second"
