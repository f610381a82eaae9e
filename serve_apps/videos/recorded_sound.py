"""The job that makes AAC of a recording's Opus, beside what the recording has already.

The runner calls `AAC_HANDLERS`. Pieces and results are rows, so a restarted runner goes on where
the last one was; players are told of AAC once all of it is there. Where it fails the reason is
noted, and the recording stays what it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from actors.job_runner.media_queue import MediaRank
from actors.job_runner.ports import JobPorts, JobSpec
from kit.logs import get_log
from media.vod.plan import TranscodePlan
from media.vod.records import AAC_TRACK, TaskRecord, track_prefix
from media.vod.source import MediaUnreadable
from serve_apps.videos.preparing import VideoVanished, make_aac_plan
from serve_apps.videos.progress import Standing, weigh_aac
from serve_apps.videos.service import VideoJob
from serve_apps.videos.transcoding import TranscodeFailed, Transcoding
from serve_apps.videos.work import Work
from storage import recordings, video_chunks, videos
from storage.database import Connection
from storage.recordings import MAKE_AAC_JOB

log = get_log("videos")

NOT_CONVERTED = "sound_not_converted"


class AddingAac:
    """A recording that plays already: nobody waits for the progress, only for the end."""

    rank_min = MediaRank.MORE

    def __init__(self, video_id: uuid.UUID) -> None:
        self._video_id = video_id

    async def save_progress(
        self,
        connection: Connection,
        progress: float,  # noqa: ARG002 - the rows of its pieces say it
        *,
        is_playable: bool,  # noqa: ARG002 - it plays when all of it is there
    ) -> bool:
        """False when it is no longer wanted."""
        return await recordings.is_making_aac(connection, self._video_id)

    async def save_plan(
        self,
        connection: Connection,  # noqa: ARG002 - nothing is written
        plan: TranscodePlan,  # noqa: ARG002 - a recording's pieces follow from its segments
    ) -> None:
        """What a recording needs is not revised."""
        raise AssertionError("a recording has no plan to revise")

    async def publish(self, ports: JobPorts, standing: Standing) -> None:
        """Nobody follows it."""


async def make_aac(ports: JobPorts, payload: bytes) -> None:
    """Make AAC of all of a recording's Opus, or note why not."""
    video_id = _read_id(payload)
    try:
        video = await _begin(ports, video_id)
        plan = await make_aac_plan(ports, video)
        work = Work(plan.tasks, plan.jobs.__getitem__, weigh_aac(plan))
        await Transcoding(ports, video, work, AddingAac(video_id)).run()
        await _finish(ports, video_id)
    except VideoVanished:
        log.info("video.no_aac_wanted", video_id=str(video_id))
    except (MediaUnreadable, TranscodeFailed):
        await _leave_out(ports, video_id)


async def give_up_aac(ports: JobPorts, payload: bytes, _error: Exception) -> None:
    """Note that there will be none, after the job's last try."""
    await _leave_out(ports, _read_id(payload))


async def _begin(ports: JobPorts, video_id: uuid.UUID) -> videos.Video:
    """Return the recording; raises VideoVanished when it needs no AAC any more."""
    async with ports.database.transaction() as connection:
        is_wanted = await recordings.is_making_aac(connection, video_id)
        video = await videos.find_video(connection, video_id)
    if video is None or not is_wanted:
        raise VideoVanished
    return video


async def _finish(ports: JobPorts, video_id: uuid.UUID) -> None:
    """Have players told of it from now on; its bytes count like those of the live."""
    async with ports.database.transaction() as connection:
        results = await video_chunks.list_results(connection, video_id)
        size_bytes = sum(
            segment.size_bytes
            for result in results
            for track in msgspec.convert(result, TaskRecord).tracks
            if track.track == AAC_TRACK
            for segment in track.segments
        )
        if not await recordings.finish_aac(connection, video_id, size_bytes):
            return
    log.info("video.aac_made", video_id=str(video_id), size_bytes=size_bytes)


async def _leave_out(ports: JobPorts, video_id: uuid.UUID) -> None:
    async with ports.database.transaction() as connection:
        if not await recordings.leave_out_aac(connection, video_id):
            return
        await videos.note_left_out(connection, video_id, {AAC_TRACK: NOT_CONVERTED})
    await ports.objects.delete_prefix(track_prefix(str(video_id), AAC_TRACK))
    log.warning("video.aac_left_out", video_id=str(video_id))


def _read_id(payload: bytes) -> uuid.UUID:
    return msgspec.json.decode(payload, type=VideoJob).video_id


AAC_HANDLERS: Mapping[str, JobSpec] = MappingProxyType(
    {MAKE_AAC_JOB: JobSpec(make_aac, concurrency_max=2, give_up=give_up_aac)}
)
