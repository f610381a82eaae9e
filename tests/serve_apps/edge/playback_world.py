"""A player over a real port, what it plays from, and videos whose segments are two bytes each."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from fractions import Fraction

import orjson

from kit.clock import ManualClock
from kit.settings import Settings
from media.vod.info import AudioInfo, MediaInfo, VideoInfo, encode_json
from media.vod.plan import PlanOrder, PlanTask, TranscodePlan, plan_video
from media.vod.protection import make_key_id
from media.vod.recipe import Recipe
from media.vod.records import (
    SegmentRecord,
    StoryboardRecord,
    TaskRecord,
    TrackRecord,
    segment_name,
    storyboard_key,
    storyboard_name,
    subtitles_key,
    track_key,
)
from serve_apps.access.grants import Grant, issue_grant
from storage import video_chunks, video_plans, videos
from storage.database import Database
from storage.objects import ObjectStore
from storage.subtitles import Subtitles, put_subtitles
from tests.serve_apps.edge.playback_client import Player
from tests.storage.video_rows import create_owner, create_video_row

PICTURE = VideoInfo(
    stream_index=0,
    codec="h264",
    pix_fmt="yuv420p",
    width=480,
    height=320,
    coded_width=480,
    coded_height=320,
    rotation_deg=0,
    mirrored=False,
    sar=Fraction(1),
    fps=Fraction(25),
    bit_rate_bps=None,
    color_matrix="bt601",
    is_hdr=False,
)


NAMED = re.compile(r'URI="([^"]+)"|^([^#\s:]+\.\w+)(?:#\S*)?$', re.MULTILINE)
PICTURES = StoryboardRecord(160, 90, 2, 2, 2000, 6)
WORDS = Subtitles("en", "English", "uploaded", "en-1.vtt")


@dataclass
class World:
    """A player, and what it plays from."""

    player: Player
    settings: Settings
    database: Database
    objects: ObjectStore
    clock: ManualClock

    async def list_files(self, video_id: uuid.UUID) -> list[str]:
        """Return every file of a video that its playlists and its tracks of pictures name."""
        base = f"{self.grant(video_id)}/v/{video_id}/"
        tails = ["master.m3u8", "manifest.mpd", "storyboard.vtt", "thumbnail.jpg"]
        for tail in tails:
            if tail.endswith(("m3u8", "storyboard.vtt")):
                text = (await self.player.get(base + tail)).text
                named = NAMED.findall(text)
                tails += [name for pair in named for name in pair if name and name not in tails]
        return tails

    def grant(self, video_id: uuid.UUID, access_version: int = 1, **more: uuid.UUID) -> str:
        expires_at_s = self.clock.now().timestamp() + 600
        grant = Grant(video_id, None, more.get("session"), access_version, expires_at_s)
        return f"/t/{issue_grant(self.settings.auth, grant)}"


def make_record(plan: TranscodePlan, task: PlanTask) -> TaskRecord:
    """What the task would have recorded: segments of two bytes each."""
    if task.kind == "thumbnails":
        return TaskRecord(
            task.task_id,
            images=(f"videos/{plan.video_id}/thumbnail.jpg",),
            storyboard=PICTURES,
        )
    names, numbers = ["audio"], range(plan.grid.segments)
    if task.kind == "chunk":
        group = next(group for group in plan.groups if group.name == task.group)
        names = [rung.name for rung in group.rungs]
        chunk = plan.chunks[task.chunk]
        numbers = range(chunk.first_segment, chunk.first_segment + chunk.segments)
    elif task.chunk:
        numbers = range(task.chunk)
    segments = tuple(SegmentRecord(n, n * 100, 100, 2) for n in numbers)
    if task.kind == "audio":
        sound = TrackRecord("audio", "mp4a.40.2", "init.mp4", 25, segments, channels=2)
        return TaskRecord(task.task_id, tracks=(sound,))
    return TaskRecord(
        task.task_id,
        tracks=tuple(
            TrackRecord(name, "avc1.64001f", "init.mp4", 25, segments, 480, 320) for name in names
        ),
    )


async def add_video(
    world: World,
    *,
    visibility: str = "public",
    lacks: str | None = None,
    length_s: float = 12.0,
    is_protected: bool = False,
) -> uuid.UUID:
    """Write a video of three segments; while tasks are lacking (a prefix), it is in work."""
    sound = AudioInfo(1, "aac", 48_000, 2)
    info = MediaInfo("mov", length_s, length_s, 0, 1000, PICTURE, sound)
    async with world.database.transaction() as connection:
        owner_id = await create_owner(connection, f"u{uuid.uuid4().hex[:8]}")
        video_id = await create_video_row(connection, owner_id, visibility=visibility)
        key_id = ""
        if is_protected:
            key_id = make_key_id(world.settings.auth.content_key, str(video_id), 1)
        plan = plan_video(
            info, PlanOrder(str(video_id), "x", Recipe(is_protected=is_protected), key_id=key_id)
        )
        await videos.queue_video(connection, video_id)
        await videos.start_processing(connection, video_id)
        await video_plans.set_plan(
            connection, video_id, orjson.loads(encode_json(plan)), video_plans.Dimensions(1, 2, 3)
        )
        await video_chunks.insert_chunks(
            connection,
            video_id,
            [video_chunks.NewChunk(task.task_id, n, {}) for n, task in enumerate(plan.tasks)],
        )
        for task in plan.tasks:
            if lacks is not None and re.match(lacks, task.task_id):
                continue
            record = orjson.loads(encode_json(make_record(plan, task)))
            await video_chunks.finish_chunk(connection, video_id, task.task_id, record)
        await videos.set_progress(connection, video_id, 0.5, is_playable=True)
        await videos.set_thumbnail(connection, video_id, f"videos/{video_id}/thumbnail.jpg")
        if lacks is None:
            await videos.finish_video(connection, video_id)
            await put_subtitles(connection, video_id, WORDS)
    await world.objects.put(f"videos/{video_id}/thumbnail.jpg", b"\xff\xd8picture")
    await world.objects.put(subtitles_key(str(video_id), WORDS.file), b"WEBVTT\n")
    for number in range(PICTURES.sheets):
        await world.objects.put(storyboard_key(str(video_id), storyboard_name(number)), b"sheet")
    for track in ("audio", "240p", "320p"):
        await world.objects.put(track_key(str(video_id), track, "init.mp4"), b"init" * 100)
        for number in range(plan.grid.segments):
            key = track_key(str(video_id), track, segment_name(number))
            await world.objects.put(key, b"%d!" % number)
    return video_id
