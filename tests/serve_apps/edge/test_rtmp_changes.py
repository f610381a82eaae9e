"""What an RTMP publisher sends late, early or changed: a real edge's WebRTC and HLS viewers."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import av
import numpy as np
import pytest

from media.live.recording import build_tracks
from storage.live_segments import SegmentRange, StoredSegment, list_segments
from tests.media.playlist_reading import Listed, Listing, read_playlist
from tests.media.rtmp.client import AUDIO, hello
from tests.media.rtmp.flv import FlvTag, Take
from tests.media.rtmp.test_forwarder import find_pitch, list_rtp
from tests.media.rtmp.test_server import Encoding
from tests.media.sfu.peer import RtcPeer
from tests.serve_apps.edge.test_rtmp import DEADLINE_S, KEY, Stage, stage
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media

__all__ = ["stage"]  # the fixture

HEARD_PACKETS = 100
SILENT_MS = 3000


@dataclass(frozen=True)
class Heard:
    """What a player decodes of a segment of sound."""

    codec: str
    rate_hz: int
    channels: int
    pitch_hz: float


@dataclass
class Player:
    """Reads a live's playlists and segments."""

    stage: Stage

    def locate(self, name: str) -> str:
        return f"{self.stage.edge.address.url}/live/{self.stage.room_id}/{name}"

    async def await_segments(self, track: str, count: int, *, marks: int = 0) -> Listing:
        """Return a playlist with so many whole segments behind so many discontinuities."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                async with self.stage.http.get(self.locate(f"{track}/index.m3u8")) as answer:
                    text = await answer.text()
                if answer.status == 200:
                    listing = read_playlist(text)
                    for part in cut_parts(listing)[marks : marks + 1]:
                        if len([segment for segment in part if segment.address]) >= count:
                            return listing
                await asyncio.sleep(0.1)

    async def fetch(self, track: str, segment: Listed) -> bytes:
        """Return a segment behind its init segment."""
        data = b""
        for name in (segment.init, segment.address):
            assert name
            async with self.stage.http.get(self.locate(f"{track}/{name}")) as answer:
                assert answer.status == 200
                data += await answer.read()
        return data

    async def hear(self, segment: Listed) -> Heard:
        """Decode a segment of sound."""
        with av.open(io.BytesIO(await self.fetch("audio", segment))) as container:
            context = container.streams.audio[0].codec_context
            wave = np.concatenate([it.to_ndarray()[0] for it in container.decode(audio=0)])
            rate_hz, loudest = context.sample_rate, np.argmax(np.abs(np.fft.rfft(wave)))
            channels = context.layout.nb_channels
            return Heard(context.name, rate_hz, channels, float(loudest) * rate_hz / len(wave))

    async def see(self, segment: Listed) -> set[tuple[int, int]]:
        """Decode a segment of the picture; return the sizes of its pictures."""
        with av.open(io.BytesIO(await self.fetch("source", segment))) as container:
            return {(frame.width, frame.height) for frame in container.decode(video=0)}


def cut_parts(listing: Listing) -> list[list[Listed]]:
    """Return the segments between discontinuities, each with the init segment that it goes by."""
    parts: list[list[Listed]] = [[]]
    init = None
    for segment in listing.segments:
        init = segment.init = segment.init or init
        if segment.is_discontinuous:
            parts.append([])
        parts[-1].append(segment)
    return parts


def find_last_pitch(viewer: RtcPeer) -> float:
    """Return the loudest frequency of the last two seconds that a viewer got by WebRTC, or 0.0."""
    packets = list_rtp(viewer, "audio")[-HEARD_PACKETS:]
    return find_pitch(packets) if len(packets) == HEARD_PACKETS else 0.0


async def await_rows(stage: Stage, before: Sequence[Listed]) -> Sequence[StoredSegment]:
    """Return what of the live is stored, up to the segment after these."""
    wanted = SegmentRange(stage.room_id, 0, len(before))
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with stage.database.connection() as connection:
                rows = await list_segments(connection, wanted)
            if len(rows) == len(before) + 1:
                return rows
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def run_publisher(
    stage: Stage, tags: Sequence[FlvTag], *, waits: bool
) -> AsyncIterator[None]:
    """Publish tags in real time; one that waits for no answer sends the first with `publish`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.settings.rtmp.port)
    first = [] if waits else [tag for tag in tags if tag.at_ms < 500]
    writer.write(hello(KEY) + b"".join(tag.write() for tag in first))
    async with asyncio.timeout(DEADLINE_S):
        await reader.readuntil(b"Publish.Start")

    async def send() -> None:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for tag in tags[len(first) :]:
            await asyncio.sleep(begun_s + tag.at_ms / 1000 - loop.time())
            writer.write(tag.write())
        await reader.read()

    sending = asyncio.create_task(send())
    try:
        yield
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


