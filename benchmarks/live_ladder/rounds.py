"""Has the real process make rungs of a made-up live, and reads what that took."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.frame import Answer, Form, Side
from benchmarks.meters import CpuMeter
from media.live.fragments import VIDEO
from media.live.shedding import NICENESS
from media.live.window import LiveWindow
from tests.media.live.ladder_stage import DEADLINE_S, Film, LadderStage

CORE, MEMORY = "core_percent", "rss_mib"
SECONDS, SECONDS_SHORT = 20, 2
WARM_S, WARM_SHORT_S = 4, 3
"""Until the process has loaded what it needs."""
RUNGS = (480, 240)
WORK = "480p and 240p of as many seconds"
SIDES = {"720p30": (1280, 720, 30), "720p60": (1280, 720, 60), "1080p30": (1920, 1080, 30)}
TEXTURE = (2400, 4400)
GRAIN = 8
"""A random dot is so many pixels wide: about 2 Mbit/s at 720p."""


@dataclass(frozen=True)
class MovingFilm(Film):
    """A texture that moves across the picture, back and forth."""

    def draw(self, number: int) -> np.ndarray:
        """Return (height, width) uint8."""
        at = abs(number % 600 - 300)
        return np.ascontiguousarray(_texture()[at : at + self.height, 2 * at :][:, : self.width])


@functools.cache
def _texture() -> np.ndarray:
    small = np.random.default_rng(1).integers(
        0, 255, (TEXTURE[0] // GRAIN, TEXTURE[1] // GRAIN), dtype=np.uint8
    )
    return cv2.resize(small, TEXTURE[::-1], interpolation=cv2.INTER_CUBIC)


def make_side(size: tuple[int, int, int]) -> Side:
    """Return what measures lives of one width, height and rate."""

    async def measure(form: Form) -> Answer:
        width, height, fps = size
        film = MovingFilm(width, height, fps, key_every=2 * fps)
        warm_s = form.choose(WARM_S, WARM_SHORT_S)
        seconds = warm_s + form.choose(SECONDS, SECONDS_SHORT)
        _form, samples = await asyncio.to_thread(film.encode, seconds * fps)
        stage = LadderStage(sides=RUNGS, niceness=NICENESS)
        lane = stage.open()
        try:
            await stage.send(samples[: warm_s * fps])
            await stage.settle()
            pid, window = lane.tap.pid, stage.tracks[RUNGS[0]].window
            assert pid is not None, "it has made something"
            meter, before_s = CpuMeter({CORE: [pid]}), _measure_s(window)
            async with asyncio.timeout(DEADLINE_S):
                await stage.send(samples[warm_s * fps :])
            await stage.finish()
            cpu_s, made_s = meter.read()[CORE], _measure_s(window) - before_s
            assert stage.stills == lane.tap.restarts == 0, "everything was made, once"
            return Answer({CORE: 100 * cpu_s / made_s, MEMORY: _read_peak_mib(pid)}, WORK)
        finally:
            await lane.tap.close()

    return measure


def _measure_s(window: LiveWindow) -> float:
    return sum(entry.duration_s for entry in window.list_entries(VIDEO))


def _read_peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) / 1024
