"""From uploaded parts to a plan: begin, take the source in, write the pieces.

Steps of the processing jobs; of a recording there is no source, only pieces. Each looks first
whether a stopped runner did it already.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import orjson

from actors.job_runner.media_queue import MediaRank
from actors.job_runner.ports import JobPorts
from kit.errors import AppError
from kit.events import EventName
from kit.logs import get_log
from media.live.recorded_aac_plan import AacPlan, plan_aac
from media.live.recorded_rungs_plan import RungsPlan, plan_rungs
from media.live.recording_plan import RecordingPlan, plan_recording
from media.vod.info import MediaInfo, decode_json, encode_json
from media.vod.plan import PlanTask, TranscodePlan, plan_video
from media.vod.probe import ProbeJob
from media.vod.records import video_prefix
from media.vod.source import MediaUnreadable
from media.vod.take_in import SourcePart, TakeInJob, TakenIn
from serve_apps.videos.lengths import check_measured_length
from serve_apps.videos.progress import Standing, publish_status
from serve_apps.videos.recipes import order_present
from storage import uploads, video_chunks, video_plans, videos
from storage.database import Connection
from storage.events import append_event
from storage.live_segments import StoredSegment, list_sent_segments
from storage.recordings import find_recording
from storage.upload_indexes import find_index, is_true_index

log = get_log("videos")

P = TypeVar("P", RecordingPlan, AacPlan, RungsPlan)


class VideoVanished(AppError):
    """The video was deleted or is finished: there is nothing to process."""

    code, status, message = "video_vanished", 410, "There is nothing to process."


class VideoDuplicate(AppError):
    """The owner uploaded the same bytes before; asking for another try takes them all the same."""

    code, status, message = "video_duplicate", 409, "You uploaded this very file before."


async def begin_processing(ports: JobPorts, video_id: uuid.UUID) -> videos.Video:
    """Return a video that is now in work; raises VideoVanished when it needs none."""
    async with ports.database.transaction() as connection:
        is_first = await videos.start_processing(connection, video_id)
        video = await videos.find_video(connection, video_id)
        if video is None or video.status != "processing":
            raise VideoVanished
        if is_first:
            await append_event(
                connection,
                EventName.VIDEO_PROCESSING,
                subject_id=video_id,
                actor_id=video.owner_id,
            )
    await publish_status(ports.cache, video_id, Standing("processing", video.progress))
    return video


@dataclass(frozen=True)
class Source:
    """A video's source; `info` is what it is, when it was looked at just now."""

    key: str
    info: MediaInfo | None
    hint: str = ""
    """SHA-256 of the index that came ahead of it, if that is what the source has there."""


async def make_source(ports: JobPorts, video: videos.Video) -> Source:
    """Join, hash and probe the upload's parts. Raises MediaUnreadable, VideoDuplicate."""
    async with ports.database.transaction() as connection:
        upload = await uploads.find_upload_of_video(connection, video.id)
        parts = [] if upload is None else await uploads.list_parts(connection, upload.id)
    if upload is None:
        raise VideoVanished
    source_key, taken = video.source_key, None
    if source_key is None:
        source_key = f"{video_prefix(str(video.id))}/source"
        taken = await _take_in(ports, upload, parts, source_key)
        joined = taken.joined
        source = videos.VideoSource(source_key, bytes.fromhex(joined.sha256), joined.size_bytes)
        async with ports.database.transaction() as connection:
            await videos.set_source(connection, video.id, source)
    hint = await _find_hint(ports, upload, source_key)
    await remove_parts(ports, upload)
    await _check_duplicate(ports, video)
    if taken is not None and taken.info is None:
        raise MediaUnreadable(taken.refusal)
    return Source(source_key, None if taken is None else taken.info, hint)


async def _find_hint(ports: JobPorts, upload: uploads.Upload, source_key: str) -> str:
    """Name the index that was sent ahead; what was made by a false one is not used."""
    path = ports.objects.local_path(source_key)
    index = None if path is None else await find_index(ports.objects, upload.id)
    if path is None or index is None:
        return ""
    if await is_true_index(ports.objects, index, path):
        return index.sha256
    log.warning("video.index_false", video_id=str(upload.video_id))
    return ""


async def _check_duplicate(ports: JobPorts, video: videos.Video) -> None:
    """Raise VideoDuplicate once for a file its owner uploaded before; a retry processes it."""
    async with ports.database.transaction() as connection:
        first = await videos.find_duplicate(connection, video.id)
        if first is None or not await videos.set_duplicate(connection, video.id, first.id):
            return
    raise VideoDuplicate(f"You uploaded this very file before, as “{first.title}”.")


