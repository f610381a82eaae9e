"""Importing from an address: the file arrives as an upload would, and nothing inside is reached."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import msgspec
import pytest
from aiohttp import web

from kit.clock import Clock, SystemClock
from kit.ids import make_id
from kit.setting_sections import UploadSettings
from serve_apps.access.identity import Identity
from serve_apps.access.visibility import Visibility
from serve_apps.outside.guard import AddressRefused, fetch, is_open
from serve_apps.videos.importing import (
    ImportInterrupted,
    ImportJob,
    give_up_import,
    import_video,
    open_import,
)
from serve_apps.videos.quota import QuotaExceeded
from serve_apps.videos.service import VideoOrder
from storage import uploads, videos
from storage.upload_holds import UploadHold
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld
from tests.storage.video_rows import create_owner, create_video_row

pytestmark = pytest.mark.db

LIMITS = UploadSettings(piece_bytes=1000, size_bytes_max=5000, import_allowed=("127.0.0.1",))
DATA = secrets.token_bytes(2500)


@dataclass
class Site:
    """An outside server that can break off, redirect, and tell or hide the length."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    cut_at: int | None = None
    may_cut: asyncio.Event = field(default_factory=asyncio.Event)
    more: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def send(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        first = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        response = web.StreamResponse(status=206 if first else 200)
        if "chunked" not in request.path:
            response.content_length = len(DATA) - first
        await response.prepare(request)
        stop, self.cut_at = self.cut_at, None
        await response.write(DATA[first:stop])
        if stop is not None:
            await self.may_cut.wait()
            request.transport.close()
        return response

    async def drip(self, request: web.Request) -> web.StreamResponse:
        """A piece, and another with each release of `more`."""
        response = web.StreamResponse()
        await response.prepare(request)
        for _piece in range(3):
            await response.write(DATA[: LIMITS.piece_bytes])
            await self.more.acquire()
        return response

    async def redirect(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(request.query.get("to", "/r"))

    async def large(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 6000)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    served = Site()
    app = web.Application()
    app.router.add_get("/walk.mp4", served.send)
    app.router.add_get("/chunked.mp4", served.send)
    app.router.add_get("/drip.mp4", served.drip)
    app.router.add_get("/r", served.redirect)
    app.router.add_get("/large.mp4", served.large)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()


@dataclass
class Import:
    """One announced import."""

    world: VideoWorld
    video_id: uuid.UUID
    payload: bytes

    async def run(self, clock: Clock | None = None, **limits: object) -> None:
        settings = replace(self.world.settings, uploads=replace(LIMITS, **limits))
        ports = self.world.ports(InlineMedia(self.world.objects))
        ports = replace(ports, settings=settings, clock=clock or ports.clock)
        await import_video(ports, self.payload)

    async def count_acknowledged(self) -> int:
        async with self.world.database.connection() as connection:
            upload = await uploads.find_upload_of_video(connection, self.video_id)
        assert upload is not None
        return upload.offset_bytes

    async def stored(self) -> bytes:
        async with self.world.database.connection() as connection:
            upload = await uploads.find_upload_of_video(connection, self.video_id)
            assert upload is not None
            parts = await uploads.list_parts(connection, upload.id)
        objects = uploads.list_objects(upload.id, parts)
        assert len(objects) <= 1  # in a folder it grows
        return b"".join(
            [(await self.world.objects.get(one.key))[: one.size_bytes] for one in objects]
        )


async def announce(world: VideoWorld, url: str) -> Import:
    order = VideoOrder("A walk", "", None, "", Visibility.PUBLIC)
    async with world.database.transaction() as connection:
        owner_id = await create_owner(connection, f"u{uuid.uuid4().hex[:8]}")
        owner = Identity(owner_id, make_id(), "ada")
        video_id = await open_import(connection, world.settings, owner, order, url)
    return Import(world, video_id, msgspec.json.encode(ImportJob(video_id, url)))


@pytest.mark.parametrize("path", ["/walk.mp4", "/chunked.mp4", "/r?to=/walk.mp4"])
async def test_a_file_is_fetched_and_queued(world: VideoWorld, site: Site, path: str):
    fetched = await announce(world, site.url + path)
    assert (await world.get_video(fetched.video_id)).status == "uploading"
    await fetched.run()
    assert (await world.get_video(fetched.video_id)).status == "queued"
    assert await fetched.stored() == DATA
    await fetched.run()  # a repeated job finds it done
    assert len(site.asked) == 1


async def test_an_import_that_broke_off_goes_on_where_it_was(world: VideoWorld, site: Site):
    site.cut_at = 1500
    fetched = await announce(world, site.url + "/walk.mp4")
    first = asyncio.create_task(fetched.run())
    async with asyncio.timeout(60):
        while not await fetched.stored():
            await asyncio.sleep(0.01)
    site.may_cut.set()
    with pytest.raises(ImportInterrupted):
        await first
    await fetched.run()
    assert site.asked == ["", "bytes=1500-"]
    assert await fetched.stored() == DATA
    assert (await world.get_video(fetched.video_id)).status == "queued"


class HurriedClock(SystemClock):
    """A minute passes between any two looks."""

    looks = 0

    def monotonic_s(self) -> float:
        self.looks += 1
        return super().monotonic_s() + 60 * self.looks


async def test_an_address_that_sends_slowly_is_not_taken_away(
    world: VideoWorld, site: Site, monkeypatch: pytest.MonkeyPatch
):
    renew, renewed = UploadHold.renew, []

    async def count(hold: UploadHold) -> None:
        renewed.append(hold)
        await renew(hold)

    monkeypatch.setattr(UploadHold, "renew", count)
    fetched = await announce(world, site.url + "/walk.mp4")
    await fetched.run(HurriedClock())
    assert len(renewed) >= 1
    assert await fetched.stored() == DATA


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/none.mp4", "404"),
        ("/large.mp4", "larger"),
        ("/r?to=http://169.254.169.254/latest", "cannot be fetched"),
        ("/r?to=http://[::1]:80/", "cannot be fetched"),
        ("/r?to=file:///etc/passwd", "http"),
        ("/r", "without end"),
    ],
)
async def test_what_cannot_be_taken_ends_the_video_with_the_reason(
    world: VideoWorld, site: Site, path: str, words: str
):
    fetched = await announce(world, site.url + path)
    await fetched.run()
    video = await world.get_video(fetched.video_id)
    assert video.status == "failed"
    assert words in (video.error_message or "")


