"""Jobs that make a video again: the next version beside the one that plays, then the swap.

The runner calls `REENCODING_HANDLERS`. Pieces of the new version have names of their own, so the
old one plays on untouched until one transaction changes which of both the edges show. What was
replaced stays for those who began with it, then its bytes go. State is in rows: each job continues
where a stopped one was.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
import orjson

from actors.job_runner.media_queue import MediaRank
from actors.job_runner.ports import JobPorts, JobSpec
from kit.errors import AppError
from kit.events import EventName
from kit.logs import get_log
from media.vod.info import decode_json, encode_json
from media.vod.plan import TranscodePlan, list_pieces, list_tracks, plan_video
from media.vod.records import record_key, track_prefix, unfinished_prefix
from media.vod.source import MediaUnreadable
from serve_apps.deletions import STOPPED_AFTER_S
from serve_apps.videos.falling_back import make_all
from serve_apps.videos.preparing import VideoVanished, insert_pieces
from serve_apps.videos.progress import Standing, publish_reencoding
from serve_apps.videos.recipes import is_gpu_wanted, order_version, read_recipe
from serve_apps.videos.reencoding_rules import (
    PURGE_VERSION_JOB,
    REENCODE_JOB,
    VersionJob,
    enqueue_purge,
)
from serve_apps.videos.transcoding import TranscodeFailed
from serve_apps.videos.work import make_work
from storage import video_plans, video_versions, videos
from storage.database import Connection
from storage.events import append_event
from storage.video_versions import VersionEnd

log = get_log("videos")


class Reencoding:
    """Where the state of a version in the making is kept; nobody waits for it."""

    rank_min = MediaRank.BATCH

    def __init__(self, job: VersionJob) -> None:
        self._job = job

    async def save_progress(
        self,
        connection: Connection,
        progress: float,
        *,
        is_playable: bool,  # noqa: ARG002 - it plays when all of it is there
    ) -> bool:
        """Remember how far it is; False when it is no longer wanted."""
        job = self._job
        return await video_versions.set_version_progress(
            connection, job.video_id, job.version, progress
        )

    async def save_plan(self, connection: Connection, plan: TranscodePlan) -> None:
        """Store what the plan has become."""
        job = self._job
        await video_versions.set_version_plan(
            connection, job.video_id, job.version, orjson.loads(encode_json(plan))
        )

    async def publish(self, ports: JobPorts, standing: Standing) -> None:
        """Tell who follows the video."""
        await publish_reencoding(ports.cache, self._job.video_id, standing)


async def reencode_video(ports: JobPorts, payload: bytes) -> None:
    """Make the next version of a video and let it play, or say why not."""
    job = msgspec.json.decode(payload, type=VersionJob)
    try:
        video = await _begin(ports, job)
        plan = await _make_plan(ports, video, job)
        await make_all(ports, video, make_work(plan), Reencoding(job))
        await _swap(ports, job)
    except VideoVanished:
        log.info("video.nothing_to_reencode", video_id=str(job.video_id), version=job.version)
    except (MediaUnreadable, TranscodeFailed) as error:
        await _fail(ports, job, VersionEnd("failed", error.code, error.text))


async def give_up_reencoding(ports: JobPorts, payload: bytes, error: Exception) -> None:
    """Tell the owner of a video whose job is held after its last try."""
    job = msgspec.json.decode(payload, type=VersionJob)
    code = error.code if isinstance(error, AppError) else "processing_failed"
    text = "Processing failed on our side; we were told."
    await _fail(ports, job, VersionEnd("failed", code, text))


async def purge_version(ports: JobPorts, payload: bytes) -> None:
    """Remove the bytes of a version that nobody plays any more, then its rows."""
    job = msgspec.json.decode(payload, type=VersionJob)
    async with ports.database.transaction() as connection:
        version = await video_versions.find_version(connection, job.video_id, job.version)
        stored = await video_versions.find_version_plan(connection, job.video_id, job.version)
    if version is None or version.state in ("queued", "processing"):
        return
    pieces: tuple[str, ...] = ()
    if stored is not None:
        plan = _read_plan(stored)
        pieces = list_pieces(plan)
        for track in list_tracks(plan):
            await ports.objects.delete_prefix(track_prefix(plan.video_id, track))
        for piece in pieces:
            await ports.objects.delete(record_key(plan.video_id, piece))
            await ports.objects.delete_prefix(unfinished_prefix(plan.video_id, piece))
    async with ports.database.transaction() as connection:
        await video_versions.remove_version(connection, job.video_id, job.version, pieces)
    log.info("video.version_purged", video_id=str(job.video_id), version=job.version)


async def _begin(ports: JobPorts, job: VersionJob) -> videos.Video:
    """Return a video whose version is now in work; raises VideoVanished when it needs none."""
    async with ports.database.transaction() as connection:
        is_wanted = await video_versions.start_version(connection, job.video_id, job.version)
        video = await videos.find_video(connection, job.video_id)
    if video is None or video.source_key is None or not is_wanted:
        raise VideoVanished
    return video


async def _make_plan(ports: JobPorts, video: videos.Video, job: VersionJob) -> TranscodePlan:
    """Plan the version from what the first probe learnt, and write its pieces."""
    async with ports.database.transaction() as connection:
        stored = await video_versions.find_version_plan(connection, job.video_id, job.version)
        current = await video_plans.find_plan(connection, job.video_id)
        version = await video_versions.find_version(connection, job.video_id, job.version)
    if stored is not None:
        return _read_plan(stored)
    if current is None or version is None or video.source_key is None:
        raise VideoVanished
    recipe = read_recipe(version.recipe)
    nvenc = is_gpu_wanted(ports)
    order = order_version(ports.settings, video, recipe, job.version, nvenc=nvenc)
    plan = plan_video(_read_plan(current).info, order)
    async with ports.database.transaction() as connection:
        await video_versions.set_version_plan(
            connection, job.video_id, job.version, orjson.loads(encode_json(plan))
        )
        await insert_pieces(connection, job.video_id, plan.tasks)
    return plan


async def _swap(ports: JobPorts, job: VersionJob) -> None:
    """Show the new version from now on, and have the old one removed when nobody needs it."""
    settings = ports.settings
    kept_s = max(settings.auth.grant_ttl_s, settings.processing.replaced_kept_s)
    async with ports.database.transaction() as connection:
        old = await video_versions.swap_version(connection, job.video_id, job.version)
        if old is None:
            return
        await enqueue_purge(connection, job.video_id, old, delay_s=kept_s)
        video = await videos.find_video(connection, job.video_id)
        await append_event(
            connection,
            EventName.VIDEO_REENCODED,
            subject_id=job.video_id,
            actor_id=None if video is None else video.owner_id,
            data={"version": job.version},
        )
    await publish_reencoding(ports.cache, job.video_id, Standing("ready", 1.0))
    log.info("video.reencoded", video_id=str(job.video_id), version=job.version)


async def _fail(ports: JobPorts, job: VersionJob, end: VersionEnd) -> None:
    async with ports.database.transaction() as connection:
        if not await video_versions.end_version(connection, job.video_id, job.version, end):
            return
        await enqueue_purge(connection, job.video_id, job.version, delay_s=STOPPED_AFTER_S)
    error = {"code": end.code, "message": end.message}
    await publish_reencoding(ports.cache, job.video_id, Standing("failed", 0.0, error))
    log.info(
        "video.reencoding_failed", video_id=str(job.video_id), version=job.version, code=end.code
    )


def _read_plan(stored: dict[str, object]) -> TranscodePlan:
    return decode_json(orjson.dumps(stored), TranscodePlan)


REENCODING_HANDLERS: Mapping[str, JobSpec] = MappingProxyType(
    {
        REENCODE_JOB: JobSpec(reencode_video, concurrency_max=2, give_up=give_up_reencoding),
        PURGE_VERSION_JOB: JobSpec(purge_version, concurrency_max=2),
    }
)
