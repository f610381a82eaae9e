"""A live of real pictures as it is stored: packaged, listed as rows, its bytes in a store.

`Broadcast.publish` is one publisher after another; between them time may pass, and each may send
pictures of another size.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import av
import msgspec
import numpy as np
from av.video.frame import PictureType

from media.codec_configs import describe_av1, describe_hevc, strip_delimiters
from media.live.formats import read_format
from media.live.fragments import TRACKS
from media.live.packager import Packager, PackagerTerms
from media.live.packets import OPUS_FORMAT, OPUS_SILENCE
from media.live.recorded_aac_plan import AacPlan, plan_aac
from media.live.recorded_rungs_plan import RungsPlan, plan_rungs
from media.live.recording_plan import RecordingPlan, plan_recording
from media.live.samples import AudioFormat, AudioSample, VideoCodec, VideoSample
from media.live.stored import describe_segment
from media.live.window import LiveWindow, PublisherSink
from media.pool import MEDIA_TASKS
from media.vod.codecs import give_back_priority
from media.vod.records import Progress, TaskRecord
from storage.live_segments import StoredSegment, make_live_key, make_segment_name
from storage.objects import ObjectStore

Picture = np.ndarray[Any, np.dtype[Any]]

EPOCH = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)
FPS = 10
KEY_EVERY = 2 * FPS
TICKS_PER_FRAME = 90_000 // FPS


ENCODERS = {
    "h264": (
        "libx264",
        {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x264-params": "annexb=0:bframes=0:rc-lookahead=0:sync-lookahead=0:scenecut=0",
        },
    ),
    "hevc": (
        "libx265",
        {
            "preset": "ultrafast",
            "x265-params": f"annexb=0:repeat-headers=0:bframes=0:scenecut=0:keyint={KEY_EVERY}"
            f":min-keyint={KEY_EVERY}:open-gop=0:log-level=error:info=0:pools=none",
        },
    ),
    "av1": ("libsvtav1", {"preset": "12", "crf": "20", "svtav1-params": "lp=1:scd=0"}),
}


@dataclass
class Broadcast:
    """A live; `rows` and `pictures` are what was sent, in order."""

    store: ObjectStore
    live_id: uuid.UUID
    rows: list[StoredSegment] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    gen: int = 0
    voice: Sequence[bytes] = (OPUS_SILENCE,)
    """What is heard, one frame of 20 ms after the other, again and again."""
    key_every: int = KEY_EVERY
    """Of so many pictures one is a keyframe."""
    b_frames: int = 0
    """Of H.264: so many between two others."""

    def publish(
        self,
        *sizes: tuple[int, int],
        seconds: int = 4,
        offset_s: int = 0,
        audio: AudioFormat = OPUS_FORMAT,
        codec: VideoCodec = "h264",
    ) -> None:
        """Send so many seconds of each size, beginning `offset_s` into the live."""
        self.gen += 1
        window, whole = LiveWindow(EPOCH, lambda: None), list[int]()
        sink = PublisherSink(window, str(self.gen), whole.append)
        terms = PackagerTerms(0, offset_s * 1000, True, self.gen > 1, audio)
        packager, shown = Packager(terms, sink, lambda: None), 0
        for size in sizes:
            for sample, picture in self._shoot(codec, size, seconds, shown):
                packager.add_video(sample)
                for frame in range(50 // FPS):
                    at = (shown * 50 // FPS + frame) * audio.sample_rate_hz // 50
                    ticks = audio.sample_rate_hz // 50
                    heard = self.voice[(shown * 50 // FPS + frame) % len(self.voice)]
                    packager.add_audio(AudioSample(audio, heard, at, ticks))
                self.pictures.append(picture)
                shown += 1
        packager.break_off()
        first = self.rows[-1].number + 2 if self.rows else 0  # a gap's number lies between
        for number in whole:
            row = describe_segment(window, number, self.live_id, self.gen)
            self.rows.append(msgspec.structs.replace(row, number=number + first))
            for track in TRACKS:
                entry = window.find_entry(track, number)
                assert entry is not None
                for name, data in (
                    (entry.init.name, entry.init.data),
                    (make_segment_name(number + first), entry.join()),
                ):
                    self.store.put_sync(make_live_key(self.live_id, self.gen, track, name), data)

    def run_tasks(self, video_id: str, rows: list[StoredSegment]) -> dict[str, TaskRecord]:
        """Do what the processing job has done, one task after the other."""
        plan = plan_recording(video_id, rows)
        assert plan is not None
        return self._run(plan)

    def make_aac(
        self, video_id: str, rows: list[StoredSegment], *, segments_max: int = 2
    ) -> dict[str, TaskRecord]:
        """Do what the job that makes AAC has done, in pieces of so many segments."""
        plan = plan_aac(video_id, rows, segments_max=segments_max)
        assert plan is not None
        return self._run(plan)

    def make_rungs(
        self,
        video_id: str,
        rows: list[StoredSegment],
        ladder: Sequence[str],
        *,
        segments_max: int = 2,
    ) -> dict[str, TaskRecord]:
        """Do what the job that makes smaller pictures has done, in pieces of so many segments."""
        plan = plan_rungs(video_id, rows, ladder=ladder, segments_max=segments_max)
        assert plan is not None
        return self._run(plan)

    def _run(self, plan: RecordingPlan | AacPlan | RungsPlan) -> dict[str, TaskRecord]:
        records = {}
        for task in plan.tasks:
            outcome = MEDIA_TASKS[task.kind](plan.jobs[task.task_id], self.store)
            while not isinstance(outcome, TaskRecord):
                try:
                    next(outcome)
                except StopIteration as end:
                    outcome = end.value
            records[task.task_id] = outcome
        return records

    def _shoot(
        self, codec: VideoCodec, size: tuple[int, int], seconds: int, shown: int
    ) -> Iterator[tuple[VideoSample, Picture]]:
        """Encode a moving test picture; pictures come in the order of showing."""
        width, height = size
        name, options = ENCODERS[codec]
        encoder = av.CodecContext.create(name, "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.gop_size = Fraction(1, FPS), self.key_every
        encoder.options = {key: self._set_b_frames(value) for key, value in options.items()}
        encoder.flags |= av.codec.context.Flags.global_header
        encoder.open()
        give_back_priority()
        address = f"testsrc2=size={width}x{height}:rate={FPS}:duration={seconds}"
        pictures, packets = [], []
        with av.open(address, format="lavfi") as source:
            for number, frame in enumerate(source.decode(video=0)):
                picture = frame.reformat(format="yuv420p")
                picture.pts, picture.pict_type = number, PictureType.NONE
                packets += encoder.encode(picture)
                pictures.append(picture.to_ndarray(format="bgr24"))
        packets += encoder.encode(None)
        record = bytes(encoder.extradata or b"")
        if codec == "av1":
            record = describe_av1(bytes(packets[0])).payload
        elif codec == "hevc":
            record = describe_hevc(record).payload
        video, _length_bytes = read_format(codec, record)
        clean = strip_delimiters if codec == "av1" else bytes
        for number, (packet, picture) in enumerate(zip(packets, pictures, strict=True)):
            at = (shown + number) * TICKS_PER_FRAME
            pts = (shown + (packet.pts or 0) + self.b_frames) * TICKS_PER_FRAME
            data = clean(bytes(packet))
            yield VideoSample(video, data, at, pts, packet.is_keyframe), picture

    def _set_b_frames(self, value: str) -> str:
        return value.replace("annexb=0:bframes=0", f"annexb=0:bframes={self.b_frames}:b-adapt=0")


def run_piece(steps: Generator[Progress, None, TaskRecord]) -> TaskRecord:
    """Run a piece of three segments to its end; one that is made already has no steps."""
    made: list[TaskRecord] = []

    def finish() -> Iterator[Progress]:
        made.append((yield from steps))

    assert [step.done for step in finish()] in ([1, 2, 3], [])
    return made[0]