async def test_sound_that_begins_late_is_heard_by_webrtc_and_by_hls(stage: Stage) -> None:
    await stage.publish(encoding=Encoding(sound_after_s=0.5))
    await stage.await_status("live")
    viewer, player = RtcPeer(("H264", "opus")), Player(stage)
    assert await stage.watch(viewer) == 201
    listing = await player.await_segments("audio", 2)
    assert ',mp4a.40.2"' in await stage.read(player.locate("index.m3u8"))
    (part,) = cut_parts(listing)
    assert await player.hear(part[1]) == Heard("aac", 48_000, 2, pytest.approx(440, abs=2))
    await wait_until(lambda: abs(find_last_pitch(viewer) - 440) < 2)
    viewer.close(politely=False)


async def test_another_rate_of_sound_has_an_init_of_its_own_and_goes_on_by_webrtc(
    stage: Stage,
) -> None:
    before, after = Take(4), Take(12, rate_hz=44_100, channels=1, pitch_hz=880)
    tags = await before.shoot() + await after.shoot(from_ms=4000)
    async with run_publisher(stage, tags, waits=True):
        await stage.await_status("live")
        viewer, player = RtcPeer(("H264", "opus")), Player(stage)
        assert await stage.watch(viewer) == 201
        sounds = await player.await_segments("audio", 2, marks=1)
        pictures = await player.await_segments("source", 2, marks=1)
        await wait_until(lambda: abs(find_last_pitch(viewer) - 880) < 2)
    (first, *_), (changed, *_) = cut_parts(sounds)[:2]
    seen = cut_parts(pictures)[0]
    assert len(seen) == len(cut_parts(sounds)[0])
    assert {it.init for it in cut_parts(pictures)[1]} == {it.init for it in seen}
    assert first.init != changed.init
    assert await player.hear(first) == Heard("aac", 48_000, 2, pytest.approx(440, abs=2))
    assert await player.hear(changed) == Heard("aac", 44_100, 1, pytest.approx(880, abs=2))
    recorded = build_tracks(await await_rows(stage, seen))
    assert recorded is not None
    assert [part.timescale for part in recorded.sound.parts] == [48_000, 44_100]
    viewer.close(politely=False)


async def test_another_size_of_the_picture_has_an_init_of_its_own(stage: Stage) -> None:
    tags = await Take(4).shoot() + await Take(6, "640x360").shoot(from_ms=4000)
    async with run_publisher(stage, tags, waits=True):
        player = Player(stage)
        pictures = await player.await_segments("source", 1, marks=1)
        sounds = await player.await_segments("audio", 1, marks=1)
        (first, *_), (changed, *_) = cut_parts(pictures)[:2]
        assert len(cut_parts(sounds)[0]) == len(cut_parts(pictures)[0])
        assert first.init != changed.init
        assert await player.see(first) == {(320, 180)}
        assert await player.see(changed) == {(640, 360)}
        heard = await player.hear(cut_parts(sounds)[1][0])
    assert heard == Heard("aac", 48_000, 2, pytest.approx(440, abs=2))


async def test_an_encoder_that_waits_for_no_answer_is_watched(stage: Stage) -> None:
    async with run_publisher(stage, await Take(6).shoot(), waits=False):
        await stage.await_status("live")
        player = Player(stage)
        listing = await player.await_segments("source", 2)
        assert await player.see(cut_parts(listing)[0][0]) == {(320, 180)}
        sounds = await player.await_segments("audio", 2)
        heard = await player.hear(cut_parts(sounds)[0][1])
    assert heard == Heard("aac", 48_000, 2, pytest.approx(440, abs=2))


async def test_sound_that_is_announced_on_air_is_heard_by_webrtc_and_by_hls(stage: Stage) -> None:
    tags = await Take(14).shoot()
    (announced, *_sounds) = [tag for tag in tags if tag.kind == AUDIO]
    on_air = [tag for tag in tags if tag.kind != AUDIO or tag.at_ms >= SILENT_MS]
    place = next(place for place, tag in enumerate(on_air) if tag.at_ms >= SILENT_MS)
    on_air.insert(place, announced._replace(at_ms=SILENT_MS))
    async with run_publisher(stage, on_air, waits=True):
        await stage.await_status("live")
        viewer, player = RtcPeer(("H264", "opus")), Player(stage)
        assert await stage.watch(viewer) == 201
        sounds = await player.await_segments("audio", 2, marks=1)
        await wait_until(lambda: abs(find_last_pitch(viewer) - 440) < 2)
    silent, heard = cut_parts(sounds)[:2]
    assert (await player.hear(silent[0])).codec == "opus"
    assert await player.hear(heard[1]) == Heard("aac", 48_000, 2, pytest.approx(440, abs=2))
    viewer.close(politely=False)
