"""Both ends of a relay: what a slow link loses, and whose packets a room takes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from media.relay.inward import RelayIn
from media.relay.messages import (
    RelayBegun,
    RelayLayerPackets,
    RelayLayers,
    RelayPackets,
    RelayReport,
)
from media.relay.outward import MESSAGE_PACKETS_MAX, QUEUED_BYTES_MAX, RelayOut
from media.sfu.layer_selector import LayerFact
from media.sfu.relayed_layers import FIRST_SSRC, RelayedLayers
from media.sfu.rtcp import build_nack, build_pli
from media.sfu.rtp import parse_rtp
from media.sfu.sdp import OfferedCodec
from media.sfu.session import LocalPublisher
from media.sfu.track import TrackPacket

pytestmark = pytest.mark.unit

ROOM = uuid.uuid4()
VP8 = {"video": OfferedCodec(96, "VP8", 90000, None, (), frozenset())}
H264 = {"video": OfferedCodec(102, "H264", 90000, None, (), frozenset())}


@dataclass
class RecordingPipe:
    """Keeps what is sent."""

    queued_bytes: int = 0
    sent: list[object] = field(default_factory=list)

    def send(self, message: object) -> None:
        self.sent.append(message)

    def take_payloads(self) -> list[bytes]:
        """Return what packets were sent since the last call."""
        messages, self.sent = self.sent, []
        packets = [p for m in messages if isinstance(m, RelayPackets) for p in m.packets]
        return [fields.payload for p in packets if (fields := parse_rtp(p)) is not None]


def make_packet(index: int, *, is_keyframe: bool = False) -> TrackPacket:
    return TrackPacket(index, 0x80, index * 3000, b"%d" % index, is_keyframe)


def test_packets_go_out_as_rtp_with_their_own_numbers_in_messages_that_fit() -> None:
    pipe = RecordingPipe()
    relay = RelayOut(ROOM, pipe, lambda _rid: None)
    relay.begin("publisher", VP8)
    relay.add_packets("video", [make_packet(index) for index in range(65_530, 65_730)], 0.0)
    relay.add_packets("audio", [make_packet(1)], 0.0)  # the publisher announced none
    relay.apply_report("video", 1 << 40, 7)
    begun, *messages, report = pipe.sent
    assert begun == RelayBegun(ROOM, "publisher", VP8)
    assert report == RelayReport(ROOM, "video", 1 << 40, 7)
    assert all(isinstance(m, RelayPackets) and m.stream == "video" for m in messages)
    assert max(len(m.packets) for m in messages) == MESSAGE_PACKETS_MAX
    fields = [parse_rtp(packet) for m in messages for packet in m.packets]
    assert [f.seq for f in fields] == [index & 0xFFFF for index in range(65_530, 65_730)]
    assert [f.payload for f in fields] == [b"%d" % index for index in range(65_530, 65_730)]
    assert {(f.payload_type, f.marker) for f in fields} == {(96, 0x80)}


def test_a_link_that_does_not_keep_up_loses_pictures_up_to_a_keyframe() -> None:
    pipe, wishes = RecordingPipe(), []
    relay = RelayOut(ROOM, pipe, wishes.append)
    relay.begin("publisher", VP8)
    relay.add_packets("video", [make_packet(0, is_keyframe=True)], 0.0)
    pipe.queued_bytes = QUEUED_BYTES_MAX + 1
    relay.add_packets("video", [make_packet(1)], 0.0)
    pipe.queued_bytes = QUEUED_BYTES_MAX // 2
    relay.add_packets("video", [make_packet(2, is_keyframe=True)], 0.0)  # not empty enough yet
    assert pipe.take_payloads() == [b"0"]
    assert not wishes
    pipe.queued_bytes = 0
    relay.add_packets("video", [make_packet(3)], 0.0)
    assert (pipe.take_payloads(), wishes) == ([], [""])
    relay.add_packets("video", [make_packet(4), make_packet(5, is_keyframe=True)], 0.0)
    relay.add_packets("video", [make_packet(6)], 0.0)
    assert pipe.take_payloads() == [b"5", b"6"]
    assert (relay.counts.packets, relay.counts.dropped) == (3, 4)


def test_an_encoding_goes_out_from_a_keyframe_on_while_it_is_wanted() -> None:
    pipe, wishes = RecordingPipe(), []
    relay = RelayOut(ROOM, pipe, wishes.append)
    relay.begin("publisher", VP8, ("q", "f"))
    assert relay.want_layers(["q", "unknown"]) == ["q"]
    pipe.sent.clear()
    relay.add_layer_packets("f", [make_packet(0, is_keyframe=True)], 0)
    relay.add_layer_packets("q", [], 5)
    assert (pipe.sent, wishes) == ([], ["q"])
    relay.add_layer_packets("q", [make_packet(1), make_packet(2, is_keyframe=True)], 5)
    relay.add_layer_packets("q", [make_packet(3)], 6)
    relay.want_layers([])
    relay.add_layer_packets("q", [make_packet(4)], 6)
    relay.want_layers(["q"])
    relay.add_layer_packets("q", [make_packet(5, is_keyframe=True)], 7)
    messages = [m for m in pipe.sent if isinstance(m, RelayLayerPackets)]
    told = [(m.rid, m.clock_shift, m.is_first) for m in messages]
    assert told == [("q", 5, True), ("q", 6, False), ("q", 7, True)]
    found = [parse_rtp(packet) for m in messages for packet in m.packets]
    assert [(f.payload, f.ssrc) for f in found if f] == [
        (n, FIRST_SSRC) for n in (b"2", b"3", b"5")
    ]
    assert relay.counts.dropped == 0


def test_a_link_that_does_not_keep_up_loses_each_encoding_up_to_its_own_keyframe() -> None:
    pipe, wishes = RecordingPipe(), []
    relay = RelayOut(ROOM, pipe, wishes.append)
    relay.begin("publisher", VP8, ("q", "f"))
    relay.want_layers(["q"])
    relay.add_layer_packets("q", [make_packet(0, is_keyframe=True)], 0)
    pipe.queued_bytes = QUEUED_BYTES_MAX + 1
    relay.add_layer_packets("q", [make_packet(1)], 0)
    pipe.queued_bytes = 0
    relay.add_packets("video", [make_packet(2, is_keyframe=True)], 0.0)
    relay.add_layer_packets("q", [make_packet(3)], 0)
    assert (wishes, relay.counts.dropped) == (["q"], 2)
    assert pipe.take_payloads() == [b"2"]


def test_what_the_encodings_are_is_said_when_it_changed_and_to_each_publisher_anew() -> None:
    pipe = RecordingPipe()
    relay = RelayOut(ROOM, pipe, lambda _rid: None)
    facts = [LayerFact("q", 320, 180, 1, is_active=True)]
    for publisher in ("first", "second"):
        relay.begin(publisher, VP8, ("q", "f"))
        relay.apply_layers("q", facts)
        relay.apply_layers("q", facts)
        assert pipe.sent == [
            RelayBegun(ROOM, publisher, VP8, ["q", "f"]),
            RelayLayers(ROOM, "q", facts),
        ]
        pipe.sent.clear()
    relay.apply_layers("f", facts)
    assert pipe.sent == [RelayLayers(ROOM, "f", facts)]


@dataclass
class PlayedPlane:
    """A plane with one room."""

    publisher: LocalPublisher | None = None
    fed: list[tuple[str, tuple[bytes, ...]]] = field(default_factory=list)

    def publish_local(
        self,
        room_id: str,
        codecs: Mapping[str, OfferedCodec],
        on_feedback: Callable[[bytes], None] | None = None,
        layers: RelayedLayers | None = None,
    ) -> LocalPublisher:
        if self.publisher is not None:
            self.publisher.is_open = False
        self.publisher = LocalPublisher(room_id, codecs, 0.0, on_feedback, layers)
        return self.publisher

    def feed(self, session: LocalPublisher, rtp: Sequence[bytes], rtcp: bytes = b"") -> None:
        self.fed.append((session.session_id, tuple(rtp)))

    def close_session(self, session_id: str) -> bool:
        assert self.publisher is not None
        self.publisher.is_open = False
        self.publisher = None
        return True

    def get_publisher_id(self, room_id: str) -> str | None:
        return None if self.publisher is None else self.publisher.session_id


def test_another_publisher_with_the_same_codecs_goes_on_in_the_same_session() -> None:
    plane = PlayedPlane()
    relay = RelayIn("r", plane, lambda _rid: None, lambda *_: None)
    assert relay.begin("first", VP8)
    session = relay.session_id
    assert relay.begin("second", VP8)
    assert (relay.session_id, relay.publisher) == (session, "second")
    assert relay.begin("third", H264)
    assert relay.session_id != session
    relay.end()
    assert (plane.publisher, relay.publisher, relay.is_running) == (None, "", False)
    relay.add_packets([b"late"])
    assert plane.fed == []


def test_encodings_are_of_one_publisher_and_so_is_the_session() -> None:
    plane, wanted = PlayedPlane(), []
    relay = RelayIn("r", plane, lambda _rid: None, lambda *wish: wanted.append(wish))
    sessions = []
    for publisher, rids in (("first", ()), ("second", ("q", "f")), ("third", ("q", "f"))):
        assert relay.begin(publisher, VP8, rids)
        sessions.append(relay.session_id)
        layers = None if plane.publisher is None else plane.publisher.layers
        if layers is not None:
            layers.note_wanted(["q"], 0.0)
    assert len(set(sessions)) == 3
    assert wanted == [("second", ["q"]), ("third", ["q"])]


def test_a_publisher_at_this_edge_is_never_replaced_by_a_relay() -> None:
    plane = PlayedPlane()
    relay = RelayIn("r", plane, lambda _rid: None, lambda *_: None)
    plane.publish_local("r", VP8)
    assert not relay.begin("far", VP8)
    assert relay.session_id is None


def test_of_feedback_only_wishes_for_keyframes_go_back() -> None:
    plane, wishes = PlayedPlane(), []
    relay = RelayIn("r", plane, wishes.append, lambda *_: None)
    relay.begin("far", VP8)
    assert plane.publisher is not None
    plane.publisher.send_rtcp(build_nack(2, [1, 2, 3]))
    assert wishes == []
    plane.publisher.send_rtcp(build_pli(2))
    assert wishes == [""]
