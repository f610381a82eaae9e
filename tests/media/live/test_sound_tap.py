"""The tap's process: AAC in, Opus out at the same moments; its death costs a moment, no stream."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import resource
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import av
import numpy as np
import pytest
import uvloop

from media.live.samples import AudioFormat, AudioSample
from media.live.sound_tap import OPUS_CHILD, SoundTap

pytestmark = pytest.mark.media

DEADLINE_S = 60
STANDARD_STREAMS = 3


RATE_HZ = 44_100


def encode_tone(seconds: float) -> tuple[AudioFormat, list[AudioSample]]:
    """Return a tone of 1 kHz as AAC."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE_HZ, "stereo", "fltp"
    packets = []
    for number in range(round(seconds * RATE_HZ / 1024)):
        at = np.arange(number * 1024, (number + 1) * 1024)
        wave = 0.5 * np.sin(2 * np.pi * 1000 * at / RATE_HZ).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = RATE_HZ, number * 1024
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    form = AudioFormat("aac", RATE_HZ, 2, bytes(encoder.extradata or b"")[:2], b"", 1024)
    samples = [AudioSample(form, data, n * 1024, 1024) for n, data in enumerate(packets)]
    return form, samples


def decode(packets: list[bytes]) -> np.ndarray:
    """Return the left channel of Opus packets."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "stereo"
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    return np.concatenate([frame.to_ndarray().reshape(-1, 2)[:, 0] for frame in frames])


@dataclass
class Heard:
    """What came back."""

    packets: list[tuple[int, bytes]] = field(default_factory=list)

    def call(self, ticks: int, packet: bytes) -> None:
        self.packets.append((ticks, packet))

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.packets) < count:
                await asyncio.sleep(0.02)


async def push_until_heard(tap: SoundTap, number: int, samples: list[AudioSample], heard: Heard):
    """Push in real order, again and again while the process is not there yet."""
    async with asyncio.timeout(DEADLINE_S):
        while tap.pid is None:
            await asyncio.sleep(0.02)
    for sample in samples:
        tap.push(number, sample)
    await heard.wait_for(1)


@pytest.fixture
async def tap() -> AsyncIterator[SoundTap]:
    made = SoundTap(OPUS_CHILD)
    yield made
    await made.close()
    await made.close()


async def test_a_tone_comes_back_as_opus_at_its_time(tap: SoundTap) -> None:
    await check_tone(tap)


def test_it_works_on_the_loop_that_ray_gives_its_actors() -> None:
    async def run() -> None:
        tap = SoundTap(OPUS_CHILD)
        await check_tone(tap)
        await tap.close()

    uvloop.run(run())


async def check_tone(tap: SoundTap) -> None:
    form, samples = encode_tone(2)
    heard = Heard()
    await push_until_heard(tap, tap.open(form, heard.call), samples, heard)
    await heard.wait_for(95)
    ticks = [at for at, _packet in heard.packets]
    assert {b - a for a, b in itertools.pairwise(ticks)} == {960}
    assert -960 <= ticks[0] <= 960
    wave = decode([packet for _at, packet in heard.packets])[9600:57_600]
    loudest = np.argmax(np.abs(np.fft.rfft(wave)))
    assert loudest == 1000 * len(wave) // 48_000


async def test_a_hole_in_the_sound_stays_a_hole(tap: SoundTap) -> None:
    form, samples = encode_tone(1)
    later = [AudioSample(form, s.data, s.pts_ticks + 10 * RATE_HZ, 1024) for s in samples]
    heard = Heard()
    await push_until_heard(tap, tap.open(form, heard.call), samples + later, heard)
    await heard.wait_for(90)
    ticks = [at for at, _packet in heard.packets]
    assert ticks == sorted(ticks)
    assert abs(next(at for at in ticks if at > 300_000) - 480_000) <= 960


async def test_streams_do_not_mix_and_a_broken_one_costs_itself_alone(tap: SoundTap) -> None:
    form, samples = encode_tone(1)
    first, broken, ended = Heard(), Heard(), Heard()
    numbers = [tap.open(form, heard.call) for heard in (first, broken, ended)]
    tap.end(numbers[2])
    rubbish = [AudioSample(form, b"\xff" * 50, s.pts_ticks, 1024) for s in samples]
    await push_until_heard(tap, numbers[1], rubbish, Heard(packets=[(0, b"")]))
    await push_until_heard(tap, numbers[0], samples, first)
    await first.wait_for(45)
    assert (broken.packets, ended.packets, tap.restarts) == ([], [], 0)


def kill(tap: SoundTap) -> int:
    """Kill the tap's process; return which one it was."""
    killed = tap.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    return killed


async def test_a_killed_process_is_started_anew_for_the_same_stream(tap: SoundTap) -> None:
    form, samples = encode_tone(1)
    heard = Heard()
    number = tap.open(form, heard.call)
    await push_until_heard(tap, number, samples, heard)
    killed = kill(tap)
    async with asyncio.timeout(DEADLINE_S):
        while tap.pid in {None, killed}:
            await asyncio.sleep(0.02)
    heard.packets.clear()
    await push_until_heard(tap, number, samples, heard)
    assert tap.restarts == 1


async def test_what_is_written_to_a_killed_process_leaves_no_complaint(tap: SoundTap) -> None:
    await check_writing_to_the_dead(tap)


def test_nor_does_it_on_the_loop_that_ray_gives_its_actors() -> None:
    async def run() -> None:
        tap = SoundTap(OPUS_CHILD)
        await check_writing_to_the_dead(tap)
        await tap.close()

    uvloop.run(run())


async def check_writing_to_the_dead(tap: SoundTap) -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, said: complaints.append(said))
    form, samples = encode_tone(1)
    heard = Heard()
    number = tap.open(form, heard.call)
    await push_until_heard(tap, number, samples, heard)
    killed = kill(tap)
    async with asyncio.timeout(DEADLINE_S):
        while tap.pid in {None, killed}:
            for sample in samples:
                tap.push(number, sample)
            await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_a_process_that_hangs_drops_sound_and_holds_up_nobody(tap: SoundTap) -> None:
    form, samples = encode_tone(1)
    heard = Heard()
    number = tap.open(form, heard.call)
    await push_until_heard(tap, number, samples, heard)
    assert tap.pid is not None
    os.kill(tap.pid, signal.SIGSTOP)
    try:
        for _round in range(200):
            for sample in samples:
                tap.push(number, sample)
        assert tap.dropped > 0
    finally:
        os.kill(tap.pid, signal.SIGCONT)


async def test_a_process_that_could_not_be_started_is_tried_again(tap: SoundTap) -> None:
    form, samples = encode_tone(1)
    heard = Heard()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (STANDARD_STREAMS, limits[1]))
    try:
        number = tap.open(form, heard.call)
        for _ in range(10):  # turns of the loop in which it is tried without a descriptor to spare
            await asyncio.sleep(0)
        assert tap.pid is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    async with asyncio.timeout(DEADLINE_S):
        await tap.wait_process()
    await push_until_heard(tap, number, samples, heard)
