"""What this edge knows about videos that are being watched: who may, which tracks, which segments.

`playback.py` asks it at each request. A video's row is read again after a second, so that a
deleted or hidden video stops at once; the tracks of a ready one never change and are kept. It
answers from memory for a minute while the database is away. It reads no media.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import orjson

from kit.clock import Clock
from kit.errors import NotFound, Unavailable
from media.live.recording import publish_recording
from media.vod.hls import Track
from media.vod.info import decode_json
from media.vod.plan import TranscodePlan
from media.vod.publish import Publication, publish
from media.vod.records import TaskRecord
from storage.database import Database
from storage.live_segments import StoredSegment, list_sent_segments
from storage.recordings import find_recording
from storage.subtitles import Subtitles
from storage.video_chunks import list_results
from storage.video_plans import find_plan
from storage.video_playback import PlaybackRecord, find_playback
from storage.video_versions import list_replaced_plans

FRESH_S = 1.0
STALE_MAX_S = 60.0
ENTRIES_MAX = 1000
SEGMENTS_MAX = 500_000
"""Of all entries together: what bounds the memory."""


class VideoUnknown(NotFound):
    """No such video, or nothing of it can be played yet."""

    code, message = "video_not_found", "There is no such video, or it cannot be played yet."


@dataclass(frozen=True)
class CatalogEntry:
    """A video as known at `read_s` (monotonic); `record` None: there was none."""

    read_s: float
    record: PlaybackRecord | None
    publication: Publication
    results: int = 0
    """How many pieces of work it was made from."""
    earlier: tuple[Publication, ...] = ()
    """Replaced versions, for players that began with them."""

    @property
    def segments(self) -> int:
        """How many segments it names."""
        return sum(each.segments for each in (self.publication, *self.earlier))

    def find_file(self, name: str) -> bytes | None:
        """Return a playlist; what several versions have, of the one that plays now."""
        found = (each.files.get(name) for each in (self.publication, *self.earlier))
        return next((data for data in found if data is not None), None)

    def find_track(self, name: str) -> Track | None:
        """Return a track of any version: names differ between them."""
        found = (each.tracks.get(name) for each in (self.publication, *self.earlier))
        return next((track for track in found if track is not None), None)


class VideoCatalog:
    """Entries by video, the least recently asked-for dropped first; one reader per video."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._entries: OrderedDict[uuid.UUID, CatalogEntry] = OrderedDict()
        self._segments = 0
        self._reads: dict[uuid.UUID, asyncio.Task[CatalogEntry]] = {}

    async def get(self, video_id: uuid.UUID) -> CatalogEntry:
        """Return the entry, at most a second old; raises VideoUnknown, or that nobody knows now."""
        entry = self._entries.get(video_id)
        if entry is None or self._clock.monotonic_s() - entry.read_s > FRESH_S:
            entry = await self._read_once(video_id)
        if entry.record is None:
            raise VideoUnknown
        return entry

    async def _read_once(self, video_id: uuid.UUID) -> CatalogEntry:
        """Read the rows, or wait for whoever reads them already."""
        task = self._reads.get(video_id)
        if task is None:
            task = asyncio.create_task(self._refresh(video_id), name="video-catalog")
            self._reads[video_id] = task
            task.add_done_callback(lambda _task: self._reads.pop(video_id, None))
        # Shielded: the reader that goes away must not take the others' answer with it.
        return await asyncio.shield(task)

    async def _refresh(self, video_id: uuid.UUID) -> CatalogEntry:
        known = self._entries.get(video_id)
        started_s = self._clock.monotonic_s()
        try:
            entry = replace(await self._load(video_id, known), read_s=started_s)
        except Unavailable:
            if known is None or started_s - known.read_s > STALE_MAX_S:
                raise
            return known
        self._keep(video_id, entry)
        return entry

    async def _load(self, video_id: uuid.UUID, known: CatalogEntry | None) -> CatalogEntry:
        async with self._database.transaction() as connection:
            record = await find_playback(connection, video_id)
            if record is None or record.is_gone or record.playable_at is None:
                return CatalogEntry(0.0, record, Publication())
            was_ready = known and known.record and known.record.status == "ready"
            if known is not None and was_ready and _is_kept(known, record):
                return replace(known, record=record)
            results = await list_results(connection, video_id)
            if known is not None and known.results == len(results) and _is_kept(known, record):
                return replace(known, record=record)
            recorded = await find_recording(connection, video_id)
            rows = [] if recorded is None else await list_sent_segments(connection, recorded)
            plan = await find_plan(connection, video_id)
            replaced = await list_replaced_plans(connection, video_id) if record.earlier else []
        texts = record.subtitles
        if recorded is not None:
            found = await asyncio.to_thread(read_recording, rows, results, texts)
            return CatalogEntry(0.0, record, found, len(results))
        assert plan is not None, "a playable video has its plan"
        found, *earlier = await asyncio.to_thread(
            lambda: [read_publication(each, results, texts) for each in (plan, *replaced)]
        )
        return CatalogEntry(0.0, record, found, len(results), tuple(earlier))

    def _keep(self, video_id: uuid.UUID, entry: CatalogEntry) -> None:
        self._drop(video_id)
        self._entries[video_id] = entry
        self._segments += entry.segments
        while len(self._entries) > ENTRIES_MAX or (
            self._segments > SEGMENTS_MAX and len(self._entries) > 1
        ):
            self._drop(next(iter(self._entries)))

    def _drop(self, video_id: uuid.UUID) -> None:
        entry = self._entries.pop(video_id, None)
        if entry is not None:
            self._segments -= entry.segments


def _is_kept(known: CatalogEntry, record: PlaybackRecord) -> bool:
    """Say whether nothing changed but what pieces of work made: pictures, texts, versions, AAC."""
    was = known.record
    if was is None or was.is_gone or was.playable_at is None:
        return False
    return _list_changing(was) == _list_changing(record)


def _list_changing(record: PlaybackRecord) -> tuple[object, ...]:
    earlier, has_aac = record.earlier, record.has_aac
    return record.thumbnail_key, record.subtitles, record.version, earlier, has_aac


def read_recording(
    rows: Sequence[StoredSegment], results: list[object], texts: Sequence[Subtitles]
) -> Publication:
    """Work out what segments of a live, and the pictures made of them, let people watch."""
    records = [msgspec.convert(result, TaskRecord) for result in results]
    return publish_recording(rows, {record.task_id: record for record in records}, texts)


def read_publication(
    plan: dict[str, object], results: list[object], texts: Sequence[Subtitles] = ()
) -> Publication:
    """Work out what the rows' JSON lets people watch; CPU time by length."""
    records = [msgspec.convert(result, TaskRecord) for result in results]
    by_task = {record.task_id: record for record in records}
    return publish(decode_json(orjson.dumps(plan), TranscodePlan), by_task, texts)