async def make_plan(ports: JobPorts, video: videos.Video, source: Source) -> TranscodePlan:
    """Write what is to be done; return the plan. Raises MediaUnreadable."""
    async with ports.database.transaction() as connection:
        stored = await video_plans.find_plan(connection, video.id)
    if stored is not None:
        return decode_json(orjson.dumps(stored), TranscodePlan)
    info: MediaInfo = source.info or await ports.media.run(
        "probe",
        ProbeJob(str(video.id), source.key),
        rank=MediaRank.LOOK,
        owner=str(video.owner_id),
    )
    check_measured_length(ports.settings.uploads, info)
    async with ports.database.transaction() as connection:
        order = await order_present(connection, ports, video, source.key, source.hint)
    plan = plan_video(info, order)
    dimensions = video_plans.Dimensions(
        round(plan.grid.duration_s * 1000),
        None if info.video is None else info.video.width,
        None if info.video is None else info.video.height,
    )
    async with ports.database.transaction() as connection:
        await video_plans.set_plan(
            connection, video.id, orjson.loads(encode_json(plan)), dimensions
        )
        await insert_pieces(connection, video.id, plan.tasks)
    return plan


async def insert_pieces(
    connection: Connection, video_id: uuid.UUID, tasks: Sequence[PlanTask]
) -> None:
    """Write what is to be done; pictures that another version made are there already."""
    pieces = [_describe_task(task, position) for position, task in enumerate(tasks)]
    await video_chunks.insert_chunks(connection, video_id, pieces)


async def make_recording_plan(ports: JobPorts, video: videos.Video) -> RecordingPlan:
    """Decide what a recording still needs and write it down. Raises MediaUnreadable."""
    return await _plan_recorded(ports, video, plan_recording)


async def make_aac_plan(ports: JobPorts, video: videos.Video) -> AacPlan:
    """Decide how a recording's Opus becomes AAC and write it down. Raises MediaUnreadable."""
    return await _plan_recorded(ports, video, plan_aac)


async def make_rungs_plan(ports: JobPorts, video: videos.Video, ladder: Sequence[str]) -> RungsPlan:
    """Decide how its picture is made smaller and write it down. Raises MediaUnreadable."""
    return await _plan_recorded(ports, video, partial(plan_rungs, ladder=ladder))


async def _plan_recorded(
    ports: JobPorts,
    video: videos.Video,
    decide: Callable[[str, Sequence[StoredSegment]], P | None],
) -> P:
    """Plan from the recording's segments, and write the pieces."""
    async with ports.database.transaction() as connection:
        wanted = await find_recording(connection, video.id)
        rows = [] if wanted is None else await list_sent_segments(connection, wanted)
    plan = await asyncio.to_thread(decide, str(video.id), rows)
    if plan is None:
        raise MediaUnreadable("Nothing is left of the live it was made of.")
    async with ports.database.transaction() as connection:
        await insert_pieces(connection, video.id, plan.tasks)
    return plan


async def _take_in(
    ports: JobPorts, upload: uploads.Upload, parts: list[uploads.UploadPart], source_key: str
) -> TakenIn:
    offset_bytes = 0
    for part in parts:
        if part.offset_bytes != offset_bytes:
            break
        offset_bytes += part.size_bytes
    if offset_bytes != upload.size_bytes:
        raise MediaUnreadable(
            f"The upload is incomplete: {offset_bytes} of {upload.size_bytes} bytes arrived."
        )
    size_bytes = upload.size_bytes or 0
    objects = tuple(
        SourcePart(it.key, it.size_bytes) for it in uploads.list_objects(upload.id, parts)
    )
    job = TakeInJob(str(upload.video_id), objects, source_key, size_bytes)
    taken: TakenIn = await ports.media.run(
        "take_in", job, rank=MediaRank.LOOK, owner=str(upload.owner_id)
    )
    return taken


async def remove_parts(ports: JobPorts, upload: uploads.Upload) -> None:
    """Remove an upload's bytes, also those that were joined to it."""
    async with ports.database.transaction() as connection:
        parts = await uploads.list_parts(connection, upload.id)
    for key in {part.object_key for part in parts if part.object_key is not None}:
        await ports.objects.delete(key)
    await ports.objects.delete_prefix(uploads.make_parts_prefix(upload.id))


def _describe_task(task: PlanTask, position: int) -> video_chunks.NewChunk:
    return video_chunks.NewChunk(
        task.task_id, position, {"kind": task.kind, "group": task.group, "chunk": task.chunk}
    )
