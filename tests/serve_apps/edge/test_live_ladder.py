"""Smaller pictures of a live on a real edge: what players are told, and get, of every size."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import os
import re
import signal
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import av
import pytest

from kit.setting_sections import LiveSettings
from kit.settings import Settings
from media.live.shedding import SheddingTerms
from serve_apps.edge.server import EdgePace, EdgeServer
from storage.database import Database
from storage.live_segments import SegmentRange, list_segments
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_host
from tests.ladder_processes import find_ladders
from tests.media.live.ladder_stage import Film, FilmCamera
from tests.media.playlist_reading import Listed, Listing, read_playlist
from tests.media.playlist_rules import check_live
from tests.serve_apps.edge.edge_stage import invite, run_edge, use_free_ports
from tests.serve_apps.edge.films import FilmSender, publish_film
from tests.serve_apps.edge.live_publisher import publish
from tests.serve_apps.edge.playback_client import Fetched
from tests.storage.live_rows import create_room_row

pytestmark = pytest.mark.media

KEY = "live_secret"
DEADLINE_S = 60
PATIENT = EdgePace(shedding=SheddingTerms(late_max_s=3600, niceness=0))
"""A busy machine is late; here rungs are given up when a test says so, and made before."""
VARIANT = re.compile(r"#EXT-X-STREAM-INF:(.*)\n(\S+)")


@dataclass
class Stage:
    """Two edges that make 240p, a room, and its players."""

    settings: Settings
    database: Database
    edges: tuple[EdgeServer, EdgeServer]
    http: aiohttp.ClientSession
    room_id: uuid.UUID
    films: list[FilmSender] = field(default_factory=list)

    async def publish(self, *, b_frames: int = 0) -> None:
        """Let FFmpeg publish by RTMP."""
        url = f"rtmp://127.0.0.1:{self.settings.rtmp.port}/live/{KEY}"
        self.films.append(await publish_film(url, size="640x360", b_frames=b_frames))

    async def get(self, path: str, *, edge: int = 0) -> Fetched:
        url = f"{self.edges[edge].address.url}/live/{self.room_id}/{path}"
        async with self.http.get(url) as answer:
            return Fetched(answer.status, answer.headers, await answer.read())

    async def read(self, track: str, query: str = "", *, edge: int = 0) -> Listing:
        async with asyncio.timeout(DEADLINE_S):
            while (
                b'"nothing_new"'
                in (answer := await self.get(f"{track}/index.m3u8{query}", edge=edge)).body
            ):
                await asyncio.sleep(0.05)  # a busy machine makes rungs slowly
        assert answer.status == 200, answer.body
        return read_playlist(answer.text)

    async def await_variants(self) -> list[tuple[str, str]]:
        """Return attributes and address of each variant, once the live can be played."""
        async with asyncio.timeout(DEADLINE_S):
            while (master := await self.get("index.m3u8")).status != 200:
                await asyncio.sleep(0.05)
        return VARIANT.findall(master.text)

    async def decode(self, track: str, segment: Listed, listing: Listing) -> list[av.VideoFrame]:
        """Fetch a segment and decode it by itself."""
        init = next(s.init for s in reversed(listing.segments) if s.init)
        head = await self.get(f"{track}/{init}")
        body = await self.get(f"{track}/{segment.address}")
        assert (head.status, body.status) == (200, 200)
        assert body.headers["Cache-Control"].endswith("immutable")
        with av.open(io.BytesIO(head.body + body.body)) as container:
            return list(container.decode(video=0))


@pytest.fixture
async def stage(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Stage]:
    settings = dataclasses.replace(settings, live=LiveSettings(ladder=("240p", "480p")))
    first, second = use_free_ports(settings), use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id, stream_key=KEY)
    async with (
        run_host(settings),
        run_edge(first, objects, pace=PATIENT) as one,
        run_edge(second, objects, slot=1, pace=PATIENT) as two,
        aiohttp.ClientSession() as http,
    ):
        lent = Stage(first, database, (one, two), http, room_id)
        yield lent
        await asyncio.gather(*(film.close() for film in lent.films))


def number_of(segment: Listed) -> int:
    return int(segment.address.rpartition("/")[2].removesuffix(".m4s"))


async def check_aligned(stage: Stage, *, edge: int = 0) -> None:
    """A segment of the rung is that of the source: its time, its pictures, at the same moments."""
    rung = await stage.read("240p", edge=edge)
    newest = int(rung.tags["MEDIA-SEQUENCE"]) + 2
    rung = await stage.read("240p", f"?_HLS_msn={newest}", edge=edge)
    check_live(rung)
    source = await stage.read("source", f"?_HLS_msn={newest}", edge=edge)
    known = {number_of(s): s for s in source.segments if s.address}
    whole = [s for s in rung.segments if s.address]
    assert len(whole) >= 3
    for segment in whole[:3]:
        like = known[number_of(segment)]
        assert (segment.moment, segment.duration_s) == (like.moment, like.duration_s)
        assert segment.is_discontinuous == like.is_discontinuous
        small = await stage.decode("240p", segment, rung)
        large = await stage.decode("source", like, source)
        assert [frame.pts for frame in small] == [frame.pts for frame in large]
        assert small[0].key_frame
        assert {(frame.width, frame.height) for frame in small} == {(426, 240)}


@pytest.mark.parametrize("b_frames", [0, 2])
async def test_a_live_by_rtmp_is_offered_smaller_with_the_same_sound(
    stage: Stage, b_frames: int
) -> None:
    await stage.publish(b_frames=b_frames)
    variants = await stage.await_variants()
    assert [address for _text, address in variants] == ["source/index.m3u8", "240p/index.m3u8"]
    offered = variants[1][0]
    assert "RESOLUTION=426x240" in offered
    assert 'CODECS="avc1.4d4015,mp4a.40.2"' in offered
    assert 'AUDIO="sound"' in offered
    await check_aligned(stage)
    await check_aligned(stage, edge=1)
    variants = await stage.await_variants()
    rates = [int(re.findall(r"BANDWIDTH=(\d+)", text)[0]) for text, _address in variants]
    assert rates[0] > rates[1]
    for text, _address in variants:
        assert float(re.findall(r"FRAME-RATE=([\d.]+)", text)[0]) == pytest.approx(25, abs=1)
    rung = await stage.get("240p/index.m3u8")
    for other in ("source", "audio"):
        assert f'RENDITION-REPORT:URI="../{other}/index.m3u8"' in rung.text
    source = await stage.get("source/index.m3u8")
    assert 'RENDITION-REPORT:URI="../240p/index.m3u8"' in source.text
    init = await stage.get(
        "240p/" + next(s.init for s in read_playlist(rung.text).segments if s.init)
    )
    assert init.body[init.body.index(b"avcC") + 5 :][:3] == bytes.fromhex("4d4015")
    for track in ("480p", "720p"):  # the source is smaller; nobody wants it
        answer = await stage.get(f"{track}/index.m3u8")
        assert (answer.status, b"rung_over" in answer.body) == (404, True)
    assert (await stage.get("241p/index.m3u8")).status == 404
    async with stage.database.connection() as connection:
        rows = await list_segments(connection, SegmentRange(stage.room_id, 0, 1000))
    assert rows
    assert all(set(row.tracks) == {"source", "audio"} for row in rows)


async def test_a_live_by_webrtc_is_offered_smaller_in_every_sound(stage: Stage) -> None:
    camera = FilmCamera(Film().encode(120))
    edge, room_id = stage.edges[0], stage.room_id
    async with publish(stage.settings, edge, room_id, stream_key=KEY) as publisher:
        publisher.camera = camera
        publisher.speed = 1
        variants = await stage.await_variants()
        assert [address.split("/")[0] for _text, address in variants] == [
            "source",
            "source",
            "240p",
            "240p",
        ]
        assert 'CODECS="avc1.4d4015,opus"' in variants[2][0]
        assert 'CODECS="avc1.4d4015,mp4a.40.2"' in variants[3][0]
        await check_aligned(stage)


async def test_only_a_grant_opens_a_smaller_picture_of_what_is_not_public(stage: Stage) -> None:
    await stage.publish()
    await stage.await_variants()
    listing = await stage.read("240p")
    async with stage.database.connection() as connection:
        await connection.execute(
            "UPDATE lives SET visibility = 'private', access_version = access_version + 1"
        )
    part = listing.segments[0].parts[0][1] if listing.segments[0].parts else "x/0.m4s"
    for path in ("240p/index.m3u8", f"240p/{part}"):
        async with asyncio.timeout(DEADLINE_S):
            while (await stage.get(path)).status != 403:
                await asyncio.sleep(0.05)


async def test_a_process_that_dies_too_often_costs_the_rung_and_not_the_live(
    stage: Stage,
) -> None:
    await stage.publish()
    await stage.await_variants()
    listing = await stage.read("240p")
    newest = int(listing.tags["MEDIA-SEQUENCE"]) + 1
    listing = await stage.read("240p", f"?_HLS_msn={newest}")
    assert find_ladders([os.getpid()])
    killed: set[int] = set()
    async with asyncio.timeout(DEADLINE_S):
        while (answer := await stage.get("240p/index.m3u8")).status == 200:
            for pid in find_ladders([os.getpid()]) - killed:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.05)
    assert (answer.status, b"rung_over" in answer.body) == (404, True)
    assert len(killed) == 4
    variants = await stage.await_variants()
    assert [address for _text, address in variants] == ["source/index.m3u8"]
    kept = listing.segments[0]
    assert (await stage.get(f"240p/{kept.address}")).status == 200
    source = await stage.read("source")
    later = await stage.read("source", f"?_HLS_msn={number_of(source.segments[-2]) + 2}")
    check_live(later)
    assert not any(segment.is_gap for segment in later.segments)
