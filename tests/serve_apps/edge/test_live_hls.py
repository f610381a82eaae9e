"""Low-latency HLS of a real edge with a real room behind it: parts, waiting, rows, grants."""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import av
import pytest

from actors.hosting.messages import API
from kit.clock import SystemClock
from kit.metrics import HLS_RELAY_ANSWERS
from kit.settings import Settings
from media.live.slates import SlateBook, SlateShape
from serve_apps.access.grants import Grant, issue_grant
from serve_apps.edge.server import EdgeServer
from storage.database import Database
from storage.live_segments import (
    SegmentRange,
    StoredSegment,
    find_origin,
    list_segments,
    list_sent_segments,
    make_live_prefix,
)
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_client, run_host
from tests.media.live.programme import iterate_fragments
from tests.media.playlist_reading import Listed, Listing, read_playlist
from tests.serve_apps.edge.edge_stage import Guest, connect, invite, run_edge, use_free_ports
from tests.serve_apps.edge.live_publisher import publish
from tests.serve_apps.edge.playback_client import Fetched
from tests.storage.live_rows import create_room_row

pytestmark = pytest.mark.media


@dataclass
class Stage:
    """Two edges of one site, Ada's room, and a player."""

    settings: Settings
    database: Database
    objects: ObjectStore
    edges: tuple[EdgeServer, EdgeServer]
    http: aiohttp.ClientSession
    ada: Guest
    room_id: uuid.UUID

    async def get(self, path: str, *, edge: int = 0, grant: str = "", **headers: str) -> Fetched:
        """Ask for something of the room's; again, as players do, where it did not come yet."""
        async with asyncio.timeout(60):
            while (got := await self.ask(path, edge=edge, grant=grant, **headers)).status == 503:
                await asyncio.sleep(0.05)
        return got

    async def ask(self, path: str, *, edge: int = 0, grant: str = "", **headers: str) -> Fetched:
        """Ask an edge for something of the room's, once."""
        url = f"{self.edges[edge].address.url}{grant}/live/{self.room_id}/{path}"
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.get(url, headers=given) as answer:
            return Fetched(answer.status, answer.headers, await answer.read())

    async def read(self, track: str = "source", query: str = "", *, edge: int = 0) -> Listing:
        """Fetch a playlist."""
        answer = await self.get(f"{track}/index.m3u8{query}", edge=edge)
        assert answer.status == 200, answer.body
        return read_playlist(answer.text)

    async def follow(self, until: int, track: str = "source", *, edge: int = 0) -> Listing:
        """Read on by blocking reloads, as players do, until a segment is whole."""
        async with asyncio.timeout(60):
            while (await self.get("index.m3u8", edge=edge)).status == 404:
                await asyncio.sleep(0.05)  # the edge has not heard of the live yet
        return await self.read(track, f"?_HLS_msn={until}", edge=edge)

    async def list_rows(self) -> list[StoredSegment]:
        async with self.database.connection() as connection:
            return list(await list_segments(connection, SegmentRange(self.room_id, 0, 1000)))

    async def await_rows(self, count: int) -> list[StoredSegment]:
        async with asyncio.timeout(60):
            while len(rows := await self.list_rows()) < count:
                await asyncio.sleep(0.05)
        return rows


@pytest.fixture
async def stage(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Stage]:
    first, second = use_free_ports(settings), use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    async with (
        run_host(settings),
        run_edge(first, objects) as one,
        run_edge(second, objects, slot=1) as two,
        aiohttp.ClientSession() as http,
    ):
        yield Stage(first, database, objects, (one, two), http, ada, room_id)


