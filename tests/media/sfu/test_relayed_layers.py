"""The encodings of a publisher at another edge, as a room there has them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from media.sfu.layer_selector import LayerFact
from media.sfu.layer_taps import LayerListener
from media.sfu.relayed_layers import FIRST_SSRC, LAYERS_MAX, UNWANTED_S, RelayedLayers
from media.sfu.rtcp import parse_rtcp
from media.sfu.rtp import signed_time_distance
from media.sfu.sdp import OfferedCodec
from media.sfu.session import LocalPublisher, ViewerSession
from media.sfu.track import TrackPacket
from tests.media.sfu import packets as p
from tests.media.sfu.room_stage import Stage, get_steps, make_layer_payload

pytestmark = pytest.mark.unit

VP8 = {"video": OfferedCodec(96, "VP8", 90000, None, (), frozenset())}
RIDS = ("q", "h", "f")
FACTS = tuple(
    LayerFact(rid, 1280 >> at, 720 >> at, 2_000_000 >> 2 * at, is_active=True)
    for at, rid in enumerate("fhq")
)
MAIN_SSRC = 2
MAIN_TIME, LAYER_TIME = 1_000_000, 77
SHIFT = MAIN_TIME - LAYER_TIME


class Relay:
    """What comes from the origin, by hand; frames are a thirtieth of a second apart."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.wishes: list[list[str]] = []
        self.asked: list[int] = []
        self.layers = RelayedLayers(RIDS, lambda rids: self.wishes.append(list(rids)))
        self.session = LocalPublisher("r", VP8, 0.0, self._note_feedback, self.layers)
        self.stage.room.promote_publisher(self.session, self.stage.now_s)
        self.layers.apply_facts("f", FACTS)
        self.frame = 0
        self.seqs = {"": 500, "q": 65_530}
        self.send(is_keyframe=True)

    def send(self, *rids: str, is_keyframe: bool = False) -> None:
        """Bring a frame of the main stream and of some encodings."""
        self.frame += 1
        self.stage.now_s += 1 / 30
        for rid in ("", *rids):
            self.seqs[rid] += 1
            number = RIDS.index(rid or "f")
            payload = make_layer_payload(number, self.frame, is_keyframe=is_keyframe)
            start, ssrc = (LAYER_TIME, FIRST_SSRC + number) if rid else (MAIN_TIME, MAIN_SSRC)
            time = start + 3000 * self.frame
            packet = p.make_rtp(self.seqs[rid], time, payload, ssrc=ssrc, marker_and_type=0x80 | 96)
            self.stage.room.feed(self.session, [packet], b"", self.stage.now_s)

    def pin(self, viewer: ViewerSession, rid: str | None) -> None:
        viewer.selector.pinned = rid
        self.stage.room.choose_layers(self.stage.now_s)

    def begin(self, rid: str) -> None:
        """Let an encoding begin anew."""
        self.layers.begin(rid)
        self.layers.note_clock(rid, SHIFT)

    def _note_feedback(self, packet: bytes) -> None:
        facts = parse_rtcp(packet)
        assert facts is not None
        self.asked += facts.keyframe_ssrcs


@pytest.fixture
def relay() -> Relay:
    return Relay()


def test_an_encoding_is_wanted_from_its_first_viewer_to_a_while_after_its_last(
    relay: Relay,
) -> None:
    viewer, other = relay.stage.add_viewer(), relay.stage.add_viewer()
    relay.send()
    assert relay.wishes == []
    relay.pin(viewer, "q")
    relay.pin(other, "q")
    assert relay.wishes == [["q"]]
    relay.pin(other, "f")
    relay.stage.room.remove_viewer(viewer)
    relay.stage.now_s += UNWANTED_S / 2
    relay.send()
    assert relay.wishes == [["q"]]
    relay.stage.now_s += UNWANTED_S / 2
    relay.send()
    assert relay.wishes == [["q"], []]


def test_a_viewer_changes_over_without_a_hole_or_a_step_in_time(relay: Relay) -> None:
    viewer = relay.stage.add_viewer()
    relay.send()
    relay.pin(viewer, "q")
    for _ in range(2):  # had, not wanted any more, and had again under other numbers
        relay.begin("q")
        relay.send("q", is_keyframe=True)
        relay.send("q")
        assert relay.stage.room.find_playing(viewer) == "q"
        relay.pin(viewer, "f")
        relay.send(is_keyframe=True)
        assert relay.stage.room.find_playing(viewer) == "f"
        relay.seqs["q"] += 5000
        relay.stage.now_s += UNWANTED_S
        relay.send()
        relay.pin(viewer, "q")
    found = relay.stage.list_video(viewer)
    assert "".join("qhf"[f.payload[-2]] for f in found) == "fffqqfffqqff"
    assert get_steps(found) == {1}
    times = [signed_time_distance(b.timestamp, a.timestamp) for a, b in itertools.pairwise(found)]
    assert set(times) == {3000, 1, 2999}  # an encoding repeats the picture that it takes over at


def test_wishes_for_keyframes_name_the_encoding_once_a_second(relay: Relay) -> None:
    viewer = relay.stage.add_viewer()
    relay.pin(viewer, "q")
    relay.begin("q")
    relay.send("q", is_keyframe=True)
    relay.asked.clear()
    for _ in range(60):
        relay.stage.room.request_keyframe("q")
        relay.send("q")
    assert 2 <= relay.asked.count(FIRST_SSRC) <= 3
    assert set(relay.asked) == {FIRST_SSRC}


def test_packets_of_an_encoding_that_nobody_wants_are_not_kept(relay: Relay) -> None:
    viewer = relay.stage.add_viewer()
    relay.send("q", is_keyframe=True)
    assert relay.layers.tracks["q"].packets_in == 0
    assert [f.payload[-2] for f in relay.stage.list_video(viewer)] == [2, 2]


def test_of_what_the_origin_says_only_announced_encodings_count() -> None:
    layers = RelayedLayers([str(number) for number in range(9)], lambda _: None)
    layers.use(Stage().room.tracks["video"])
    layers.apply_facts("0", [LayerFact(str(n), 1, 1, 1, is_active=True) for n in range(9)])
    assert [fact.rid for fact in layers.list_facts(0.0)] == ["0", "1", "2", "3"][:LAYERS_MAX]


class Listener(LayerListener):
    """A relay to yet another edge."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int, int]] = []

    def add_layer_packets(self, rid: str, packets: Sequence[TrackPacket], clock_shift: int) -> None:
        self.heard.append((rid, len(packets), clock_shift))

    def apply_layers(self, main_rid: str, facts: Sequence[LayerFact]) -> None:
        assert (main_rid, tuple(facts)) == ("f", FACTS)


def test_a_relay_behind_this_one_has_what_it_wants_from_the_last_keyframe_on(
    relay: Relay,
) -> None:
    listener, room = Listener(), relay.stage.room
    room.layers.add_listener(listener)
    room.layers.want(listener, ["q", "x"], relay.stage.now_s)
    assert (relay.wishes, listener.heard) == ([["q"]], [("q", 0, 0)])
    relay.begin("q")
    relay.send("q", is_keyframe=True)
    relay.send("q")
    late = Listener()
    room.layers.add_listener(late)
    room.layers.want(late, ["q"], relay.stage.now_s)
    assert listener.heard[1:] == [("q", 1, SHIFT)] * 2
    assert late.heard == [("q", 2, SHIFT)]
    for one in (listener, late):
        room.layers.remove_listener(one)
    relay.stage.now_s += UNWANTED_S + 1
    relay.send()
    assert relay.wishes[-1] == []
