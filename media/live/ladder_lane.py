"""One live's smaller pictures: what its window has, made again in a process of its own.

The edge makes one per live (`ladder_desk.py`). It follows the live's window, hands parts to the
tap, and fills a window per rung with what comes back: the same segments, parts and times. Nothing
here waits. When the process is late, the last picture stands up to a keyframe; when it died, it
gets what it had not answered once more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from media.cmaf import read_video_config
from media.live.fragments import VIDEO, InitSegment, Part, SegmentHead, make_video_init
from media.live.ladder_tap import LadderTap, TapCalls, TapRules
from media.live.ladder_words import (
    BODY_BYTES_MAX,
    DRAIN,
    DROP,
    FORMAT,
    INIT,
    MADE_KEY,
    PART,
    PRIME,
    SIZE,
    STILL,
    Word,
    pack_format,
)
from media.live.playlists import LivePlaylists
from media.live.rungs import SourceShape, build_rung
from media.live.samples import VideoFormat
from media.live.window import Entry, LiveWindow

LISTED_MAX = 36
"""About seventy seconds: so far back can one seek in a rung. Their bytes are in memory alone."""
HANDED_MAX = 8
"""Parts that the process may have before it; the rest waits in the live's window."""
HELD_MAX = 2
"""Parts that a decoder may keep until it gets more."""
STILL_AFTER_S = 3.0
"""What is so late is not made any more: the last picture stands up to the next keyframe."""
WAITING_MAX = 200
"""Parts that may wait in all: more than the live's window keeps in memory."""


class RungTrack:
    """One rung of a live as players see it."""

    def __init__(self, short_side: int, folder: str, live: LiveWindow, wake: Callable[[], None]):
        self.name = f"{short_side}p"
        self.short_side = short_side
        self.folder = folder
        """Caches keep what lies under an address: each rung has addresses of its own, ever."""
        self.window = LiveWindow(live.epoch_at, self._note_change, listed_max=LISTED_MAX)
        self.playlists = LivePlaylists(self.window, beside=live, folder=self.name)
        self.is_over = False
        """It is made no more, though the live goes on."""
        self.init: InitSegment | None = None
        self._wake = wake
        self._inits: dict[VideoFormat, InitSegment] = {}

    @property
    def is_playable(self) -> bool:
        """Whether there is a picture yet."""
        return any(entry.duration_ticks for entry in self.window.list_entries(VIDEO)[:2])

    def end(self) -> None:
        """Nothing more is made of it; players are told to take another one."""
        self.is_over = True
        self._wake()

    def set_format(self, picture: VideoFormat) -> None:
        """What follows has these parameter sets; one that comes back has the name it had."""
        known = self._inits.get(picture)
        self.init = known or make_video_init(len(self._inits), picture)
        self._inits[picture] = self.init

    def _note_change(self) -> None:
        self._wake()


@dataclass
class _Waiting:
    """A part of the live that has no rungs yet."""

    number: int
    position: int
    came_s: float


@dataclass(frozen=True)
class LaneTerms:
    """What a lane works with."""

    now_s: Callable[[], float]
    note_still: Callable[[], None]
    """A part was not made: the last picture stands in its place."""
    note_lateness: Callable[[float], None]
    """A part was made, so many seconds after the live had it."""
    process: TapRules = field(default_factory=TapRules)