async def test_a_publisher_is_watched_by_parts_and_whole_segments_are_stored(
    stage: Stage,
) -> None:
    assert (await stage.get("index.m3u8")).status == 404
    async with publish(stage.settings, stage.edges[0], stage.room_id):
        async with asyncio.timeout(60):
            while (master := await stage.get("index.m3u8")).status == 404:
                await asyncio.sleep(0.05)
        assert 'CODECS="avc1.42c00d,opus"' in master.text
        assert master.headers["Access-Control-Allow-Origin"] == "*"
        listing = await stage.follow(1)
        assert [segment.address for segment in listing.segments[:2]] == ["1/0.m4s", "1/1.m4s"]

        # The part that is hinted at comes when it is made; what it holds follows the one before.
        listing = await stage.read()
        hinted = await stage.get("source/" + listing.attributes("PRELOAD-HINT")["URI"])
        before = await stage.get("source/" + listing.segments[-1].parts[-1][1])
        if hinted.status == 200:  # the segment may have ended before it
            ((_, _, _),) = iterate_fragments(hinted.body)
            ((start, length, _),) = iterate_fragments(before.body)
            assert min(start, length) > 0
        assert before.headers["Cache-Control"].endswith("immutable")

        # A whole segment is its parts, the same bytes; ranges of it can be had.
        first = listing.segments[-2]
        whole = await stage.get(f"source/{first.address}")
        pieces = [(await stage.get(f"source/{uri}")).body for _, uri, _ in first.parts]
        assert whole.body == b"".join(pieces)
        ranged = await stage.get(f"source/{first.address}", Range="bytes=100-199")
        assert (ranged.status, ranged.body) == (206, whole.body[100:200])
        init = await stage.get(f"source/{listing.segments[0].init}")
        assert init.body[4:8] == b"ftyp"

        await check_unknown(stage)
        listing = await stage.read(edge=1)
        assert "PRELOAD-HINT" in listing.tags

        await check_aac(stage)
        await check_counted(stage)
        rows = await stage.await_rows(2)
        assert [row.number for row in rows][:2] == [0, 1]
        assert all(set(row.tracks) == {"source", "audio"} for row in rows)
        again = await stage.get(f"source/{first.address}", If_None_Match=whole.headers["ETag"])
        assert again.status == 304  # from memory or from its file
        # What is stored goes out of its file, without a copy.
        key = f"live/{stage.room_id}/1/source/0.m4s"
        filed = await stage.objects.get(key)
        await stage.objects.put(key, b"filed")
        assert (await stage.get("source/1/0.m4s")).body == b"filed"
        await stage.objects.put(key, filed)
        # A player on another site may read each of them.
        answers = (before, whole, ranged, init, again)
        assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {"*"}
    keys = await stage.objects.list(make_live_prefix(stage.room_id))
    stored = await stage.objects.get(f"live/{stage.room_id}/1/source/{first.address[2:]}")
    assert stored == whole.body
    assert f"live/{stage.room_id}/1/audio/init0.mp4" in {entry.key for entry in keys}


async def check_aac(stage: Stage) -> None:
    """The sound is made as AAC for who asks for that playlist, under the same numbers."""
    master = (await stage.get("index.m3u8")).text
    assert 'CODECS="avc1.42c00d,mp4a.40.2"' in master
    assert master.index("avc1.42c00d,opus") < master.index("avc1.42c00d,mp4a")
    assert (await stage.get("aac/1/0.m4s")).status == 404  # nobody asked for its playlist
    listing = await stage.read("aac")
    number = int(listing.tags["MEDIA-SEQUENCE"])
    listing = await stage.read("aac", f"?_HLS_msn={number + 1}")
    hinted = await stage.get("aac/" + listing.attributes("PRELOAD-HINT")["URI"])
    assert hinted.status in (200, 404)  # the segment may have ended before it
    first = listing.segments[0]
    init, whole = await stage.get(f"aac/{first.init}"), await stage.get(f"aac/{first.address}")
    assert whole.headers["Content-Type"] == "audio/mp4"
    with av.open(io.BytesIO(init.body + whole.body)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate, stream.channels) == ("aac", 48_000, 2)
        heard = sum(frame.samples for frame in container.decode(stream))
    assert heard / 48_000 == pytest.approx(first.duration_s, abs=0.03)
    opus = await stage.read("audio")
    moments = {int(s.address[2:].split(".")[0]): s.moment for s in opus.segments if s.address}
    assert first.moment is not None
    assert abs((first.moment - moments[number]).total_seconds()) < 0.022  # a frame of AAC


