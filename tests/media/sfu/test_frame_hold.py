"""A frame's packets leave together: at once when it is whole, a moment later when it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from media.sfu.frame_hold import HOLD_S, FrameHold
from tests.media.sfu import packets as p
from tests.media.sfu.room_stage import Stage, get_payloads

pytestmark = pytest.mark.unit


@dataclass
class Timers:
    """A loop whose timers run by hand."""

    waiting: list[Callable[[], None]] = field(default_factory=list)

    def run_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        assert delay_s == HOLD_S
        self.waiting.append(callback)

    def run(self) -> None:
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()


class Course:
    """A room with a viewer, fed packet by packet."""

    def __init__(self) -> None:
        self.stage, self.timers = Stage(), Timers()
        self.hold = FrameHold(lambda: self.stage.now_s, self.timers.run_later)
        self.publisher, _ = self.stage.add_publisher()
        self.stage.video(self.publisher, p.VP8_KEY)
        self.viewer = self.stage.add_viewer()
        self.stage.egress.jobs.clear()

    def deliver(self, payload: bytes, *, is_last: bool = False) -> None:
        stage = self.stage
        stage.seq += 1
        marker = 0x80 if is_last else 0
        packet = p.make_rtp(stage.seq, 9000, payload, marker_and_type=marker | 96)
        stage.room.apply_rtp(self.publisher, packet, stage.now_s)
        self.hold.flush([stage.room])

    @property
    def sent(self) -> list[bytes]:
        return get_payloads(self.stage.list_video(self.viewer))


@pytest.fixture
def course() -> Course:
    return Course()


def test_a_whole_frame_leaves_at_once_as_one_job(course: Course) -> None:
    course.deliver(b"\x10\x01a")
    course.deliver(b"\x00b")
    assert course.sent == []
    course.deliver(b"\x00c", is_last=True)
    assert course.sent == [b"\x10\x01a", b"\x00b", b"\x00c"]
    assert len(course.stage.egress.jobs) == 1
    course.timers.run()
    assert len(course.stage.egress.jobs) == 1


def test_what_stays_incomplete_leaves_after_a_moment_with_one_timer(course: Course) -> None:
    course.deliver(b"\x10\x01a")
    course.deliver(b"\x00b")
    assert len(course.timers.waiting) == 1
    course.timers.run()
    assert course.sent == [b"\x10\x01a", b"\x00b"]
    course.deliver(b"\x00c")
    course.timers.run()
    assert course.sent[-1] == b"\x00c"


def test_sound_never_waits_for_a_picture(course: Course) -> None:
    course.deliver(b"\x10\x01a")
    packet = p.make_rtp(1, 1, b"opus", ssrc=8, marker_and_type=111)
    course.stage.room.apply_rtp(course.publisher, packet, course.stage.now_s)
    course.hold.flush([course.stage.room])
    assert course.sent == [b"\x10\x01a"]
    assert len(course.stage.egress.list_sent(course.viewer)) == 2
