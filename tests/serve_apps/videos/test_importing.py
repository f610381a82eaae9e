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
from serve_apps.videos.import_answers import ImportInterrupted, read_validator
from serve_apps.videos.importing import (
    ImportJob,
    give_up_import,
    import_video,
    open_import,
)
from serve_apps.videos.quota import QuotaExceeded
from serve_apps.videos.service import VideoOrder
from storage import uploads, videos
from storage.objects import ObjectStore
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
    data: bytes = DATA
    validators: dict[str, str] = field(default_factory=lambda: {"ETag": '"first"'})
    knows_if_range: bool = True
    range_shift: int = 0
    """Its parts begin so many bytes late."""
    asked: list[str] = field(default_factory=list)
    cut_at: int | None = None
    may_cut: asyncio.Event = field(default_factory=asyncio.Event)
    more: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def send(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        data = self.data
        condition = request.headers.get("If-Range")
        if self.knows_if_range and condition not in (None, *self.validators.values()):
            wanted = ""
        first = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if wanted and first >= len(data):
            raise web.HTTPRequestRangeNotSatisfiable
        response = web.StreamResponse(status=206 if wanted else 200, headers=self.validators)
        if wanted:
            first += self.range_shift
            response.headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        if "chunked" not in request.path:
            response.content_length = len(data) - first
        await response.prepare(request)
        stop, self.cut_at = self.cut_at, None
        await response.write(data[first:stop])
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
        if self.world.objects.local_path("x") is not None:
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


async def break_off(world: VideoWorld, site: Site, path: str = "/walk.mp4") -> Import:
    """An import of which 1500 bytes have come."""
    site.cut_at = 1500
    fetched = await announce(world, site.url + path)
    first = asyncio.create_task(fetched.run())
    async with asyncio.timeout(60):
        while not await fetched.stored():
            await asyncio.sleep(0.01)
    site.may_cut.set()
    with pytest.raises(ImportInterrupted):
        await first
    return fetched


MODIFIED = {"Last-Modified": "Sun, 01 Mar 2020 12:00:00 GMT"}


@pytest.mark.parametrize(
    ("validators", "asked"),
    [
        ({"ETag": '"first"'}, ["bytes=1500-"]),
        (MODIFIED, ["bytes=1500-"]),
        ({"ETag": 'W/"first"'}, [""]),
        ({}, [""]),
    ],
    ids=["tag", "date", "weak tag", "nothing"],
)
@pytest.mark.parametrize("store", ["folder", "bucket"])
async def test_an_import_that_broke_off_goes_on_where_it_was(
    world: VideoWorld, site: Site, store: str, validators: dict[str, str], asked: list[str]
):
    if store == "bucket":
        world.objects = ObjectStore.open("memory:///")
    site.validators = validators
    fetched = await break_off(world, site)
    await fetched.run()
    assert site.asked == ["", *asked]
    assert await fetched.stored() == DATA
    assert (await world.get_video(fetched.video_id)).status == "queued"


@pytest.mark.parametrize("knows_if_range", [True, False])
@pytest.mark.parametrize(
    ("first", "changed"),
    [
        ({"ETag": '"first"'}, {"ETag": '"second"'}),
        ({"Last-Modified": "Sat, 01 Feb 2020 12:00:00 GMT"}, MODIFIED),
        ({}, {}),
    ],
    ids=["tag", "date", "nothing"],
)
async def test_a_file_that_changed_meanwhile_is_not_joined_to_what_was_there(
    world: VideoWorld,
    site: Site,
    first: dict[str, str],
    changed: dict[str, str],
    knows_if_range: bool,
):
    site.validators = first
    fetched = await break_off(world, site)
    site.data, site.validators = secrets.token_bytes(len(DATA)), changed
    site.knows_if_range = knows_if_range
    await fetched.run()
    video = await world.get_video(fetched.video_id)
    assert (video.status, video.error_code) == ("failed", "import_changed")
    assert await world.objects.list("uploads") == []


async def test_a_file_that_has_another_length_by_now_is_not_joined_to_what_was_there(
    world: VideoWorld, site: Site
):
    fetched = await break_off(world, site)
    site.data = DATA + b"more"  # its server says that it is the same
    await fetched.run()
    video = await world.get_video(fetched.video_id)
    assert (video.status, video.error_code) == ("failed", "import_changed")


@pytest.mark.parametrize("path", ["/walk.mp4", "/chunked.mp4"])
async def test_a_part_that_begins_elsewhere_than_asked_for_is_not_taken(
    world: VideoWorld, site: Site, path: str
):
    fetched = await break_off(world, site, path)
    site.range_shift = 100
    await fetched.run()
    assert site.asked == ["", "bytes=1500-", ""]
    assert await fetched.stored() == DATA
    assert (await world.get_video(fetched.video_id)).status == "queued"


async def leave_unfinished(world: VideoWorld, fetched: Import, *, is_told: bool) -> None:
    """All bytes of the file came, and the runner died before it said so."""
    async with world.database.connection() as connection:
        upload = await uploads.find_upload_of_video(connection, fetched.video_id)
        assert upload is not None
        await uploads.set_validator(connection, upload.id, '"first"')
        if is_told:
            assert await uploads.set_size(connection, upload.id, len(DATA))
    hold = await UploadHold.open(world.database, world.objects, upload, ttl_s=60, limits=LIMITS)
    parts = await hold.sink.add(DATA) + await hold.sink.flush()
    await hold.acknowledge(parts, is_last=True)
    await hold.close()


async def test_an_import_whose_bytes_are_all_there_only_ends(world: VideoWorld, site: Site):
    fetched = await announce(world, site.url + "/walk.mp4")
    await leave_unfinished(world, fetched, is_told=True)
    await fetched.run()
    assert site.asked == []
    assert await fetched.stored() == DATA
    assert (await world.get_video(fetched.video_id)).status == "queued"


async def test_where_nobody_said_the_length_all_bytes_are_compared_before_it_ends(
    world: VideoWorld, site: Site
):
    fetched = await announce(world, site.url + "/chunked.mp4")
    await leave_unfinished(world, fetched, is_told=False)
    await fetched.run()
    assert site.asked == [f"bytes={len(DATA)}-", ""]
    assert await fetched.stored() == DATA
    assert (await world.get_video(fetched.video_id)).status == "queued"


async def test_giving_up_an_import_whose_bytes_are_all_there_ends_it(world: VideoWorld):
    fetched = await announce(world, "http://127.0.0.1:9/walk.mp4")
    await leave_unfinished(world, fetched, is_told=True)
    await give_up_import(world.ports(InlineMedia(world.objects)), fetched.payload, OSError())
    assert await fetched.stored() == DATA
    assert (await world.get_video(fetched.video_id)).status == "queued"


async def test_giving_up_an_import_that_has_ended_takes_nothing_away(world: VideoWorld, site: Site):
    fetched = await announce(world, site.url + "/walk.mp4")
    await fetched.run()
    await give_up_import(world.ports(InlineMedia(world.objects)), fetched.payload, OSError())
    assert await fetched.stored() == DATA
    assert (await world.get_video(fetched.video_id)).status == "queued"


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"a"', **MODIFIED}, '"a"'),
        ({"ETag": 'W/"a"'}, None),
        ({"ETag": "a"}, None),
        ({"ETag": '"caf\udce9"'}, None),
        ({**MODIFIED, "Date": "Sun, 01 Mar 2020 12:00:01 GMT"}, MODIFIED["Last-Modified"]),
        ({**MODIFIED, "Date": MODIFIED["Last-Modified"]}, None),
        (MODIFIED, None),
        ({"Last-Modified": "yesterday", "Date": "today"}, None),
        ({}, None),
    ],
)
def test_what_tells_a_file_from_another_is_a_strong_tag_or_a_date_that_is_over(
    headers: dict[str, str], validator: str | None
):
    assert read_validator(headers) == validator


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

    async def count(hold: UploadHold, *, has_come: bool) -> None:
        renewed.append(hold)
        await renew(hold, has_come=has_come)

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