async def check_counted(stage: Stage) -> None:
    """Players count at the edge they ask: strangers, and people whatever became of the grant."""
    bob = await invite(stage.database, stage.settings, "bob")
    outdated = Grant(stage.room_id, bob.user_id, None, access_version=0, expires_at_s=0)
    bobs = f"/t/{issue_grant(stage.settings.auth, outdated)}"
    async with connect(stage.edges[1]) as talker:
        await talker.subscribe(f"room:{stage.room_id}")

        def is_counted() -> bool:
            ways = (talker.latest("viewer_count") or {}).get("ways")
            # "one", "other", Bob, and us at both edges; the socket belongs to one of these.
            return bool(ways == {"webrtc": 0, "hls": 5, "chat": 0})

        async with asyncio.timeout(60):
            while not is_counted():  # who asks no more has left
                for agent in ("one", "one", "other"):
                    for track, grant in (("source", ""), ("audio", bobs)):
                        path = f"{track}/index.m3u8"
                        answer = await stage.get(path, grant=grant, User_Agent=agent)
                        assert answer.status == 200
                for edge in range(2):
                    await stage.read(edge=edge)
                await asyncio.sleep(0.5)


async def check_unknown(stage: Stage) -> None:
    """What no playlist names is not found, and what lies too far ahead is refused."""
    for path in (
        "source/1/77.m4s",
        "source/2/0.m4s",
        "source/1/0.99.m4s",
        "source/1/00.m4s",
        "source/1/0.0.0.m4s",
        "source/1/..%2f..%2finit0.mp4",
        "other/index.m3u8",
        "source/1/init9.mp4",
    ):
        assert (await stage.get(path)).status == 404, path
    for query in ("_HLS_msn=900", "_HLS_part=1", "_HLS_msn=x"):
        assert (await stage.get(f"source/index.m3u8?{query}")).status == 400


async def test_a_vp8_publisher_is_told_that_hls_and_the_recording_are_off(stage: Stage) -> None:
    async with stage.database.connection() as connection:
        other = await create_room_row(connection, stage.ada.user_id)
    edge = stage.edges[0]
    async with run_client(stage.settings, name="api", role=API) as rooms, asyncio.timeout(60):
        async with publish(stage.settings, edge, stage.room_id, ("VP8", "opus")):
            while (answer := await stage.get("index.m3u8")).status == 404:
                await asyncio.sleep(0.05)
            assert answer.status == 409
            assert b"hls_off" in answer.body
            # Whatever else comes in at the edge, it stays so and its room hears of it.
            async with publish(stage.settings, edge, other):
                while (ingest := (await rooms.ask_health(stage.room_id)).ingest) is None:
                    await asyncio.sleep(0.1)
                assert (ingest.is_carried, ingest.uncarried_codec) == (False, "VP8")
                assert ingest.bitrate_bps > 0
                assert ingest.packets_received
                assert (await stage.get("index.m3u8")).status == 409
                while (carried := (await rooms.ask_health(other)).ingest) is None:
                    await asyncio.sleep(0.1)
                assert (carried.is_carried, carried.uncarried_codec) == (True, None)
        while (await rooms.ask_health(stage.room_id)).ingest is not None:
            await asyncio.sleep(0.1)
    assert await stage.list_rows() == []


