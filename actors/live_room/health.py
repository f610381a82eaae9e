"""How a live goes: who watches how long, how well, and what comes in; a sample every ten seconds.

Part of a room and as pure. Edges report what players say and what the publisher sends; samples wait
here until the board stores them (`sample_board.py`), the latest stay for the host of the live.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from actors.hosting.messages import Message
from actors.live_room.messages import ViewersReport, Way
from actors.live_room.quality import QualityReport, add_up, find_percentile_ms
from actors.live_room.viewers import split_people
from actors.live_room.visitors import MARK_BYTES, VisitorBook, mark_person
from kit.clock import Clock
from storage.live_samples import LiveSample, Visitors

SAMPLE_EVERY_S = 10.0
RECENT_MAX = 60
WAITING_MAX = 360
"""An hour without storage; then the oldest are lost."""


class IngestReport(Message, frozen=True):
    """What a publisher sent within the last seconds, as the edge where it comes in measured."""

    session_id: str
    bitrate_bps: int
    frames_per_s: float
    keyframe_ms: int | None
    """From one keyframe to the next, the latest."""
    packets_lost: int | None = None
    packets_received: int | None = None
    """None: it does not come in packets that can be lost."""
    is_carried: bool = True
    """False: HLS does not carry its picture, and nothing of it is recorded."""
    uncarried_codec: str | None = None
    """What that picture comes in, in capitals; None: there is none."""
    has_b_frames: bool = False
    """Pictures have come out of the order in which they are shown: WebRTC does not carry them."""


class HealthAsk(Message, frozen=True):
    """How does the live go?"""


class HealthShown(Message, frozen=True):
    """How a live goes: at present, and the samples of the last minutes."""

    status: str
    ways: dict[str, int]
    visitors: int
    quality: QualityReport
    ingest: IngestReport | None
    samples: list[LiveSample]


class Health:
    """What one room knows of how it goes."""

    def __init__(
        self,
        room_id: uuid.UUID,
        owner_id: uuid.UUID,
        clock: Clock,
        make_id: Callable[[], uuid.UUID],
    ) -> None:
        self._room_id = room_id
        self._owner = owner_id.bytes
        self._clock = clock
        self._make_id = make_id
        self._part: uuid.UUID | None = None
        self._visitors = VisitorBook()
        self._quality: dict[str, QualityReport] = {}
        self._ingest: IngestReport | None = None
        self._lines = 0
        self._ways: Mapping[str, int] = dict.fromkeys(map(str, Way), 0)
        self._peak = 0
        self._watched_s = dict.fromkeys((Way.WEBRTC, Way.HLS), 0.0)
        self._counted_s = clock.monotonic_s()
        self._began_s: float | None = None
        """When the present sample began; None: not on air."""
        self.recent: deque[LiveSample] = deque(maxlen=RECENT_MAX)
        self.waiting: deque[LiveSample] = deque(maxlen=WAITING_MAX)
        """Samples that are not stored yet."""

    @property
    def due_s(self) -> float | None:
        """When the present sample is complete."""
        return None if self._began_s is None else self._began_s + SAMPLE_EVERY_S

    # What the room and its edges say

    def set_on_air(self, *, is_on_air: bool) -> None:
        """The broadcast began or ended, or neither; interruptions are on air."""
        if is_on_air and self._began_s is None:
            self.note_viewers(self._ways)
            self._began_s = self._counted_s
            self._start_sample()
        elif not is_on_air and self._began_s is not None:
            self._take_sample()
            self._began_s = None

    def note_viewers(self, ways: Mapping[str, int]) -> None:
        """So many watch from now on."""
        now_s = self._clock.monotonic_s()
        for way in self._watched_s:
            self._watched_s[way] += self._ways[way] * (now_s - self._counted_s)
        self._ways, self._counted_s = ways, now_s
        self._peak = max(self._peak, sum(ways.values()))

    def meet(self, report: ViewersReport) -> None:
        """Note who came."""
        for people in report.people.values():
            for person in split_people(people):
                if person != self._owner:
                    self._visitors.add(mark_person(person))
        for at in range(0, len(report.visitors), MARK_BYTES):
            self._visitors.add(report.visitors[at : at + MARK_BYTES])

    def note_line(self) -> None:
        """A chat line was written."""
        self._lines += 1

    def report_quality(self, link: str, report: QualityReport) -> None:
        """Take what players at an edge say."""
        if any(report.players.values()):
            self._quality[link] = report
        else:
            self._quality.pop(link, None)

    def report_ingest(self, report: IngestReport | None) -> None:
        """Take what comes in; None: nothing does."""
        self._ingest = report

    def forget(self, link: str) -> None:
        """An edge is out of reach."""
        self._quality.pop(link, None)

    def pass_time(self) -> None:
        """Take a sample when one is complete."""
        due_s = self.due_s
        if due_s is not None and self._clock.monotonic_s() >= due_s:
            self._take_sample()

    # What others read

    def show(self, status: str) -> HealthShown:
        """Return how it goes."""
        return HealthShown(
            status=status,
            ways=dict(self._ways),
            visitors=self._visitors.count(),
            quality=add_up(list(self._quality.values())),
            ingest=self._ingest,
            samples=list(self.recent),
        )

    def pack_visitors(self) -> Visitors:
        """Return who came, as it is stored."""
        if self._part is None:
            self._part = self._make_id()
        return Visitors(self._room_id, self._part, self._visitors.pack())

    def drop_stored(self, samples: Sequence[LiveSample]) -> None:
        """These are stored."""
        stored = {sample.at for sample in samples}
        while self.waiting and self.waiting[0].at in stored:
            self.waiting.popleft()

    # Within

    def _take_sample(self) -> None:
        assert self._began_s is not None, "samples are taken on air"
        self.note_viewers(self._ways)
        span_s = self._counted_s - self._began_s
        quality, ingest = add_up(list(self._quality.values())), self._ingest
        sample = LiveSample(
            live_id=self._room_id,
            at=self._clock.now(),
            span_ms=round(span_s * 1000),
            viewers=self._peak,
            webrtc=self._ways[Way.WEBRTC],
            hls=self._ways[Way.HLS],
            chat=self._ways[Way.CHAT],
            watched_webrtc_ms=round(self._watched_s[Way.WEBRTC] * 1000),
            watched_hls_ms=round(self._watched_s[Way.HLS] * 1000),
            lines=self._lines,
            players=sum(quality.players.values()),
            suffering=quality.suffering,
            freezes=quality.freezes,
            stalled_ms=quality.stalled_ms,
            played_ms=quality.played_ms,
            lost=quality.lost,
            received=quality.received,
            latency_ms=find_percentile_ms(quality.latencies, 0.5),
            latency_p95_ms=find_percentile_ms(quality.latencies, 0.95),
            join_p95_ms=find_percentile_ms(quality.joins, 0.95),
            bitrate_bps=None if ingest is None else ingest.bitrate_bps,
            frames_per_s=None if ingest is None else ingest.frames_per_s,
            keyframe_ms=None if ingest is None else ingest.keyframe_ms,
            packets_lost=None if ingest is None else ingest.packets_lost,
            packets_received=None if ingest is None else ingest.packets_received,
        )
        self.recent.append(sample)
        self.waiting.append(sample)
        self._began_s = self._counted_s
        self._start_sample()

    def _start_sample(self) -> None:
        """What was counted up to now is no part of the next sample."""
        self._lines, self._peak = 0, sum(self._ways.values())
        self._watched_s = dict.fromkeys(self._watched_s, 0.0)