@dataclass
class LadderLane:
    """Follows one live; `rungs` by short side, largest first."""

    live: LiveWindow
    terms: LaneTerms
    rungs: dict[int, RungTrack] = field(default_factory=dict)
    is_lost: bool = False
    """The live's bytes went before they were made: only a lane begun anew can go on."""

    def __post_init__(self) -> None:
        self.tap = LadderTap(TapCalls(self.hear, self.note_death), self.terms.process)
        self._coming: dict[int, RungTrack] = {}
        """Rungs that begin with the next keyframe."""
        self._seen = (-1, 0)
        """The segment, and its part, that the live has next."""
        self._waiting: deque[_Waiting] = deque()
        self._handed = 0
        """How many of these the process has."""
        self._format: InitSegment | None = None
        self._is_still = self._is_drained = False
        self._has_picture = False
        """The process has a picture that could stand."""
        self._made: list[tuple[Word, bytes]] = []
        """What came of a part whose smallest rung has not come."""

    @property
    def lateness_s(self) -> float:
        """How long ago the live had the oldest part that has no rungs yet.

        0.0 while it may only wait for the next picture, as a decoder of B-frames does.
        """
        is_held = len(self._waiting) <= HELD_MAX
        return 0.0 if is_held else self.terms.now_s() - self._waiting[0].came_s

    @property
    def waiting_count(self) -> int:
        """How many parts of the live have no rungs yet."""
        return len(self._waiting)

    def add(self, rung: RungTrack) -> None:
        """Make a rung, too, from the next keyframe on."""
        self._coming[rung.short_side] = rung

    def drop(self, short_side: int) -> RungTrack:
        """Make a rung no more."""
        rung = self._coming.pop(short_side, None) or self.rungs.pop(short_side)
        self.tap.order(Word(DROP, short_side_number(short_side)))
        rung.end()
        if self._made and self._is_smallest(self._made[-1][0]):
            self._take_made()
        return rung

    def follow(self) -> None:
        """Hand over what the live has got since the last time, as far as there is room."""
        self._look()
        while not self.is_lost and self._handed < min(HANDED_MAX, len(self._waiting)):
            if self.tap.pid is None:
                return
            self._hand_over(self._waiting[self._handed])
            self._handed += 1
        self._end_whole()
        if self.live.is_ended and self._handed == len(self._waiting):
            if not self._is_drained and self.tap.pid is not None:
                self._is_drained = True
                self.tap.order(Word(DRAIN))
            if not self._waiting:
                self._end_all()

    def note_death(self) -> None:
        """The process lost what it had: the next one gets it again, once `follow` is called.

        A part that came in some rungs alone comes again in all: the next process's pictures lean
        on those of its own part, which players have to have.
        """
        self._handed = 0
        self._made.clear()
        self._format = None
        self._is_drained = self._is_still = self._has_picture = False

    def hear(self, word: Word, body: bytes) -> None:
        """Take what the process says."""
        rung = self._find(word.rung)
        if rung is None:
            return  # it was dropped meanwhile
        if word.kind == INIT:
            width, height = SIZE.unpack_from(body)
            rung.set_format(VideoFormat(width, height, body[SIZE.size :]))
            return
        self._made.append((word, body))
        if self._is_smallest(word):
            self._take_made()

    # What the live has

    def _look(self) -> None:
        """Note what came."""
        number, position = self._seen
        if number < 0:
            number = self._choose_first()
            if number < 0:
                return
        while (entry := self.live.find_entry(VIDEO, number)) is not None:
            if entry.is_whole and not entry.is_gap and len(entry.parts) < position:
                self.is_lost = True
                return
            for place in range(position, len(entry.parts)):
                self._waiting.append(_Waiting(number, place, self.terms.now_s()))
            position = len(entry.parts)
            if not entry.is_whole:
                break
            if not entry.parts and not entry.is_gap:
                self.is_lost = True
                return
            number, position = number + 1, 0
        self._seen = (number, position)
        self.is_lost |= len(self._waiting) > WAITING_MAX

    def _choose_first(self) -> int:
        """Return the newest whole segment that begins with a keyframe; -1: none is there yet."""
        entries = reversed(self.live.list_entries(VIDEO))
        fitting = (e for e in entries if e.is_whole and e.parts and e.key_bytes)
        first = next(fitting, None)
        return -1 if first is None else first.number

    # To the tap

    def _hand_over(self, waiting: _Waiting) -> None:
        entry, place = self.live.find_entry(VIDEO, waiting.number), waiting.position
        if entry is None or place >= len(entry.parts):
            self.is_lost = True
            return
        part = entry.parts[place]
        if place == 0 or self._format is None:
            self._set_format(entry, begins=place == 0)
        if not self._has_picture:
            self._prime(entry, place)
        is_late = self.terms.now_s() - waiting.came_s > STILL_AFTER_S and self._has_picture
        may_resume = place == 0 and entry.key_bytes > 0
        self._is_still = is_late or (self._is_still and not may_resume)
        at = entry.start_ticks + sum(p.duration_ticks for p in entry.parts[:place])
        word = Word(PART, 0, entry.number, place, at, part.duration_ticks)
        if self._is_still or len(part.data) > BODY_BYTES_MAX:
            self._is_still = True
            self.terms.note_still()
            self.tap.order(word._replace(kind=STILL))
            return
        self._has_picture = True
        self.tap.order(word, part.data)

    def _set_format(self, entry: Entry, *, begins: bool) -> None:
        """Tell the process of another picture, or of other rungs, before the segment begins."""
        has_coming = bool(self._coming) and begins and entry.key_bytes > 0
        if self._format == entry.init and not has_coming:
            return
        self._format = entry.init
        if has_coming:
            self._begin_coming(entry.number)
        shape = measure_shape(self.live, entry)
        rungs = [
            (short_side_number(side), build_rung(side, shape))
            for side in sorted(self.rungs, reverse=True)
        ]
        self.tap.order(Word(FORMAT), pack_format(rungs, *read_video_config(entry.init.data)))

    def _begin_coming(self, number: int) -> None:
        """Rungs that were waiting begin with a segment."""
        marks = [e for e in self.live.list_entries(VIDEO) if e.is_discontinuous]
        dropped = self.live.dropped_discontinuities[VIDEO]
        for side, rung in self._coming.items():
            self.rungs[side] = rung
            count = dropped + sum(mark.number <= number for mark in marks)
            rung.window.dropped_discontinuities[VIDEO] = count
        self._coming.clear()

    def _prime(self, entry: Entry, position: int) -> None:
        """Have a process that begins within a segment decode what lies before."""
        for place in range(position):
            self.tap.order(Word(PRIME, 0, entry.number, place), entry.parts[place].data)

    # From the tap

    def _find(self, number: int) -> RungTrack | None:
        sides = (side for side in self.rungs if short_side_number(side) == number)
        side = next(sides, None)
        return None if side is None else self.rungs[side]

    def _is_smallest(self, word: Word) -> bool:
        """Say whether this is the last that comes of a part: the largest rung is made first."""
        return bool(self.rungs) and word.rung == short_side_number(min(self.rungs))

    def _take_made(self) -> None:
        """A part has all its rungs: put it into their windows."""
        made, self._made = self._made, []
        for word, body in made:
            rung = self._find(word.rung)
            if rung is None or (word.number, word.position) < rung.window.get_edge(VIDEO):
                continue
            self._place(rung, word.number)
            is_key = word.kind == MADE_KEY
            part = Part(body, word.duration, is_key, word.key_bytes, word.pictures)
            rung.window.add_part(VIDEO, part)
        self._note_made(made[-1][0])

    def _place(self, rung: RungTrack, number: int) -> None:
        """Open the segment that a part belongs to."""
        last = rung.window.get_last(VIDEO)
        if last is not None and last.number == number:
            return
        if last is not None and not last.is_whole:
            rung.window.end_entry(VIDEO)
        assert rung.init is not None, "parameter sets come before parts"
        for missing in range(number if last is None else last.number + 1, number):
            known = self.live.find_entry(VIDEO, missing)
            assert known is not None, "the live has passed it"
            gap = Entry(missing, rung.folder, rung.init, known.start_ticks, known.is_discontinuous)
            gap.duration_ticks = known.duration_ticks
            gap.is_whole = gap.is_gap = True
            rung.window.add_stored(VIDEO, gap)
        entry = self.live.find_entry(VIDEO, number)
        assert entry is not None, "the live has it"
        head = SegmentHead(
            number, rung.init, entry.start_ticks, entry.is_discontinuous, entry.is_slate
        )
        rung.window.open_entry(VIDEO, head, rung.folder)

    def _note_made(self, word: Word) -> None:
        """A part of the live has its rungs."""
        if not self._waiting:
            return
        first = self._waiting[0]
        if (first.number, first.position) == (word.number, word.position):
            self.terms.note_lateness(self.terms.now_s() - first.came_s)
            self._waiting.popleft()
            self._handed = max(0, self._handed - 1)
        self.follow()

    def _end_whole(self) -> None:
        """End the segments of rungs that are as long as the live's are."""
        for rung in self.rungs.values():
            last = rung.window.get_last(VIDEO)
            if last is None or last.is_whole:
                continue
            known = self.live.find_entry(VIDEO, last.number)
            if known is not None and known.is_whole and last.duration_ticks == known.duration_ticks:
                rung.window.end_entry(VIDEO)

    def _end_all(self) -> None:
        for rung in self.rungs.values():
            last = rung.window.get_last(VIDEO)
            if last is not None and not last.is_whole:
                rung.window.end_entry(VIDEO)
            if not rung.window.is_ended:
                rung.window.end()


def short_side_number(short_side: int) -> int:
    """Return a rung's number in words to the process: the largest has the least."""
    return 255 - short_side // 10


def measure_shape(live: LiveWindow, entry: Entry) -> SourceShape:
    """Return what is known of the live's picture as it is from a segment on."""
    return SourceShape(
        entry.init.width,
        entry.init.height,
        live.measure_fps(VIDEO),
        live.measure_bitrate(VIDEO),
    )