async def test_only_a_grant_opens_what_is_not_public(stage: Stage) -> None:
    async with stage.database.connection() as connection:
        await connection.execute(
            "UPDATE lives SET visibility = 'private' WHERE id = $1", stage.room_id
        )

    async def make_grant(**changes: object) -> str:
        async with stage.database.connection() as connection:
            version = await connection.fetchval(
                "SELECT access_version FROM lives WHERE id = $1", stage.room_id
            )
        fields = {"resource": stage.room_id, "access_version": version, **changes}
        until_s = SystemClock().now().timestamp() + 600
        grant = Grant(viewer=None, session=None, expires_at_s=until_s, **fields)
        return f"/t/{issue_grant(stage.settings.auth, grant)}"

    async with publish(stage.settings, stage.edges[0], stage.room_id):
        await stage.await_rows(1)
        assert (await stage.get("index.m3u8")).status == 403
        grant = await make_grant()
        assert (await stage.get("index.m3u8", grant=grant)).status == 200
        assert (await stage.get("source/1/0.m4s", grant=grant)).status == 200
        other = await make_grant(resource=uuid.uuid4())
        assert (await stage.get("index.m3u8", grant=other)).status == 403
        outdated = await make_grant(access_version=99)
        assert (await stage.get("source/index.m3u8", grant=outdated)).status == 403


class NoSlates(SlateBook):
    """Has no slate for any shape."""

    async def get(self, shape: SlateShape) -> None:
        """Nothing stands in, however long a publisher is away."""


async def test_the_next_publisher_elsewhere_goes_on_and_the_gap_is_marked(stage: Stage) -> None:
    # The next one may take longer here than a slate waits.
    stage.edges[0]._broadcasts._slates = NoSlates(SystemClock().monotonic_s)
    async with publish(stage.settings, stage.edges[0], stage.room_id) as publisher:
        publisher.speed = 1  # the gap is told by the wall clock
        await stage.await_rows(1)
    async with asyncio.timeout(60):  # its last segment is stored after it left
        while "PRELOAD-HINT" in (before := await stage.read()).tags:
            await asyncio.sleep(0.05)
    kept = len(before.segments)
    await asyncio.sleep(1.1)  # what is shorter is no gap
    async with publish(stage.settings, stage.edges[1], stage.room_id):
        listing = await stage.follow(kept + 1, edge=1)
        assert listing.segments[kept].is_gap
        assert listing.segments[kept + 1].is_discontinuous
        assert listing.segments[kept + 1].init == "2/init0.mp4"
        old = await stage.get(f"source/{listing.segments[0].address}", edge=1)
        assert old.status == 200
    rows = await stage.await_rows(kept + 2)
    assert [row.number for row in rows] == list(range(len(rows)))
    assert [row.origin_gen for row in rows[kept - 1 : kept + 2]] == [1, 2, 2]
    assert not rows[kept].tracks


async def test_an_edge_where_a_live_does_not_come_in_has_it_from_the_one_where_it_does(
    stage: Stage,
) -> None:
    url = f"{stage.edges[1].address.url}/live/{stage.room_id}"
    async with publish(stage.settings, stage.edges[0], stage.room_id):
        await stage.follow(1)
        is_same = False
        async with asyncio.timeout(60):  # it hears of the live, and how much of it comes in
            while not is_same:
                near = await stage.get("index.m3u8")
                async with stage.http.get(f"{url}/index.m3u8", allow_redirects=False) as master:
                    is_same = (master.status, await master.text()) == (200, near.text)
        answers: list[Fetched] = []
        async with asyncio.timeout(60):
            while not answers or any(answer.status == 503 for answer in answers):
                before = read_relay_metric("fetched")
                asked = "source/index.m3u8?_HLS_msn=4"
                answers = await asyncio.gather(*(stage.ask(asked, edge=1) for _ in range(20)))
        assert read_relay_metric("fetched") == before + 1, "those who wait share one request"
        assert answers[0].status == 200, answers[0].body
        listing = read_playlist(answers[0].text)
        assert len(listing.segments) >= 4
        for address in (listing.segments[2].address, listing.segments[0].init):
            assert await is_had_from_there(stage, f"source/{address}")
        async with asyncio.timeout(60):  # a segment may end before the part it hints at
            hint = listing.attributes("PRELOAD-HINT")
            while not await is_had_from_there(stage, f"source/{hint['URI']}"):
                hint = (await stage.read()).attributes("PRELOAD-HINT")
        assert (await stage.get("source/1/99999.m4s", edge=1)).status == 404
        assert (await stage.get("source/%2e%2e/1.m4s", edge=1)).status == 404
        assert (await stage.read(query="?_HLS_msn=5&_HLS_skip=YES", edge=1)).segments
        async with stage.database.connection() as connection:
            await connection.execute(
                "UPDATE lives SET visibility = 'private', access_version = access_version + 1"
            )
        async with asyncio.timeout(60):
            while (await stage.get("source/index.m3u8", edge=1)).status != 403:
                await asyncio.sleep(0.05)


