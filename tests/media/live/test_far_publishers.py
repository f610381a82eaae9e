"""What HLS and recordings keep of a publisher far away, whose packets are lost and repeated.

The room is real; the way to it and back is played, so that the same seed gives the same fates.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import partial

import pytest

from media.live.packets import WAIT_S, wait_briefly
from media.live.source import RtpSource
from media.sfu.rtcp import RtcpIn
from tests.media.live.packets_stage import FRAME_TICKS, Camera, Reel
from tests.media.sfu.impaired_link import Conditions, Impairment
from tests.media.sfu.packets import make_rtp
from tests.media.sfu.room_stage import Stage

pytestmark = pytest.mark.unit

STEP_S = 0.005
FPS = 30
PICTURE_BYTES = 2500
RTCP_BYTES = 60
H264_TYPE = 102
FAR_S, NEAR_S = 0.14, 0.01
"""One way."""


class Uplink:
    """A publisher that repeats what it is asked for, its room, and what is packaged of it."""

    def __init__(self, delay_s: float, loss: float = 0.0, seed: int = 1) -> None:
        self.stage = Stage()
        self.session, self.feedback = self.stage.add_publisher("H264")
        conditions = Conditions(loss=loss, delay_s=delay_s)
        self.up = Impairment(f"{seed} up", conditions)
        self.down = Impairment(f"{seed} down", conditions)
        self.reel, self.brief_reel = Reel(), Reel()
        room = self.stage.room
        self.source = RtpSource(self.reel, room.request_keyframe, room.layers.get_repair_wait_s)
        self.brief = RtpSource(self.brief_reel, room.request_keyframe, wait_briefly)
        for source in (self.source, self.brief):
            room.add_listener(source, self.now_s)
        self.shot = 0
        self.is_sending = True
        self.answers_after_s = 0.0
        """From a request to its repeat, besides the way."""
        self.lost_for_good: set[int] = set()
        """Numbers of packets that never arrive, however often they are sent."""
        self._camera = Camera(index=0, timestamp=1000)
        self._wants_key = True
        self._due_s = self.now_s
        self._sent: dict[int, bytes] = {}
        self._heard = 0
        self._on_the_way: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    @property
    def now_s(self) -> float:
        return self.stage.now_s

    @property
    def next_seq(self) -> int:
        """The number of the packet that is sent next."""
        return self._camera.index

    def set_loss(self, loss: float) -> None:
        """Lose so much either way from now on."""
        for way in (self.up, self.down):
            way.conditions = Conditions(loss=loss, delay_s=way.conditions.delay_s)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until_s = self.now_s + seconds
        self.run_until(lambda: self.now_s >= until_s)

    def run_until(self, is_so: Callable[[], bool]) -> float:
        """Let time pass until something holds, a minute at most; returns when."""
        for _ in range(round(60 / STEP_S)):
            if is_so():
                return self.now_s
            self.stage.now_s += STEP_S
            self._step()
        raise AssertionError("it never came")

    def learn(self) -> None:
        """Let the room learn how long answers take; no picture is lost."""
        for _ in range(10):
            self.run(1.0)
            self.lose_next()
        self.run(1.0)
        assert self.source.packets_lost == 0

    def lose_next(self) -> None:
        """Lose the next picture's packets, the first time they are sent."""
        shot, delay_s = self.shot, self.up.conditions.delay_s
        self.run_until(lambda: self._due_s <= self.now_s + STEP_S)
        self.up.conditions = Conditions(loss=1.0, delay_s=delay_s)
        self.run_until(lambda: self.shot > shot)
        self.up.conditions = Conditions(delay_s=delay_s)

    def _step(self) -> None:
        if self.is_sending and self.now_s >= self._due_s:
            self._due_s += 1 / FPS
            self._shoot()
        while self._on_the_way and self._on_the_way[0][0] <= self.now_s:
            heapq.heappop(self._on_the_way)[2]()
        self.stage.room.flush(self.now_s)
        heard, self._heard = self._heard, len(self.feedback.facts)
        for facts in self.feedback.facts[heard:]:
            for due_s in self.down.decide(RTCP_BYTES, self.now_s):
                self._plan(due_s + self.answers_after_s, partial(self._answer, facts))

    def _plan(self, due_s: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._on_the_way, (due_s, next(self._order), do))

    def _shoot(self) -> None:
        self.shot += 1
        is_key, self._wants_key = self._wants_key, False
        for packet in self._camera.shoot(is_key=is_key, size=PICTURE_BYTES):
            kind = H264_TYPE | (0x80 if packet.marker else 0)
            self._sent[packet.index] = make_rtp(
                packet.index, packet.timestamp, packet.payload, marker_and_type=kind
            )
            self._send(packet.index)

    def _send(self, seq: int) -> None:
        for due_s in self.up.decide(len(self._sent[seq]), self.now_s):
            if seq not in self.lost_for_good:
                self._plan(due_s, partial(self._arrive, seq))

    def _arrive(self, seq: int) -> None:
        self.stage.room.apply_rtp(self.session, self._sent[seq], self.now_s)

    def _answer(self, facts: RtcpIn) -> None:
        self._wants_key |= bool(facts.keyframe_ssrcs)
        for _ssrc, seqs in facts.nacks:
            for seq in seqs:
                self._send(seq)


