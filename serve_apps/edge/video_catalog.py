"""What this edge knows about videos that are being watched: who may, which tracks, which segments.

`playback.py` asks it at each request. What plays of a ready video is kept until `AccessBook` tells
of a change, so that it costs no statement and a deleted or hidden one stops at once; of others, and
while changes may go unheard, the row is read again within a second. It answers from memory for a
minute while the database is away. It reads no media.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec
import orjson

from kit.clock import Clock
from kit.errors import NotFound, Unavailable
from kit.logs import get_log
from kit.shared_text import SharedText
from media.live.recording import publish_recording
from media.vod.hls import Track
from media.vod.info import decode_json
from media.vod.plan import TranscodePlan
from media.vod.publish import Publication, publish
from media.vod.records import TaskRecord
from serve_apps.edge.access_book import WINDOW_S, AccessBook
from serve_apps.edge.socket_words import ChannelKind, ChannelName
from storage.database import Database
from storage.live_segments import StoredSegment, list_sent_segments
from storage.recordings import find_recording
from storage.subtitles import Subtitles
from storage.video_chunks import list_results
from storage.video_plans import find_plan
from storage.video_playback import PlaybackRecord, find_playback
from storage.video_versions import list_replaced_plans

log = get_log("edge")
FRESH_S = 1.0
"""How long an entry counts of which no change would be told."""
MAKING_FRESH_S, MAKING_READS_SHARE = 0.2, 0.1
"""Of a video that is being made: at least so long, and until reads take that share of the time."""
UNHEARD_MAX_S = 1.5
"""The book looks each second: one that did not for so long may have missed a change."""
REREAD_S = 20.0
"""What is kept is read again after this, while nobody waits: for what no trigger thought of."""
KEPT_MAX_S = WINDOW_S
"""An older entry is read before it counts: the book may have forgotten a change since."""
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
    took_s: float = 0.0
    """How long it took to read."""
    texts: dict[str, SharedText] = field(default_factory=dict)
    """Playlists that were asked for, by name; read again, what did not change keeps them."""

    @property
    def segments(self) -> int:
        """How many segments it names."""
        return sum(each.segments for each in (self.publication, *self.earlier))

    @property
    def fresh_s(self) -> float:
        """How long it counts where no change is told."""
        if self.record is None or self.record.status != "processing":
            return FRESH_S
        return min(FRESH_S, max(MAKING_FRESH_S, self.took_s / MAKING_READS_SHARE))

    def find_file(self, name: str) -> SharedText | None:
        """Return a playlist; what several versions have, of the one that plays now."""
        text = self.texts.get(name)
        if text is None:
            known = (self.publication, *self.earlier)
            found = (files.get(name) for each in known for files in (each.files, each.former))
            data = next((data for data in found if data is not None), None)
            if data is None:
                return None
            text = self.texts[name] = SharedText(data)
        return text

    def find_track(self, name: str) -> Track | None:
        """Return a track of any version: names differ between them."""
        found = (each.tracks.get(name) for each in (self.publication, *self.earlier))
        return next((track for track in found if track is not None), None)


class VideoCatalog:
    """Entries by video, the least recently asked-for dropped first; one reader per video."""

    def __init__(self, database: Database, clock: Clock, changed: AccessBook) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed
        self._entries: OrderedDict[uuid.UUID, CatalogEntry] = OrderedDict()
        self._segments = 0
        self._reads: dict[uuid.UUID, asyncio.Task[CatalogEntry]] = {}

    async def get(self, video_id: uuid.UUID) -> CatalogEntry:
        """Return the entry as of the last change; raises VideoUnknown, or that nobody knows now."""
        entry = self._entries.get(video_id)
        if entry is None or not self._is_current(entry):
            entry = await asyncio.shield(self._read(video_id))
            if self._is_outdated(entry):  # a change was told while it was read
                entry = await asyncio.shield(self._read(video_id))
        else:
            self._entries.move_to_end(video_id)
            if self._clock.monotonic_s() - entry.read_s > REREAD_S:
                self._read(video_id)
        if entry.record is None:
            raise VideoUnknown
        return entry

    def _is_current(self, entry: CatalogEntry) -> bool:
        if self._is_outdated(entry):
            return False
        now_s, looked_s = self._clock.monotonic_s(), self._find_look_s(entry)
        if now_s - entry.read_s <= entry.fresh_s:
            return True
        return looked_s is not None and now_s - looked_s <= UNHEARD_MAX_S

    def _is_outdated(self, entry: CatalogEntry) -> bool:
        """Say whether a change was told that came after it was read."""
        record, changed = entry.record, self._changed
        if record is None:
            return False
        if record.playback_version < changed.get_playback_version(record.id):
            return True
        owner = ChannelName(ChannelKind.USER, record.owner_id)
        return record.owner_version < changed.get_version(owner)

    def _find_look_s(self, entry: CatalogEntry) -> float | None:
        """Return when the book last looked for changes, if it tells those of such an entry."""
        record, looked_s = entry.record, self._changed.loaded_s
        is_told = record is not None and record.status == "ready" and not record.is_gone
        if not is_told or looked_s is None or looked_s - entry.read_s > KEPT_MAX_S:
            return None
        return looked_s

    def _may_stand_in(self, entry: CatalogEntry) -> bool:
        """Say whether memory may answer while the rows cannot be read: not of what was hidden."""
        record = entry.record
        if record is not None:
            video = ChannelName(ChannelKind.VIDEO, record.id)
            if record.access_version < self._changed.get_version(video):
                return False
        looked_s = None if self._is_outdated(entry) else self._find_look_s(entry)
        was_so_s = max(entry.read_s, looked_s or entry.read_s)
        return self._clock.monotonic_s() - was_so_s <= STALE_MAX_S

    def _read(self, video_id: uuid.UUID) -> asyncio.Task[CatalogEntry]:
        """Begin to read the rows, unless somebody does already.

        Whoever awaits it shields it: who goes away must not take the others' answer along.
        """
        task = self._reads.get(video_id)
        if task is None:
            task = asyncio.create_task(self._refresh(video_id), name="video-catalog")
            self._reads[video_id] = task
            task.add_done_callback(lambda task: self._end_read(video_id, task))
        return task

    def _end_read(self, video_id: uuid.UUID, task: asyncio.Task[CatalogEntry]) -> None:
        del self._reads[video_id]
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Unavailable):
            log.error("video.not_read", exc_info=error)  # perhaps nobody waits for it

    async def _refresh(self, video_id: uuid.UUID) -> CatalogEntry:
        known = self._entries.get(video_id)
        started_s = self._clock.monotonic_s()
        try:
            entry = await self._load(video_id, known)
        except Unavailable:
            if known is None or not self._may_stand_in(known):
                raise
            return known
        took_s = self._clock.monotonic_s() - started_s
        entry = replace(entry, read_s=started_s, took_s=took_s)
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
    """Say whether nothing changed but what pieces of work made: pictures, texts, renditions."""
    was = known.record
    if was is None or was.is_gone or was.playable_at is None:
        return False
    return _list_changing(was) == _list_changing(record)


def _list_changing(record: PlaybackRecord) -> tuple[object, ...]:
    made = record.has_aac, record.has_rungs
    return record.thumbnail_key, record.subtitles, record.version, record.earlier, made


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