async def use_up(world: VideoWorld, video_id: uuid.UUID, size_bytes: int) -> None:
    """Have the owner of this video own another of that size."""
    owner_id = (await world.get_video(video_id)).owner_id
    async with world.database.transaction() as connection:
        other_id = await create_video_row(connection, owner_id)
        source = videos.VideoSource(f"videos/{other_id}/source", b"x" * 32, size_bytes)
        await videos.set_source(connection, other_id, source)


async def check_refused_by_quota(fetched: Import, acknowledged_bytes: int) -> None:
    """It failed as an upload beyond the quota does, with no more than so many bytes."""
    video = await fetched.world.get_video(fetched.video_id)
    assert (video.status, video.error_code) == ("failed", QuotaExceeded.code)
    assert video.error_message == QuotaExceeded.message
    assert await fetched.count_acknowledged() == acknowledged_bytes
    assert await fetched.world.objects.list("uploads") == []


async def test_a_length_beyond_what_is_left_of_the_quota_is_refused_before_bytes_come(
    world: VideoWorld, site: Site
):
    fetched = await announce(world, site.url + "/walk.mp4")
    await use_up(world, fetched.video_id, 1000)
    await fetched.run(quota_bytes=1000 + len(DATA) - 1)
    await check_refused_by_quota(fetched, 0)


async def test_a_file_of_unknown_length_ends_where_the_quota_does(world: VideoWorld, site: Site):
    fetched = await announce(world, site.url + "/drip.mp4")
    await use_up(world, fetched.video_id, 1000)
    fetching = asyncio.create_task(fetched.run(quota_bytes=3000))
    for size_bytes in (1000, 2000):
        async with asyncio.timeout(60):
            while await fetched.count_acknowledged() < size_bytes:
                await asyncio.sleep(0.01)
        site.more.release()
    await fetching
    site.more.release()  # it need not wait for the end of the test
    await check_refused_by_quota(fetched, 2000)


async def test_a_file_of_unknown_length_may_have_all_that_is_left(world: VideoWorld, site: Site):
    fetched = await announce(world, site.url + "/chunked.mp4")
    await use_up(world, fetched.video_id, 1000)
    await fetched.run(quota_bytes=1000 + len(DATA))
    assert (await world.get_video(fetched.video_id)).status == "queued"
    assert await fetched.stored() == DATA


async def test_an_address_that_never_answers_is_given_up(world: VideoWorld):
    fetched = await announce(world, "http://127.0.0.1:9/walk.mp4")
    with pytest.raises(ImportInterrupted):
        await fetched.run()
    await give_up_import(world.ports(InlineMedia(world.objects)), fetched.payload, OSError())
    assert (await world.get_video(fetched.video_id)).error_code == "import_refused"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "localhost", "0",
     "[64:ff9b::7f00:1]", "100.64.0.1", "127.1", "169.254.169.254", "10.0.0.1", "[2002:7f00:1::]"],
)  # fmt: skip
async def test_nothing_inside_is_reached_however_it_is_written(site: Site, host: str):
    port = site.url.rpartition(":")[2]
    with pytest.raises((AddressRefused, OSError)):
        async with fetch(f"http://{host}:{port}/walk.mp4"):
            pass
    assert site.asked == []


def test_open_addresses_are_those_of_the_internet():
    assert is_open("93.184.216.34")
    assert is_open("2606:2800:220:1:248:1893:25c8:1946")
    assert not is_open("224.0.0.1")
    assert is_open("10.1.2.3", allowed=("10.1.2.3",))


@pytest.mark.parametrize("url", ["ftp://a.org/x", "http://", "http://u:p@a.org/x", "x" * 3000])
async def test_an_address_of_another_kind_is_refused_at_once(world: VideoWorld, url: str):
    with pytest.raises(AddressRefused):
        await announce(world, url)
