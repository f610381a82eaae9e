"""The jobs that make further renditions of a recording: its Opus as AAC, its picture smaller.

The runner calls `RENDITION_HANDLERS`. Pieces and results are rows, so a restarted runner goes on
where the last one was; players are told of a rendition once all of it is there. Where it fails the
reason is noted, and the recording stays what it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from actors.job_runner.media_queue import MediaRank
from actors.job_runner.ports import JobPorts, JobSpec
from kit.logs import get_log
from kit.setting_sections import LADDER_NAMES
from media.live.recorded_aac_plan import AacPlan
from media.live.recorded_rungs_plan import KeyframesRare, RungsPlan
from media.vod.plan import TranscodePlan
from media.vod.records import AAC_TRACK, TaskRecord, track_prefix
from media.vod.source import MediaUnreadable
from serve_apps.videos.preparing import VideoVanished, make_aac_plan, make_rungs_plan
from serve_apps.videos.progress import Standing, weigh_segments
from serve_apps.videos.transcoding import TranscodeFailed, Transcoding
from serve_apps.videos.work import Work
from storage import recordings, video_chunks, videos
from storage.database import Connection
from storage.recordings import MAKE_AAC_JOB, MAKE_RUNGS_JOB, Further

log = get_log("videos")

JOBS_MAX = 8
"""Of a kind at a time: their pieces wait in turn by owner, so a long live holds up no clip."""


class RenditionJob(msgspec.Struct, frozen=True):
    """Payload of these jobs."""

    video_id: uuid.UUID
    ladder: tuple[str, ...] = ()
    """Of smaller pictures: which, as the site wanted them when the live ended."""


@dataclass(frozen=True)
class Rendition:
    """One of them: how it is planned, how urgent it is, and what is said where it fails."""

    what: Further
    make_plan: Callable[[JobPorts, videos.Video, RenditionJob], Awaitable[AacPlan | RungsPlan]]
    rank_min: MediaRank
    folders: tuple[str, ...]
    """Where its segments may lie."""
    left_out: str
    """The reason's code."""

    async def make(self, ports: JobPorts, payload: bytes) -> None:
        """Make all of it, or note why not."""
        job = _read_job(payload)
        try:
            video = await self._begin(ports, job.video_id)
            plan = await self.make_plan(ports, video, job)
            work = Work(plan.tasks, plan.jobs.__getitem__, weigh_segments(plan))
            await Transcoding(ports, video, work, Adding(self, video.id)).run()
            await self._finish(ports, video.id)
        except VideoVanished:
            log.info("video.no_rendition_wanted", video_id=str(job.video_id), what=self.what.value)
            await self._remove_left_out(ports, job.video_id)
        except KeyframesRare:
            await self._leave_out(ports, job.video_id, "keyframes_rare")
        except (MediaUnreadable, TranscodeFailed):
            await self._leave_out(ports, job.video_id, self.left_out)

    async def give_up(self, ports: JobPorts, payload: bytes, _error: Exception) -> None:
        """Note that there will be none, after the job's last try."""
        await self._leave_out(ports, _read_job(payload).video_id, self.left_out)

    async def _begin(self, ports: JobPorts, video_id: uuid.UUID) -> videos.Video:
        """Return the recording; raises VideoVanished when it needs none any more."""
        async with ports.database.transaction() as connection:
            is_wanted = await recordings.is_making(connection, video_id, self.what)
            video = await videos.find_video(connection, video_id)
        if video is None or not is_wanted:
            raise VideoVanished
        return video

    async def _finish(self, ports: JobPorts, video_id: uuid.UUID) -> None:
        """Have players told of it from now on; its bytes count like those of the live."""
        async with ports.database.transaction() as connection:
            results = await video_chunks.list_results(connection, video_id)
            size_bytes = sum(
                segment.size_bytes
                for result in results
                for track in msgspec.convert(result, TaskRecord).tracks
                if track.track in self.folders
                for segment in track.segments
            )
            if not await recordings.finish_making(connection, video_id, self.what, size_bytes):
                return
        name = str(video_id)
        log.info("video.rendition_made", video_id=name, what=self.what.value, size_bytes=size_bytes)

    async def _leave_out(self, ports: JobPorts, video_id: uuid.UUID, code: str) -> None:
        async with ports.database.transaction() as connection:
            if not await recordings.leave_out(connection, video_id, self.what):
                return
            await videos.note_left_out(connection, video_id, {self.what.value: code})
            # Nobody may be told of what is removed now, were all of it made.
            chunks = await video_chunks.list_chunks(connection, video_id)
            names = [it.name for it in chunks if it.name.startswith(f"{self.what}-")]
            await video_chunks.remove_chunks(connection, video_id, names)
        await self._remove_bytes(ports, video_id)
        name = str(video_id)
        log.warning("video.rendition_left_out", video_id=name, what=self.what.value, code=code)

    async def _remove_left_out(self, ports: JobPorts, video_id: uuid.UUID) -> None:
        """Remove what a runner that died behind its note left."""
        async with ports.database.transaction() as connection:
            is_left_out = await recordings.is_left_out(connection, video_id, self.what)
        if is_left_out:
            await self._remove_bytes(ports, video_id)

    async def _remove_bytes(self, ports: JobPorts, video_id: uuid.UUID) -> None:
        for folder in self.folders:
            await ports.objects.delete_prefix(track_prefix(str(video_id), folder))


class Adding:
    """A recording that plays already: nobody waits for the progress, only for the end."""

    def __init__(self, rendition: Rendition, video_id: uuid.UUID) -> None:
        self.rank_min = rendition.rank_min
        self._what = rendition.what
        self._video_id = video_id

    async def save_progress(
        self,
        connection: Connection,
        progress: float,  # noqa: ARG002 - the rows of its pieces say it
        *,
        is_playable: bool,  # noqa: ARG002 - it plays when all of it is there
    ) -> bool:
        """False when it is no longer wanted."""
        return await recordings.is_making(connection, self._video_id, self._what)

    async def save_plan(
        self,
        connection: Connection,  # noqa: ARG002 - nothing is written
        plan: TranscodePlan,  # noqa: ARG002 - a recording's pieces follow from its segments
    ) -> None:
        """What a recording needs is not revised."""
        raise AssertionError("a recording has no plan to revise")

    async def publish(self, ports: JobPorts, standing: Standing) -> None:
        """Nobody follows it."""


async def _plan_aac(ports: JobPorts, video: videos.Video, _job: RenditionJob) -> AacPlan:
    return await make_aac_plan(ports, video)


async def _plan_rungs(ports: JobPorts, video: videos.Video, job: RenditionJob) -> RungsPlan:
    return await make_rungs_plan(ports, video, job.ladder)


def _read_job(payload: bytes) -> RenditionJob:
    return msgspec.json.decode(payload, type=RenditionJob)


AAC = Rendition(Further.AAC, _plan_aac, MediaRank.MORE, (AAC_TRACK,), "sound_not_converted")
RUNGS = Rendition(
    # Hours of a core for a long live, which plays without: other people's uploads come first.
    Further.RUNGS,
    _plan_rungs,
    MediaRank.BATCH,
    LADDER_NAMES[1:],
    "picture_not_converted",
)
RENDITION_HANDLERS: Mapping[str, JobSpec] = MappingProxyType(
    {
        MAKE_AAC_JOB: JobSpec(AAC.make, concurrency_max=JOBS_MAX, give_up=AAC.give_up),
        MAKE_RUNGS_JOB: JobSpec(RUNGS.make, concurrency_max=JOBS_MAX, give_up=RUNGS.give_up),
    }
)
