"""What of a live can be played now: its segments from the start, the open one's parts, their bytes.

The edge makes one per room and asks it at every request; the packagers of one publisher after
another fill it. Bytes stay until they are stored elsewhere. Pure state, no I/O.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from media.live.fragments import AUDIO, TRACKS, VIDEO, InitSegment, Part, SegmentHead

KEPT_SEGMENTS = 6
"""So many whole segments stay in memory though they are stored: nearly all readers ask for them."""
UNSAVED_SEGMENTS_MAX = 40
"""Storage may be away so long; then the oldest are given up and become a gap."""
SEGMENTS_MAX = 40_000
"""About a day; then the start is forgotten."""
DROPPED_AT_ONCE = 1000


@dataclass(slots=True)
class Entry:
    """One segment of one track, as playlists list it."""

    number: int
    folder: str
    """The publisher it is from, as in its address."""
    init: InitSegment
    start_ticks: int
    is_discontinuous: bool
    is_slate: bool = False
    """It stands in for a publisher who was away."""
    duration_ticks: int = 0
    size_bytes: int = 0
    key_bytes: int = 0
    """Where its first picture ends, if that is a keyframe."""
    pictures: int = 0
    """0: not known, of one that an earlier publisher left."""
    parts: list[Part] = field(default_factory=list)
    """Empty once its bytes are gone from memory."""
    is_whole: bool = False
    is_stored: bool = False
    is_gap: bool = False
    """Nothing can be fetched: the programme was interrupted, or its bytes were lost."""
    text: str = ""
    """Its lines in playlists, once they do not change any more."""

    @property
    def start_s(self) -> float:
        """Seconds from the live's first moment."""
        return self.start_ticks / self.init.timescale

    @property
    def duration_s(self) -> float:
        """Its length so far."""
        return self.duration_ticks / self.init.timescale

    @property
    def name(self) -> str:
        """Its address below its track."""
        return f"{self.folder}/{self.number}.m4s"

    @property
    def init_name(self) -> str:
        """Its init segment's address below its track."""
        return f"{self.folder}/{self.init.name}"

    def name_part(self, position: int) -> str:
        """The address of one of its parts below its track."""
        return f"{self.folder}/{self.number}.{position}.m4s"

    def join(self) -> bytes:
        """Its bytes, while they are in memory."""
        return b"".join(part.data for part in self.parts)


