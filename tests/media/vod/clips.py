"""Small sources made for the tests: frames that carry their own number, tones, odd containers."""

import io
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from media.vod.hls import Track
from media.vod.plan import PlanOrder, PlanTask, TranscodePlan, plan_video
from media.vod.preview import make_preview
from media.vod.probe import probe_file
from media.vod.publish import Publication, publish
from media.vod.quality import measure_quality
from media.vod.recipe import Recipe
from media.vod.records import TaskRecord, segment_name, track_key, video_prefix
from media.vod.storyboard import make_storyboard
from media.vod.task_jobs import get_job
from media.vod.thumbnails import make_thumbnails
from media.vod.transcode import copy_source, transcode_audio, transcode_chunk
from media.vod.waveform import make_cover, make_waveform
from storage.objects import ObjectStore
from tests.media.playlist_rules import check_publication

BITS = 12
VIDEO_ID = "video"
SOURCE_KEY = "sources/video"


@dataclass(frozen=True)
class Shot:
    """How to encode numbered frames."""

    codec: str = "libx264"
    width: int = 192
    height: int = 108
    time_base: Fraction = Fraction(1, 90_000)
    rate: int = 30
    options: tuple[tuple[str, str], ...] = (("preset", "ultrafast"),)


def run_ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg command line quietly; it must succeed."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def draw_number(number: int, width: int, height: int) -> VideoFrame:
    """Draw the number as black and white stripes, lowest bit at the left."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            picture[:, width * bit // BITS : width * (bit + 1) // BITS] = 255
    return VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")


def read_number(frame: VideoFrame) -> int:
    """Read what `draw_number` drew, after any scaling and compression."""
    grey = frame.to_ndarray(format="gray")
    height, width = grey.shape
    centres = [width * (2 * bit + 1) // (2 * BITS) for bit in range(BITS)]
    row = grey[height // 3 : 2 * height // 3].mean(axis=0)
    return sum(1 << bit for bit, x in enumerate(centres) if row[x] > 127)


def write_numbered(path: Path, moments: Iterable[Fraction], shot: Shot = Shot()) -> Path:
    """Write a clip whose n-th frame shows n and is presented at the n-th moment, in seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(shot.codec, rate=shot.rate, options=dict(shot.options))
        stream.width, stream.height, stream.pix_fmt = shot.width, shot.height, "yuv420p"
        stream.codec_context.time_base = shot.time_base
        for number, moment in enumerate(moments):
            frame = draw_number(number, shot.width, shot.height)
            frame.time_base = shot.time_base
            frame.pts = round(moment / shot.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_flash_and_tone(path: Path, *, at_s: float, length_s: float, sound_late_s: float) -> Path:
    """Write black, then white from `at_s`; silence, then a tone from the same moment.

    The sound track itself begins `sound_late_s` after the picture.
    """
    rate_hz = 44_100
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
        audio = container.add_stream("aac", rate=rate_hz, layout="mono")
        for number in range(int(length_s * 25)):
            shade = 255 if number >= round(at_s * 25) else 0
            picture = np.full((90, 160, 3), shade, dtype=np.uint8)
            container.mux(video.encode(VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))
        start = round(sound_late_s * rate_hz)
        times = np.arange(start, int(length_s * rate_hz)) / rate_hz
        tone = np.where(times >= at_s, 0.5 * np.sin(2 * np.pi * 1000 * times), 0.0)
        for first in range(0, len(tone), 1024):
            block = tone[first : first + 1024].astype(np.float32)[np.newaxis]
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", "mono")
            frame.sample_rate, frame.pts = rate_hz, start + first
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


@dataclass(frozen=True)
class Made:
    """A transcoded clip."""

    plan: TranscodePlan
    records: dict[str, TaskRecord]
    store: ObjectStore

    @property
    def tracks(self) -> dict[str, Track]:
        """All tracks by name."""
        return publish(self.plan, self.records).tracks

    def bytes_of(self, name: str, numbers: Iterable[int] | None = None) -> bytes:
        """Init segment and segments of a track, joined."""
        track = self.tracks[name]
        wanted = set(numbers) if numbers is not None else None
        names = [track.parts[0].init_name] + [
            segment_name(segment.number)
            for segment in track.segments
            if wanted is None or segment.number in wanted
        ]
        return b"".join(self.store.get_sync(track_key(VIDEO_ID, name, piece)) for piece in names)

    def frames_of(self, name: str) -> list[VideoFrame]:
        """All pictures of a rung."""
        with av.open(io.BytesIO(self.bytes_of(name))) as container:
            return list(container.decode(video=0))


def write_playlists(
    plan: TranscodePlan, records: dict[str, TaskRecord], store: ObjectStore
) -> Publication:
    """Put the playlists beside the segments, as the edge shows them; they keep the RFC's rules."""
    publication = publish(plan, records)
    if publication.is_playable:
        check_publication(publication)
    for name, data in publication.files.items():
        store.put_sync(f"{video_prefix(plan.video_id)}/{name}", data)
    return publication


def transcode(
    path: Path,
    store: ObjectStore,
    segments_max: int = 8,
    kinds: Iterable[str] = (),
    codecs: tuple[str, ...] = (),
) -> Made:
    """Probe, plan and run every task of a clip in the plan's order, or those of some kinds."""
    store.put_file_sync(SOURCE_KEY, path)
    order = PlanOrder(VIDEO_ID, SOURCE_KEY, Recipe(codecs=codecs))
    plan = plan_video(probe_file(path), order, segments_max=segments_max)
    return Made(plan, run_tasks(plan, store, kinds), store)


def run_tasks(
    plan: TranscodePlan, store: ObjectStore, kinds: Iterable[str] = ()
) -> dict[str, TaskRecord]:
    """Run every task of a plan, or those of some kinds."""
    wanted = [task for task in plan.tasks if not kinds or task.kind in kinds]
    return {task.task_id: run_task(plan, store, task) for task in wanted}


def run_task(plan: TranscodePlan, store: ObjectStore, task: PlanTask) -> TaskRecord:
    """Run one task of a plan."""
    work = {
        "audio": transcode_audio,
        "chunk": transcode_chunk,
        "copy": copy_source,
        "cover": make_cover,
        "waveform": make_waveform,
        "storyboard": make_storyboard,
        "preview": make_preview,
        "quality": measure_quality,
        "thumbnails": make_thumbnails,
    }
    return work[task.kind](get_job(plan, task.task_id), store)
