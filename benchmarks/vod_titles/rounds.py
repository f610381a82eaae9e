"""Both ladders of every clip: bytes and VMAF of each rung, and what they take at equal VMAF.

Everything is deterministic but the processor time of the quality task: one round is enough. A rung
that both ladders have alike is made and judged once.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from benchmarks.vod_titles.clips import SECONDS, SECONDS_SHORT, Clip, list_clips
from media.vod.grid import FrameGrid
from media.vod.info import MediaInfo
from media.vod.ladder import Rung
from media.vod.plan import Chunk, PlanOrder, TranscodePlan, plan_video
from media.vod.probe import probe_in_child
from media.vod.quality import measure_quality
from media.vod.records import INIT_NAME, segment_name, track_key
from media.vod.task_jobs import ChunkJob, QualityJob
from media.vod.titles import apply_looks, list_looked_sizes
from media.vod.transcode import transcode_chunk
from storage.objects import ObjectStore

AS_EVER, BY_TITLE = "as ever", "by title"
EQUAL, ALL_KBPS, LOOK_CPU = "kbps_at_equal_vmaf", "kbps_of_whole_ladder", "looking_cpu_s"
METER_PACKAGE = "imageio_ffmpeg"
LEVELS = 20
TIMEOUT_S = 600.0


def find_missing() -> Mapping[str, str]:
    """Name both sides when there is nothing to judge them with."""
    if importlib.util.find_spec(METER_PACKAGE) is None:
        return dict.fromkeys((AS_EVER, BY_TITLE), "pip install imageio-ffmpeg")
    return {}


def find_meter() -> str:
    """Return the path of an ffmpeg with libvmaf."""
    return str(importlib.import_module(METER_PACKAGE).get_ffmpeg_exe())


def describe_meter() -> str:
    """Say what judged, and how."""
    if find_missing():
        return "not installed"
    shown = subprocess.run([find_meter(), "-version"], capture_output=True, text=True, check=True)
    version = shown.stdout.split(" Copyright")[0].strip()
    return f"{version}, libvmaf's default model, every second frame, at the source's size (bicubic)"


@dataclass(frozen=True)
class Point:
    """A rung as made: kbit/s and VMAF."""

    kbps: float
    vmaf: float


@dataclass(frozen=True)
class Ladders:
    """Of one clip, by side: the points, smallest first."""

    name: str
    frames: int
    looking_cpu_s: float
    points: Mapping[str, Sequence[Point]]

    def find_levels(self) -> list[float]:
        """VMAF levels that both reach."""
        lowest = max(min(it.vmaf for it in points) for points in self.points.values())
        highest = min(max(it.vmaf for it in points) for points in self.points.values())
        return [lowest + (highest - lowest) * n / (LEVELS - 1) for n in range(LEVELS)]

    def find_equal_kbps(self, side: str) -> float:
        """The geometric mean of the rates at these levels."""
        rates = [interpolate(self.points[side], level) for level in self.find_levels()]
        return statistics.geometric_mean(rates)


def interpolate(points: Sequence[Point], vmaf: float) -> float:
    """The rate at which a ladder has this quality, straight between its rungs in the logarithm.

    The lowest rate counts that has it: a rung may be worse than the one below.
    """
    found = []
    ordered = sorted(points, key=lambda point: point.kbps)
    for low, high in pairwise(ordered):
        if min(low.vmaf, high.vmaf) <= vmaf <= max(low.vmaf, high.vmaf):
            share = (vmaf - low.vmaf) / (high.vmaf - low.vmaf) if high.vmaf != low.vmaf else 0.0
            found.append(math.exp(math.log(low.kbps) * (1 - share) + math.log(high.kbps) * share))
    assert found, "levels lie between the lowest and the highest rung of both ladders"
    return min(found)


@asynccontextmanager
async def open_ladders(form: Form, _products: Products) -> AsyncIterator[Sides]:
    """Make both ladders of every clip; the sides read what came of it."""
    made = []
    if not find_missing():
        seconds = form.choose(SECONDS, SECONDS_SHORT)
        with tempfile.TemporaryDirectory(prefix="vod-titles-") as folder:
            for number, clip in enumerate(list_clips(form)):
                work = partial(make_ladders, clip, Path(folder) / str(number), seconds)
                made.append(await asyncio.to_thread(work))

    async def answer(side: str, _form: Form) -> Answer:
        return describe(side, made)

    yield {side: partial(answer, side) for side in (AS_EVER, BY_TITLE)}


def describe(side: str, made: Sequence[Ladders]) -> Answer:
    """What one side's ladders take, clip by clip and together."""
    equal = {it.name: it.find_equal_kbps(side) for it in made}
    whole = {it.name: sum(point.kbps for point in it.points[side]) for it in made}
    looking_s = {it.name: it.looking_cpu_s if side == BY_TITLE else 0.0 for it in made}
    return Answer(
        figures={
            EQUAL: statistics.geometric_mean(equal.values()),
            ALL_KBPS: statistics.geometric_mean(whole.values()),
            LOOK_CPU: max(looking_s.values()),
        },
        work=", ".join(f"{it.frames} frames of {it.name}" for it in made),
        breakdowns={
            "kbit/s at equal VMAF": equal,
            "kbit/s of the whole ladder": whole,
            "VMAF of the largest": {it.name: it.points[side][-1].vmaf for it in made},
            "CPU seconds of looking": looking_s,
            "rungs": {it.name: float(len(it.points[side])) for it in made},
        },
    )


