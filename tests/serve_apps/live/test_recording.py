"""What is left of a live: its recording, clips, and what is removed; played by an edge."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import av
import httpx
import msgspec
import pytest

from kit.events import Event, EventName
from kit.ids import make_id
from kit.settings import Settings
from media.cmaf import Sample, build_fragment
from media.live.fragments import AUDIO, VIDEO, make_audio_init, make_video_init
from media.live.packets import OPUS_FORMAT, OPUS_SILENCE
from media.live.samples import VIDEO_TIMESCALE, VideoFormat
from serve_apps.http.state import ApiPorts
from serve_apps.live.jobs import HANDLERS, keep_or_forget
from serve_apps.live.recording import PICTURE_JOB, PURGE_JOB, LiveJob, PictureJob
from storage.database import Connection, Database
from storage.live_segments import (
    SegmentRange,
    StoredSegment,
    StoredTrack,
    insert_segment,
    list_segments,
    make_live_key,
    make_live_prefix,
    open_origin,
)
from storage.objects import ObjectStore
from tests.serve_apps.api_client import Person
from tests.serve_apps.edge.playback_client import serve_playback
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld

pytestmark = pytest.mark.media

SECONDS = 2
MOMENT = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)


def encode_picture() -> tuple[VideoFormat, bytes]:
    """One keyframe of a test picture: its format, its sample."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"x264-params": "annexb=0:bframes=0:rc-lookahead=0"}
    encoder.flags |= av.codec.context.Flags.global_header
    with av.open("testsrc2=size=320x180:rate=30", format="lavfi") as source:
        frame = next(source.decode(video=0)).reformat(format="yuv420p")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return VideoFormat(320, 180, bytes(encoder.extradata)), bytes(packets[0])


async def store_segments(
    connection: Connection, objects: ObjectStore, live_id: uuid.UUID, count: int
) -> None:
    """Store and list what a publisher's edge would: real pictures, silence."""
    await connection.execute(
        "UPDATE lives SET status = 'live', origin_gen = 1, origin = $2 WHERE id = $1",
        live_id,
        {"session": "s"},
    )
    assert await open_origin(connection, live_id, "s") == 1
    video, picture = encode_picture()
    inits = {VIDEO: make_video_init(0, video), AUDIO: make_audio_init(0, OPUS_FORMAT)}
    samples = {
        VIDEO: [Sample(picture, SECONDS * VIDEO_TIMESCALE)],
        AUDIO: [Sample(OPUS_SILENCE, 960)] * (SECONDS * 50),
    }
    for number in range(count):
        tracks = {}
        for track, init in inits.items():
            start = number * SECONDS * init.timescale
            data = build_fragment(
                samples[track], number=number, base_ticks=start, is_video=track == VIDEO
            )
            await objects.put(make_live_key(live_id, 1, track, init.name), init.data)
            await objects.put(make_live_key(live_id, 1, track, f"{number}.m4s"), data)
            ticks = SECONDS * init.timescale
            tracks[track] = StoredTrack(
                init.name, init.codec, init.timescale, start, ticks, len(data), init.width,
                init.height, init.channels,
            )  # fmt: skip
        moment = MOMENT + timedelta(seconds=number * SECONDS)
        row = StoredSegment(live_id, number, 1, moment, SECONDS * 1000, False, tracks)
        assert await insert_segment(connection, row)


class Ended:
    """A live of Ada's with stored segments, and the jobs that follow its end."""

    def __init__(
        self, ada: Person, ports: ApiPorts, settings: Settings, client: httpx.AsyncClient
    ) -> None:
        self.ada, self.ports, self.client = ada, ports, client
        world = VideoWorld(settings, ports.database, ports.cache, ports.objects)
        self.jobs = world.ports(InlineMedia(ports.objects))
        self.event_id = make_id()

    async def announce(self, count: int, **body: object) -> uuid.UUID:
        live = await self.ada.post("/v1/live", {"title": "Night drive", **body}, status=201)
        live_id = uuid.UUID(live["id"])
        async with self.ports.database.transaction() as connection:
            await store_segments(connection, self.ports.objects, live_id, count)
        return live_id

    async def end(self, live_id: uuid.UUID) -> None:
        """Write the end as the room does, and hear of it twice."""
        async with self.ports.database.connection() as connection:
            await connection.execute("UPDATE lives SET status = 'ended' WHERE id = $1", live_id)
            await connection.execute("UPDATE live_origins SET closed_at = now()")
        event = Event(self.event_id, EventName.STREAM_ENDED, live_id, None, {}, MOMENT)
        await keep_or_forget(self.jobs, event)
        await keep_or_forget(self.jobs, event)

    async def run(self, job: str, payload: msgspec.Struct) -> None:
        spec = HANDLERS[job]
        await spec.handle(self.jobs, msgspec.json.encode(payload))


