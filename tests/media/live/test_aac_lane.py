"""Opus and AAC of one live by the real process: the same sound at the same times and numbers."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import av
import numpy as np
import pytest

from media.live.aac_lane import AAC_FORMAT, LISTED_MAX, AacLane
from media.live.fragments import AUDIO
from media.live.h264 import build_format
from media.live.packager import Packager, PackagerTerms
from media.live.packets import OPUS_FORMAT
from media.live.samples import AudioSample, VideoSample
from media.live.sound_tap import AAC_CHILD, SoundTap
from media.live.window import LiveWindow, PublisherSink
from tests.media.live.packets_stage import PPS, SPS_320
from tests.media.live.programme import EPOCH, check_contiguous
from tests.media.playlist_reading import Listing, read_playlist
from tests.media.playlist_rules import check_live

pytestmark = pytest.mark.media

DEADLINE_S = 60
RATE_HZ = 48_000
LENGTH_S = 30
FAST = 1.001
"""The publisher's microphone runs so much faster than its camera: 30 ms here."""


def encode_clicks(seconds: int) -> list[bytes]:
    """Return Opus with 10 ms of 2 kHz at every second."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE_HZ, "stereo", "s16"
    encoder.options = {"application": "audio", "compression_level": "3"}
    at = np.arange(RATE_HZ)
    wave = np.where(at < 480, 20_000 * np.sin(2 * np.pi * 2000 * at / RATE_HZ), 0)
    second = np.repeat(wave.astype(np.int16), 2).reshape(1, -1)
    packets = []
    for number in range(seconds * 50):
        part = number % 50
        piece = np.ascontiguousarray(second[:, part * 1920 : (part + 1) * 1920])
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = RATE_HZ, number * 960
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def find_clicks(window: LiveWindow) -> np.ndarray:
    """Decode everything a window has; return when each click is loudest first, in seconds."""
    entries = [entry for entry in window.list_entries(AUDIO) if entry.parts]
    data = entries[0].init.data + b"".join(entry.join() for entry in entries)
    times, loudness = [], []
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode(audio=0):
            sound = frame.to_ndarray()
            left = sound[0] if sound.shape[0] == 2 else sound.reshape(-1, 2)[:, 0]
            level = np.abs(left.astype(np.float64)) / (1 if left.dtype.kind == "f" else 32_768)
            start = float(frame.pts * frame.time_base)
            times.append(start + np.arange(len(level)) / RATE_HZ)
            loudness.append(level)
    at, level = np.concatenate(times), np.concatenate(loudness)
    loud = at[level > 0.25]
    return loud[np.insert(np.diff(loud) > 0.5, 0, values=True)]


@dataclass
class Broadcast:
    """A window filled second by second, and its lane."""

    tap: SoundTap
    window: LiveWindow = field(default_factory=lambda: LiveWindow(EPOCH, lambda: None))

    def __post_init__(self) -> None:
        self.begin(PackagerTerms(0, 0, has_sound=True, is_resumed=False))
        self.lane: AacLane | None = None

    def begin(self, terms: PackagerTerms) -> None:
        sink = PublisherSink(self.window, "1", lambda _number: None)
        self.packager = Packager(terms, sink, lambda: None)

    async def run(self, packets: list[bytes]) -> None:
        """Fifty packets and thirty pictures a second."""
        form = build_format(SPS_320, [PPS])
        heard = 0
        for number in range(len(packets) * 30 // 50):
            at = number * 3000
            self.packager.add_video(VideoSample(form, b"picture", at, at, number % 60 == 0))
            while heard < len(packets) and heard * 960 / FAST <= number * 1600:
                at = round(heard * 960 / FAST)
                self.packager.add_audio(AudioSample(OPUS_FORMAT, packets[heard], at, 960))
                heard += 1
            if self.lane is not None and number % 30 == 0:
                self.lane.follow()
                await self.await_behind()

    async def await_behind(self) -> None:
        """Let the process catch up: it drops sound when it is given minutes at once."""
        assert self.lane is not None
        async with asyncio.timeout(DEADLINE_S):
            while self.window.get_edge(AUDIO)[0] - self.lane.window.get_edge(AUDIO)[0] > 3:
                await asyncio.sleep(0.01)

    async def open_lane(self) -> AacLane:
        self.tap.start()
        await self.tap.wait_process()
        self.lane = AacLane(self.window, self.tap, "lane", lambda: None)
        self.lane.follow()
        return self.lane

    async def await_lane(self, number: int) -> None:
        """Wait until the lane has got to a segment."""
        assert self.lane is not None
        async with asyncio.timeout(DEADLINE_S):
            while self.lane.window.get_edge(AUDIO)[0] < number:
                await asyncio.sleep(0.02)

    def read(self) -> Listing:
        assert self.lane is not None
        return read_playlist(self.lane.playlists.render(AUDIO, is_delta=False).body.decode())


@pytest.fixture
async def broadcast() -> AsyncIterator[Broadcast]:
    tap = SoundTap(AAC_CHILD)
    yield Broadcast(tap)
    await tap.close()


async def test_clicks_are_heard_at_the_same_moment_though_clocks_differ(
    broadcast: Broadcast,
) -> None:
    lane = await broadcast.open_lane()
    await broadcast.run(encode_clicks(LENGTH_S))
    broadcast.packager.break_off()
    broadcast.window.end()
    lane.follow()
    async with asyncio.timeout(DEADLINE_S):
        while not lane.window.is_ended:
            await asyncio.sleep(0.02)
    assert broadcast.tap.dropped == 0
    check_contiguous(lane.window, AUDIO)
    listing = broadcast.read()
    check_live(listing)
    assert "ENDLIST" in listing.tags
    assert len(lane.window.list_entries(AUDIO)) <= LISTED_MAX
    last = broadcast.window.get_last(AUDIO)
    assert last is not None
    assert lane.window.get_edge(AUDIO)[0] == last.number

    opus, aac = find_clicks(broadcast.window), find_clicks(lane.window)
    shared = opus[opus > aac[0] - 0.5]
    assert len(shared) == len(aac) > 20
    apart_ms = 1000 * (aac - shared)
    print(f"\nAAC after Opus: {apart_ms.min():.1f} to {apart_ms.max():.1f} ms over {aac[-1]:.0f} s")
    assert np.abs(apart_ms).max() < 20
    segments = {entry.number: entry for entry in lane.window.list_entries(AUDIO)}
    for number, entry in segments.items():
        known = broadcast.window.find_entry(AUDIO, number)
        assert known is not None
        assert abs(entry.start_s - known.start_s) < 0.022  # a frame of AAC


async def test_a_lane_begins_with_what_is_in_memory_and_keeps_discontinuities(
    broadcast: Broadcast,
) -> None:
    packets = encode_clicks(6)
    await broadcast.run(packets)
    broadcast.packager.break_off()
    last = broadcast.window.get_last(AUDIO)
    assert last is not None
    broadcast.begin(PackagerTerms(last.number + 1, 20_000, has_sound=True, is_resumed=True))
    await broadcast.run(packets)
    lane = await broadcast.open_lane()
    broadcast.packager.break_off()
    lane.follow()
    await broadcast.await_lane(last.number + 2)
    listing = broadcast.read()
    check_live(listing)
    assert listing.tags["MEDIA-SEQUENCE"] == "0"
    marks = [e.number for e in lane.window.list_entries(AUDIO) if e.is_discontinuous]
    assert marks == [last.number + 1]
    resumed = lane.window.find_entry(AUDIO, last.number + 1)
    assert resumed is not None
    assert resumed.start_s == pytest.approx(20, abs=0.001)
    assert "../source/index.m3u8" in listing.tags["RENDITION-REPORT"]


async def test_a_lane_that_begins_after_a_discontinuity_counts_it(broadcast: Broadcast) -> None:
    packets = encode_clicks(4)
    await broadcast.run(packets)
    broadcast.packager.break_off()
    last = broadcast.window.get_last(AUDIO)
    assert last is not None
    for entry in broadcast.window.list_entries(AUDIO):
        entry.parts = []  # stored, and gone from memory
    broadcast.begin(PackagerTerms(last.number + 1, 20_000, has_sound=True, is_resumed=True))
    await broadcast.run(packets)
    await broadcast.open_lane()
    await broadcast.await_lane(last.number + 1)
    tags = broadcast.read().tags
    assert tags["MEDIA-SEQUENCE"] == str(last.number + 1)
    assert tags["DISCONTINUITY-SEQUENCE"] == "1"


async def test_the_last_of_it_is_whole_where_the_publishers_sound_becomes_aac(
    broadcast: Broadcast,
) -> None:
    lane = await broadcast.open_lane()
    await broadcast.run(encode_clicks(4))
    last = broadcast.window.get_last(AUDIO)
    assert last is not None
    broadcast.packager.break_off()
    terms = PackagerTerms(last.number + 1, 20_000, True, True, AAC_FORMAT)
    broadcast.begin(terms)
    broadcast.packager.add_video(
        VideoSample(build_format(SPS_320, [PPS]), b"picture", 0, 0, is_key=True)
    )
    for number in range(100):
        sample = AudioSample(AAC_FORMAT, b"frame", number * AAC_FORMAT.frame_ticks, 1024)
        broadcast.packager.add_audio(sample)
    async with asyncio.timeout(DEADLINE_S):
        while (made := lane.window.get_last(AUDIO)) is None or not made.is_whole:
            lane.follow()
            await asyncio.sleep(0.02)
    assert made.number == last.number


async def test_a_killed_process_costs_a_hole_and_the_lane_goes_on(broadcast: Broadcast) -> None:
    packets = encode_clicks(4)
    lane = await broadcast.open_lane()
    await broadcast.run(packets)
    await broadcast.await_lane(1)
    killed = broadcast.tap.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    async with asyncio.timeout(DEADLINE_S):
        while broadcast.tap.pid in {None, killed}:
            await asyncio.sleep(0.02)
    last = broadcast.window.get_last(AUDIO)
    assert last is not None
    broadcast.packager.break_off()
    broadcast.begin(PackagerTerms(last.number + 1, 4000, has_sound=True, is_resumed=True))
    await broadcast.run(packets)
    await broadcast.await_lane(last.number + 2)
    numbers = [entry.number for entry in lane.window.list_entries(AUDIO)]
    assert numbers == list(range(len(numbers)))