async def is_had_from_there(stage: Stage, path: str) -> bool:
    """Say whether there is such a thing; if so, both edges have the same."""
    near, far = await asyncio.gather(stage.get(path), stage.get(path, edge=1))
    assert far.status == near.status
    if near.status != 200:
        return False
    assert far.body == near.body
    for name in ("Cache-Control", "ETag"):
        assert far.headers[name] == near.headers[name]
    return True


def read_relay_metric(source: str) -> float:
    return HLS_RELAY_ANSWERS.labels(source)._value.get()


async def test_a_slate_stands_in_for_a_publisher_who_is_away_and_is_not_recorded(
    stage: Stage,
) -> None:
    async with run_client(stage.settings, name="api", role=API) as rooms:
        async with publish(stage.settings, stage.edges[0], stage.room_id):
            await stage.await_rows(1)
        async with asyncio.timeout(60):  # nobody is there: it begins by itself
            while not any(listed.init == "1/init1.mp4" for listed in (await read_all(stage))):
                await asyncio.sleep(0.05)
        first = [listed.init for listed in await read_all(stage)].index("1/init1.mp4")
        slate = (await stage.read("source", f"?_HLS_msn={first}")).segments[first]
        assert slate.is_discontinuous
        init = await stage.get(f"source/{slate.init}")
        whole = await stage.get(f"source/{slate.address}")
        with av.open(io.BytesIO(init.body + whole.body)) as container:
            frames = list(container.decode(video=0))
        assert len(frames) == 60
        assert frames[0].to_ndarray(format="gray").max() > 200
        await stage.read("audio", f"?_HLS_msn={first}")
        assert (await stage.get(f"audio/{slate.address}")).status == 200

        async with publish(stage.settings, stage.edges[0], stage.room_id):
            async with asyncio.timeout(60):
                while not any(listed.init == "2/init0.mp4" for listed in (await read_all(stage))):
                    await asyncio.sleep(0.05)
            segments = await read_all(stage)
            back = [listed.init for listed in segments].index("2/init0.mp4")
            assert segments[back].is_discontinuous
            rows = await stage.await_rows(back + 1)
            await rooms.end_live(stage.room_id)
    async with asyncio.timeout(60):
        while "ENDLIST" not in (listing := await stage.read(edge=1)).tags:
            await asyncio.sleep(0.1)
    addresses = [segment.address for segment in listing.segments]
    assert addresses[:back] == [segment.address for segment in segments[:back]]
    assert [row.number for row in rows if row.tracks["source"].is_slate] == [*range(first, back)]
    async with stage.database.connection() as connection:
        wanted = SegmentRange(stage.room_id, 0, 1000)
        sent = await list_sent_segments(connection, wanted)
    assert not {row.number for row in sent} & set(range(first, back))


async def read_all(stage: Stage) -> list[Listed]:
    return (await stage.read()).segments


async def test_the_end_of_a_live_ends_its_playlists(stage: Stage) -> None:
    async with (
        run_client(stage.settings, name="api", role=API) as rooms,
        publish(stage.settings, stage.edges[0], stage.room_id),
    ):
        await stage.await_rows(1)
        await rooms.end_live(stage.room_id)
    for edge in (0, 1):
        async with asyncio.timeout(60):
            while "ENDLIST" not in (listing := await stage.read(edge=edge)).tags:
                await asyncio.sleep(0.1)
        for segment in listing.segments:
            assert (await stage.get(f"source/{segment.address}", edge=edge)).status == 200
    async with stage.database.connection() as connection:
        origin = await find_origin(connection, stage.room_id)
    assert origin is not None
    assert not origin.is_listing