@pytest.fixture
def ended(ada: Person, ports: ApiPorts, settings: Settings, client: httpx.AsyncClient) -> Ended:
    return Ended(ada, ports, settings, client)


async def list_stored(database: Database, live_id: uuid.UUID) -> int:
    async with database.connection() as connection:
        return len(await list_segments(connection, SegmentRange(live_id, 0, 999)))


async def test_a_live_is_a_video_when_it_ends_and_a_clip_is_one_before(
    ended: Ended, bob: Person, database: Database
) -> None:
    live_id = await ended.announce(6)
    clip = await bob.post(f"/v1/live/{live_id}/clips", {"seconds": 5, "title": "Jump"}, status=201)
    await ended.end(live_id)
    shown = await ended.ada.get(f"/v1/live/{live_id}")
    video = await ended.ada.get(f"/v1/videos/{shown['recording_id']}")
    assert (video["status"], video["title"], video["duration_ms"]) == (
        "ready",
        "Night drive",
        12_000,
    )
    await ended.run(PICTURE_JOB, PictureJob(uuid.UUID(video["id"])))
    await ended.run(PICTURE_JOB, PictureJob(uuid.UUID(clip["video_id"])))
    mine = await ended.ada.get("/v1/videos?owner=me")
    assert [item["id"] for item in mine["items"]] == [video["id"]]

    ports = ended.ports
    async with serve_playback(ports.settings, database, ports.objects, ports.clock) as player:
        for name, length_s in ((video["id"], 12), (clip["video_id"], 6)):
            renditions = await player.list_renditions(f"/v/{name}/master.m3u8")
            assert set(renditions) == {"source.m3u8", "audio.m3u8"}
            data = await player.fetch_rendition(renditions["source.m3u8"])
            assert data.count(b"moof") == length_s / SECONDS
            board = await player.get(f"/v/{name}/storyboard.vtt")
            assert board.text.count("#xywh=") == length_s / SECONDS
            for picture in ("thumbnail.jpg", "storyboard/00000.jpg"):
                assert (await player.get(f"/v/{name}/{picture}")).body[:2] == b"\xff\xd8"
        assert (await player.get(f"/v/{video['id']}/source/00009.m4s")).status == 404

    await ended.run(PURGE_JOB, LiveJob(live_id))  # a video needs them
    assert await list_stored(database, live_id) == 6


async def test_a_live_that_is_not_recorded_leaves_nothing(
    ended: Ended, bob: Person, database: Database, objects: ObjectStore
) -> None:
    live_id = await ended.announce(2, record=False)
    answer = await bob.call("POST", f"/v1/live/{live_id}/clips", json={"seconds": 5})
    assert (answer.status_code, answer.json()["error"]) == (409, "clips_off")
    await ended.run(PURGE_JOB, LiveJob(live_id))  # it still runs
    assert await list_stored(database, live_id) == 2
    await ended.end(live_id)
    assert (await ended.ada.get(f"/v1/live/{live_id}"))["recording_id"] is None
    await ended.run(PURGE_JOB, LiveJob(live_id))
    assert await list_stored(database, live_id) == 0
    assert await objects.list(make_live_prefix(live_id)) == []
    answer = await ended.ada.call("PATCH", f"/v1/live/{live_id}", json={"record": True})
    assert answer.json()["error"] == "live_ended"


async def test_a_clip_of_a_live_that_is_not_recorded_keeps_its_own_segments_alone(
    ended: Ended, database: Database, objects: ObjectStore
) -> None:
    live_id = await ended.announce(6, record=False)
    await ended.ada.post(f"/v1/live/{live_id}/clips", {"seconds": 5}, status=201)
    await ended.end(live_id)
    await ended.run(PURGE_JOB, LiveJob(live_id))
    assert await list_stored(database, live_id) == 3
    kept = {entry.key.rpartition("/")[2] for entry in await objects.list(make_live_prefix(live_id))}
    assert kept == {"init0.mp4", "3.m4s", "4.m4s", "5.m4s"}


async def test_who_may_clip_what(ended: Ended, bob: Person) -> None:
    nothing = await ended.ada.post("/v1/live", {"title": "Empty"}, status=201)
    answer = await ended.ada.call("POST", f"/v1/live/{nothing['id']}/clips", json={"seconds": 9})
    assert answer.json()["error"] == "nothing_to_clip"
    live_id = await ended.announce(2, visibility="unlisted")
    path = f"/v1/live/{live_id}/clips"
    assert (await bob.call("POST", path, json={"seconds": 9})).status_code == 403
    assert (await ended.ada.call("POST", path, json={"seconds": 1})).status_code == 422
    assert (await ended.client.post(path, json={"seconds": 9})).status_code == 401
    made = await ended.ada.post(path, {"seconds": 9}, status=201)
    video = await ended.ada.get(f"/v1/videos/{made['video_id']}")
    assert (video["title"], video["visibility"]) == ("Clip: Night drive", "unlisted")