@pytest.mark.parametrize("loss", [0.01, 0.02])
def test_every_picture_that_a_publisher_far_away_repeats_is_kept(loss: float) -> None:
    uplink = Uplink(FAR_S, loss)
    uplink.run(30)
    uplink.set_loss(0.0)
    uplink.run(1)
    uplink.is_sending = False
    uplink.run(1)
    print(
        f"{uplink.up.lost} packets lost of {uplink.next_seq}; of {uplink.shot} pictures "
        f"{len(uplink.brief_reel.video)} would be kept by who waits for {WAIT_S} s"
    )
    assert uplink.up.lost > 20
    assert uplink.source.packets_lost == uplink.source.pictures.dropped == 0
    times = [sample.dts_ticks for sample in uplink.reel.video]
    assert times == [FRAME_TICKS * number for number in range(uplink.shot)]
    assert len(uplink.brief_reel.video) < 0.7 * uplink.shot


def test_a_repeat_after_400_ms_loses_nothing() -> None:
    uplink = Uplink(FAR_S)
    uplink.learn()
    uplink.answers_after_s = 0.12
    uplink.lose_next()
    missing = uplink.stage.room.tracks["video"].missing
    missed_s = uplink.run_until(lambda: len(missing) > 0)
    came_s = uplink.run_until(lambda: len(missing) == 0)
    assert came_s - missed_s == pytest.approx(0.4, abs=3 * STEP_S)
    uplink.is_sending = False
    uplink.run(1)
    assert len(uplink.reel.video) == uplink.shot
    assert uplink.source.packets_lost == 0
    assert uplink.brief.packets_lost > 0


def lose_for_good(uplink: Uplink) -> float:
    """Lose a packet and all its repeats; return how long it is waited for."""
    uplink.lost_for_good.add(uplink.next_seq)
    missing = uplink.stage.room.tracks["video"].missing
    missed_s = uplink.run_until(lambda: len(missing) > 0)
    given_up_s = uplink.run_until(lambda: uplink.source.packets_lost > 0)
    return given_up_s - missed_s


def test_a_publisher_nearby_is_waited_for_no_longer_than_ever() -> None:
    uplink = Uplink(NEAR_S)
    uplink.learn()
    waited_s = lose_for_good(uplink)
    assert WAIT_S - STEP_S <= waited_s <= WAIT_S + 1 / FPS + STEP_S
    assert uplink.brief.packets_lost == 1


def test_no_publisher_is_waited_for_longer_than_a_second() -> None:
    uplink = Uplink(FAR_S)
    uplink.learn()
    waited_s = lose_for_good(uplink)
    assert 1.0 - STEP_S <= waited_s <= 1.0 + 1 / FPS + STEP_S


def test_what_the_publisher_is_asked_for_no_more_is_not_waited_for() -> None:
    uplink = Uplink(FAR_S)
    uplink.run(1)
    missing = uplink.stage.room.tracks["video"].missing
    waited_s = lose_for_good(uplink)
    assert missing.given_up == 1
    assert waited_s < 0.5  # eight tries, as nothing was known of its way


def test_a_repeat_that_comes_in_one_batch_with_sound_is_not_given_up() -> None:
    """Listeners hear of sound first: then the repeat is missing no more, and not told yet."""
    stage, reel, camera = Stage(), Reel(), Camera(index=0)
    session, _ = stage.add_publisher("H264")
    room = stage.room
    source = RtpSource(reel, room.request_keyframe, room.layers.get_repair_wait_s)
    room.add_listener(source, stage.now_s)
    first, repeated, last = camera.shoot(is_key=True), camera.shoot(), camera.shoot()
    for batch in ([*first, *last], repeated):
        for packet in batch:
            kind = H264_TYPE | (0x80 if packet.marker else 0)
            plain = make_rtp(packet.index, packet.timestamp, packet.payload, marker_and_type=kind)
            room.apply_rtp(session, plain, stage.now_s)
        stage.sound(session)
    assert (len(reel.video), source.packets_lost) == (3, 0)


def test_pictures_go_on_at_the_next_keyframe() -> None:
    uplink = Uplink(FAR_S)
    uplink.learn()
    lose_for_good(uplink)
    uplink.run(2)
    times = [sample.dts_ticks for sample in uplink.reel.video]
    holes = [b - a for a, b in itertools.pairwise(times) if b - a != FRAME_TICKS]
    assert len(holes) == 1
    assert uplink.reel.video[-1].dts_ticks > (uplink.shot - 10) * FRAME_TICKS