def make_ladders(clip: Clip, folder: Path, seconds: int) -> Ladders:
    """Write the clip, look at it, and make both ladders."""
    folder.mkdir()
    path = folder / "source.mp4"
    clip.write(path, seconds)
    store = ObjectStore.open(f"file://{folder}/objects")
    store.put_file_sync("source", path)
    # A keyframe a second, and a rate that says nothing: the ladder is that of its size alone.
    info = forget_rate(probe_in_child(path))
    plan = plan_video(info, PlanOrder("v", "source"))
    video = plan.info.video
    assert video is not None, "a clip has a picture"
    job = QualityJob("quality", "v", "source", video, plan.grid, list_looked_sizes(plan))
    began_s = time.thread_time()
    looks = measure_quality(job, store).looks
    looking_s = time.thread_time() - began_s
    judged: dict[Rung, Point] = {}
    points = {}
    for side, made in {AS_EVER: plan, BY_TITLE: apply_looks(plan, looks)}.items():
        rungs = [rung for group in made.groups for rung in reversed(group.rungs)]
        for rung in rungs:
            if rung not in judged:
                judged[rung] = judge_rung(rung, made, store, path)
        points[side] = [judged[rung] for rung in rungs]
    return Ladders(clip.name, plan.grid.frames, looking_s, points)


def forget_rate(info: MediaInfo) -> MediaInfo:
    """Without what the upload's own rate says, and always encoded."""
    assert info.video is not None, "a clip has a picture"
    return replace(info, copyable=None, video=replace(info.video, bit_rate_bps=None))


def judge_rung(rung: Rung, plan: TranscodePlan, store: ObjectStore, source: Path) -> Point:
    """Make one rung by the chunk task and judge it beside the source."""
    named = replace(rung, name=f"{rung.name}-{rung.coarser}")
    assert plan.info.video is not None, "a clip has a picture"
    chunk = Chunk(0, 0, plan.grid.segments)
    job = ChunkJob(named.name, "v", "source", plan.info.video, plan.grid, chunk, (named,))
    (track,) = transcode_chunk(job, store).tracks
    pieces = [INIT_NAME, *(segment_name(it.number) for it in track.segments)]
    path = source.with_name(f"{named.name}.mp4")
    path.write_bytes(b"".join(store.get_sync(track_key("v", named.name, it)) for it in pieces))
    size_bytes = sum(it.size_bytes for it in track.segments)
    kbps = size_bytes * 8 / 1000 / float(plan.grid.duration_s)
    return Point(kbps, measure_vmaf(path, source, plan.grid))


def measure_vmaf(path: Path, source: Path, grid: FrameGrid) -> float:
    """The mean VMAF of a file beside its source, at the source's size."""
    log = path.with_suffix(".json")
    video = probe_in_child(source).video
    assert video is not None, "a clip has a picture"
    # Counted in whole frames: times as fractions are cut off, and a frame meets its neighbour.
    same = f"settb={1 / grid.fps},setpts=N"
    graph = (
        f"[0:v]scale={video.width}:{video.height}:flags=bicubic,format=yuv420p,{same}[made];"
        f"[1:v]format=yuv420p,{same}[source];"
        f"[made][source]libvmaf=n_threads=2:n_subsample=2:log_fmt=json:log_path={log}"
    )
    words = [find_meter(), "-v", "error", "-nostdin", "-i", str(path), "-i", str(source)]
    words += ["-filter_complex", graph, "-f", "null", "-"]
    subprocess.run(words, check=True, timeout=TIMEOUT_S)
    found: float = json.loads(log.read_bytes())["pooled_metrics"]["vmaf"]["mean"]
    return found
