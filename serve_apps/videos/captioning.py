"""Automatic captions: once a video is ready, a job asks whoever writes down what is said in it.

The runner calls `HANDLERS`; `finish_processing` queues the job where there is a captioner. What a
person wrote in the same language stays (`keep_subtitles`). The model is asked in no transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from actors.job_runner.ports import JobPorts, JobSpec, Speech
from kit.logs import get_log
from serve_apps.videos.service import VideoJob
from serve_apps.videos.subtitles import Draft, keep_subtitles
from storage.database import Connection
from storage.jobs import enqueue_job
from storage.videos import Video, find_video

log = get_log("videos")

CAPTION_JOB = "videos.caption"
AUTOMATIC = "automatic"
ATTEMPTS_MAX = 3


async def ask_captions(connection: Connection, ports: JobPorts, video: Video) -> bool:
    """Queue the job for a video that has a source; False where nobody writes captions."""
    if not ports.captions.is_there or video.source_key is None:
        return False
    key = f"{CAPTION_JOB}:{video.id}"
    return await enqueue_job(connection, CAPTION_JOB, VideoJob(video.id), dedupe_key=key)


async def caption_video(ports: JobPorts, payload: bytes) -> None:
    """Have what is said written down, and keep it; running it again replaces the same text."""
    video_id = msgspec.json.decode(payload, type=VideoJob).video_id
    async with ports.database.transaction() as connection:
        video = await find_video(connection, video_id)
    if video is None or video.source_key is None:
        return
    written = await ports.captions.write_down(Speech(video_id, video.source_key, video.language))
    if written is None:
        log.info("video.nothing_said", video_id=str(video_id))
        return
    draft = Draft(written.language, written.label, written.text, AUTOMATIC)
    is_kept = await keep_subtitles(ports.database, ports.objects, video_id, draft)
    log.info("video.captioned", video_id=str(video_id), language=draft.language, is_kept=is_kept)


HANDLERS: Mapping[str, JobSpec] = MappingProxyType(
    {CAPTION_JOB: JobSpec(caption_video, concurrency_max=1, attempts_max=ATTEMPTS_MAX)}
)
