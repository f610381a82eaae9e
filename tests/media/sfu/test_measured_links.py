"""What a viewer's link carries is told by when packets arrive, and decides what the viewer gets.

The room is real; the link and the browser's reports are played, so that a minute takes a moment.
"""

from __future__ import annotations

import heapq
import itertools

import pytest

from media.sfu.arrivals import Arrivals, build_arrival_fci
from media.sfu.rtcp import build_arrival_feedback
from media.sfu.rtp import find_extension, parse_rtp
from media.sfu.session import ViewerSession
from tests.media.sfu.impaired_link import Conditions, Impairment
from tests.media.sfu.room_stage import NUMBER_EXTENSION, Stage

pytestmark = pytest.mark.unit

PARTS = {"q": 1, "h": 3, "f": 8}
FILLING = bytes(1000)  # 250 kbit/s, 0.75 and 2 Mbit/s
OVERHEAD_BYTES = 16 + 28  # the tag; UDP and IP
CLOCK_AHEAD_S = 1000.0
AMPLE = Conditions(delay_s=0.02)


class Watched:
    """A simulcast publisher, a viewer behind a link, and time."""

    def __init__(self, conditions: Conditions, seed: int = 1) -> None:
        self.stage = Stage()
        self.publisher = self.stage.add_simulcast()
        self.publisher.parts, self.publisher.filling = PARTS, FILLING
        self.link = Impairment(seed, conditions)
        self.publisher.send("q", "h", "f")
        self.viewer: ViewerSession = self.stage.add_viewer(numbers=True)
        self.changes: list[tuple[float, str | None]] = []
        self._arrivals = Arrivals()
        self._on_the_way: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()
        self._answered = dict.fromkeys(PARTS, 0)

    @property
    def playing(self) -> str | None:
        return self.stage.room.find_playing(self.viewer)

    def run(self, seconds: float) -> None:
        """Let time pass; the publisher answers every wish for a keyframe."""
        for _ in range(round(seconds * 30)):
            wishes = {rid: self.publisher.count_wishes(rid) for rid in PARTS}
            wanted = [rid for rid in PARTS if wishes[rid] > self._answered[rid]]
            self._answered = wishes
            self.publisher.send(*wanted)
            self.stage.room.measure_rates(self.stage.now_s)
            self._send()
            self._report()
            if not self.changes or self.changes[-1][1] != self.playing:
                self.changes.append((self.stage.now_s, self.playing))

    def _send(self) -> None:
        for packet in (packet for job in self.stage.egress.jobs for packet in job.packets):
            for due_s in self.link.decide(packet.size_bytes + OVERHEAD_BYTES, self.stage.now_s):
                entry = (due_s, next(self._order), packet.plaintext)
                heapq.heappush(self._on_the_way, entry)
        self.stage.egress.jobs.clear()

    def _report(self) -> None:
        while self._on_the_way and self._on_the_way[0][0] <= self.stage.now_s:
            due_s, _, packet = heapq.heappop(self._on_the_way)
            value = find_extension(packet, NUMBER_EXTENSION)
            assert value is not None
            self._arrivals.note(int.from_bytes(value, "big"), due_s + CLOCK_AHEAD_S)
        for fci in self._arrivals.take_feedback(self.stage.now_s):
            feedback = build_arrival_feedback(fci, 7)
            self.stage.room.apply_rtcp(self.viewer, feedback, self.stage.now_s)


def test_a_link_of_600_kbit_gets_the_small_picture_in_5_s_and_the_large_one_back() -> None:
    watched = Watched(AMPLE)
    watched.run(4)
    assert watched.playing == "f"
    narrowed_s = watched.stage.now_s
    watched.link.conditions = Conditions(delay_s=0.02, rate_bps=600_000)
    watched.run(5)
    assert watched.playing == "q", watched.changes
    widened_s = watched.stage.now_s
    watched.link.conditions = AMPLE
    watched.run(20)
    fell_s = next(at_s for at_s, rid in watched.changes if rid == "q")
    back_s = next(at_s for at_s, rid in watched.changes if rid == "f" and at_s > widened_s)
    print(f"down in {fell_s - narrowed_s:.1f} s, up in {back_s - widened_s:.1f}")
    assert watched.playing == "f"


def test_the_number_of_a_packet_is_its_own_and_a_repeat_has_the_same_bytes() -> None:
    watched = Watched(AMPLE)
    stage, viewer = watched.stage, watched.viewer
    for _ in range(3):
        watched.publisher.send()
    sent = [text for text in stage.egress.list_sent(viewer) if parse_rtp(text)]
    numbers = [find_extension(text, NUMBER_EXTENSION) for text in sent]
    assert numbers == [text[2:4] for text in sent]
    stage.egress.jobs.clear()
    stage.nack(viewer, [fields.seq for fields in map(parse_rtp, sent[-5:]) if fields])
    assert stage.egress.list_sent(viewer) == sent[-5:]
    other = stage.add_viewer()  # took no numbers, and has none
    watched.publisher.send()
    assert {text[0] for text in stage.egress.list_sent(other)} == {0x80}


def test_reports_of_what_was_never_sent_change_nothing() -> None:
    watched = Watched(AMPLE)
    watched.run(3)
    before = watched.viewer.link.estimate_bps
    number = watched.stage.room.tracks["video"].next_index
    dropped = watched.stage.room.get_stats().packets_dropped
    for base in (number + 500, number - 20_000, 0):
        fci = build_arrival_fci(base & 0xFFFF, 0, [10, 20, 30])
        watched.stage.room.apply_rtcp(
            watched.viewer, build_arrival_feedback(fci, 7), watched.stage.now_s
        )
    watched.stage.room.apply_rtcp(
        watched.viewer, build_arrival_feedback(bytes(8), 7), watched.stage.now_s
    )
    assert watched.viewer.link.estimate_bps == before
    assert watched.stage.room.get_stats().packets_dropped == dropped + 1