class LiveWindow:
    """All entries of one live, by track; numbers run on from one publisher to the next."""

    def __init__(
        self,
        epoch_at: datetime,
        on_change: Callable[[], None],
        *,
        listed_max: int = SEGMENTS_MAX,
    ) -> None:
        self.epoch_at = epoch_at
        """The wall clock at the live's first moment."""
        self.version = 0
        self.is_ended = False
        self.dropped_discontinuities = dict.fromkeys(TRACKS, 0)
        self._entries: dict[str, list[Entry]] = {track: [] for track in TRACKS}
        self._inits: dict[tuple[str, str], InitSegment] = {}
        self._on_change = on_change
        self._listed_max = listed_max
        self._dropped_at_once = min(DROPPED_AT_ONCE, listed_max // 4)

    # What there is

    def list_entries(self, track: str) -> Sequence[Entry]:
        """All segments of a track, oldest first; the last one may be open. Not to be kept."""
        return self._entries[track]

    def find_entry(self, track: str, number: int) -> Entry | None:
        """Return a segment."""
        entries = self._entries[track]
        position = number - entries[0].number if entries else -1
        return entries[position] if 0 <= position < len(entries) else None

    def find_init(self, track: str, name: str) -> InitSegment | None:
        """Return an init segment by its address below the track."""
        return self._inits.get((track, name))

    def get_last(self, track: str) -> Entry | None:
        """Return the newest segment, open or not."""
        entries = self._entries[track]
        return entries[-1] if entries else None

    def get_last_sent(self, track: str) -> Entry | None:
        """Return the newest segment that a publisher sent, while there is one; else the newest."""
        entries = reversed(self._entries[track])
        sent = (entry for entry in entries if not entry.is_slate and not entry.is_gap)
        return next(sent, self.get_last(track))

    def get_edge(self, track: str) -> tuple[int, int]:
        """Return the number of the newest segment and how many parts it has; (-1, 0) for none."""
        last = self.get_last(track)
        return (-1, 0) if last is None else (last.number, len(last.parts))

    def find_newest_part(self, track: str) -> tuple[int, int] | None:
        """Return the segment and position of the newest part; None: none is in memory."""
        for entry in reversed(self._entries[track][-2:]):
            if entry.parts:
                return entry.number, len(entry.parts) - 1
        return None

    def get_moment(self, entry: Entry) -> datetime:
        """Return the programme's wall clock where a segment begins."""
        return self.epoch_at + timedelta(seconds=entry.start_s)

    @property
    def is_playable(self) -> bool:
        """Whether anything can be played: both tracks have begun."""
        return all(
            any(entry.duration_ticks and not entry.is_gap for entry in reversed(entries))
            for entries in self._entries.values()
        )

    def has_part(self, track: str, number: int, position: int | None) -> bool:
        """Say whether what a blocking request waits for is there (§6.2.5.2).

        A part beyond the last one of a whole segment means the first one of the next.
        """
        last = self.get_last(track)
        if self.is_ended:
            return True
        if last is None or last.number < number:
            return False
        if last.number > number:
            entry = self.find_entry(track, number)
            is_behind = position is None or entry is None or position < len(entry.parts)
            return is_behind or last.number > number + 1 or bool(last.parts)
        if position is None:
            return last.is_whole
        return len(last.parts) > position

    # What comes

    def add_stored(self, track: str, entry: Entry) -> None:
        """List a segment that an earlier publisher left, or a gap."""
        self._list(track, entry)

    def open_entry(self, track: str, head: SegmentHead, folder: str) -> None:
        """A segment begins."""
        entry = Entry(
            head.number,
            folder,
            head.init,
            head.start_ticks,
            head.is_discontinuous,
            head.is_slate,
        )
        self._list(track, entry)

    def add_part(self, track: str, part: Part) -> None:
        """The open segment has one more part."""
        entry = self._get_open(track)
        if not entry.parts:
            entry.key_bytes = part.key_bytes
        entry.parts.append(part)
        entry.duration_ticks += part.duration_ticks
        entry.size_bytes += len(part.data)
        entry.pictures += part.pictures
        self._change()

    def end_entry(self, track: str) -> int:
        """The open segment is whole; returns its number."""
        entry = self._get_open(track)
        entry.is_whole = True
        self._forget_bytes(track)
        self._change()
        return entry.number

    def end(self) -> None:
        """Nothing more will come."""
        self.is_ended = True
        self._change()

    def note_stored(self, number: int) -> None:
        """A segment's bytes are kept elsewhere now."""
        for track in TRACKS:
            entry = self.find_entry(track, number)
            if entry is not None:
                entry.is_stored = True
                if entry.is_gap:  # its bytes were given up while they were being stored
                    entry.is_gap, entry.text = False, ""
                    self._change()
            self._forget_bytes(track)

    def measure_bitrate(self, track: str) -> int:
        """Bits per second of the heaviest recent segment; 0 before there is one."""
        rates = (entry.size_bytes * 8 / entry.duration_s for entry in self._iter_recent(track))
        return round(max(rates, default=0.0))

    def measure_fps(self, track: str) -> float:
        """Pictures per second of the recent segments; 0.0 before there is one."""
        recent = [entry for entry in self._iter_recent(track) if entry.pictures]
        return sum(e.pictures for e in recent) / (sum(e.duration_s for e in recent) or 1.0)

    # Within

    def _iter_recent(self, track: str) -> Iterator[Entry]:
        """The last whole segments that a publisher sent, newest first."""
        sent = (
            entry
            for entry in reversed(self._entries[track])
            if entry.is_whole and entry.duration_ticks and not entry.is_slate
        )
        return itertools.islice(sent, KEPT_SEGMENTS)

    def _list(self, track: str, entry: Entry) -> None:
        entries = self._entries[track]
        last = self.get_last(track)
        assert last is None or (last.is_whole and last.number + 1 == entry.number), (
            f"segment {entry.number} of {track} does not follow the one before it"
        )
        entries.append(entry)
        self._inits[track, entry.init_name] = entry.init
        if len(entries) > self._listed_max:
            # No playlist says of its first segment that it is discontinuous: it counts as dropped.
            passed = entries[1 : self._dropped_at_once + 1]
            del entries[: self._dropped_at_once]
            entries[0].text = ""  # it names its init segment from now on
            self.dropped_discontinuities[track] += sum(e.is_discontinuous for e in passed)
        self._change()

    def _get_open(self, track: str) -> Entry:
        entry = self.get_last(track)
        assert entry is not None, "no segment was opened"
        assert not entry.is_whole, f"segment {entry.number} of {track} is whole already"
        return entry

    def _forget_bytes(self, track: str) -> None:
        """Let go of bytes that are stored, and of the oldest that could not be."""
        last = self.get_last(track)
        if last is None:
            return
        for number in range(last.number - KEPT_SEGMENTS, -1, -1):
            entry = self.find_entry(track, number)
            if entry is None or not entry.parts:
                break
            if entry.is_stored or number <= last.number - UNSAVED_SEGMENTS_MAX:
                entry.parts = []
                entry.is_gap = not entry.is_stored
                entry.text = ""

    def _change(self) -> None:
        self.version += 1
        self._on_change()


class PublisherSink:
    """What one publisher's packager fills: the window, under that publisher's folder."""

    def __init__(self, window: LiveWindow, folder: str, on_whole: Callable[[int], None]) -> None:
        self._window = window
        self._folder = folder
        self._on_whole = on_whole
        self._ended = dict.fromkeys(TRACKS, -1)

    def begin_segment(self, track: str, head: SegmentHead) -> None:
        """A segment opens."""
        self._window.open_entry(track, head, self._folder)

    def add_part(self, track: str, part: Part) -> None:
        """The open segment has one more part."""
        self._window.add_part(track, part)

    def end_segment(self, track: str) -> None:
        """The open segment is whole; `on_whole` hears of it when both tracks are."""
        number = self._window.end_entry(track)
        self._ended[track] = number
        if min(self._ended[VIDEO], self._ended[AUDIO]) == number:
            self._on_whole(number)
