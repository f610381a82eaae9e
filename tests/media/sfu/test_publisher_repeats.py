"""Publishers who repeat, and pad, in a stream of their own (RFC 4588)."""

from __future__ import annotations

import pytest

from media.sfu.answer import build_answer
from media.sfu.codecs import choose_publish
from media.sfu.sdp import REPAIRED_ID, parse_offer
from media.sfu.session import PublisherSession
from tests.media.sfu import packets as p
from tests.media.sfu.fuzz import OFFERS, TRANSPORT
from tests.media.sfu.room_stage import (
    REPAIRED_EXTENSION,
    Stage,
    get_payloads,
    get_steps,
    make_layer_payload,
)

pytestmark = pytest.mark.unit

RTX = 97
RTX_SSRC = 70
DELTA_A, DELTA_B = b"\x10\x01a", b"\x10\x01b"


@pytest.fixture
def stage() -> Stage:
    return Stage()


def read_offer(name: str) -> str:
    return (OFFERS / f"{name}.sdp").read_text()


def build_publish_answer(sdp: str) -> str:
    offer = parse_offer(sdp)
    return build_answer(offer, choose_publish(offer), TRANSPORT, None)


def repeat(
    stage: Stage, publisher: PublisherSession, seq: int, payload: bytes, rid: str = ""
) -> None:
    """Deliver a repeat, with the name of what it repeats where there is one."""
    stage.seq += 1
    body = (seq & 0xFFFF).to_bytes(2, "big") + payload if payload else b""
    ssrc = RTX_SSRC + len(rid)
    packet = p.make_rtp(stage.seq, seq * 3000, body, ssrc=ssrc, marker_and_type=0x80 | RTX)
    if rid:
        packet = p.add_extension(packet, REPAIRED_EXTENSION, rid.encode())
    stage.room.apply_rtp(publisher, packet, stage.now_s)
    stage.room.flush(stage.now_s)


def lose_one(stage: Stage, publisher: PublisherSession) -> int:
    """Deliver a keyframe and what follows it but the next packet; return that one's number."""
    stage.video(publisher, p.VP8_KEY)
    stage.seq += 1
    lost = stage.seq
    stage.video(publisher, DELTA_B)
    return lost


def test_a_repeat_takes_the_place_of_what_it_repeats(stage: Stage) -> None:
    publisher, _ = stage.add_publisher(rtx=True)
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.egress.jobs.clear()
    stage.seq += 1
    lost = stage.seq
    stage.video(publisher, DELTA_B)
    repeat(stage, publisher, lost, DELTA_A)
    later, earlier = stage.list_video(viewer)
    assert (later.payload, earlier.payload) == (DELTA_B, DELTA_A)
    assert get_steps([earlier, later]) == {1}
    assert later.timestamp - earlier.timestamp == 3000
    assert earlier.marker == 0x80
    assert stage.room.get_stats().packets_lost == 0


@pytest.mark.parametrize("rtx", [False, True])
def test_what_comes_late_is_waited_for_where_it_can_be_told_from_repeats(
    stage: Stage, *, rtx: bool
) -> None:
    publisher, feedback = stage.add_publisher(rtx=rtx)
    stage.video(publisher, p.VP8_KEY)
    feedback.facts.clear()
    for _ in range(2):
        stage.seq += 2
        stage.video(publisher, DELTA_B)
        stage.seq -= 3
        stage.now_s += 0.02
        stage.video(publisher, DELTA_A, DELTA_A)
        stage.seq += 1
        stage.now_s += 0.1
        stage.room.flush(stage.now_s)
    asked = [seqs for facts in feedback.facts for _, seqs in facts.nacks]
    assert len(asked) == (1 if rtx else 2)


def test_the_last_packet_before_a_pause_may_come_as_a_repeat_alone(stage: Stage) -> None:
    publisher, _ = stage.add_publisher(rtx=True)
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.seq += 1
    repeat(stage, publisher, stage.seq, DELTA_A)
    assert get_payloads(stage.list_video(viewer)) == [p.VP8_KEY, DELTA_A]


def test_padding_and_repeats_of_what_came_are_neither_forwarded_nor_counted(stage: Stage) -> None:
    publisher, _ = stage.add_publisher(rtx=True)
    lost = lose_one(stage, publisher)
    viewer = stage.add_viewer()
    stage.egress.jobs.clear()
    before = stage.room.get_stats()
    repeat(stage, publisher, 0, b"")
    repeat(stage, publisher, lost + 1, DELTA_B)
    repeat(stage, publisher, lost + 20_000, DELTA_B)
    assert stage.list_video(viewer) == []
    assert stage.room.get_stats() == before


def test_a_repeat_before_anything_came_begins_nothing(stage: Stage) -> None:
    publisher, _ = stage.add_publisher(rtx=True)
    repeat(stage, publisher, 5, p.VP8_KEY)
    assert stage.room.tracks["video"].is_awaiting_source
    stage.video(publisher, p.VP8_KEY)
    assert stage.room.tracks["video"].source_ssrc == 7


def test_when_padding_and_repeats_came_is_told_as_of_all_packets(stage: Stage) -> None:
    publisher, _ = stage.add_publisher(rtx=True)
    publisher.transport_seq = 4
    stage.video(publisher, p.VP8_KEY)
    for number in (1, 2):
        packet = p.make_rtp(number, 0, b"", ssrc=RTX_SSRC, marker_and_type=RTX)
        numbered = p.add_extension(packet, 4, number.to_bytes(2, "big"))
        stage.room.apply_rtp(publisher, numbered, stage.now_s)
    (fci,) = publisher.arrivals.take_feedback(9.0)
    assert int.from_bytes(fci[2:4], "big") == 2


def test_repeats_of_several_encodings_find_theirs_by_its_name(stage: Stage) -> None:
    publisher = stage.add_simulcast(("q", "f"))
    publisher.send("q", "f")
    viewer = stage.add_viewer()
    publisher.send()
    stage.egress.jobs.clear()
    (seq,) = [publisher.seqs["f"] + 1]
    publisher.seqs["f"] = seq  # lost
    publisher.send()
    lost = make_layer_payload(1, 3, is_keyframe=False)
    repeat(stage, publisher.session, seq, lost)
    assert len(stage.list_video(viewer)) == 1, "nobody knows whose it is"
    repeat(stage, publisher.session, seq, lost, rid="f")
    assert [fields.payload[-2] for fields in stage.list_video(viewer)] == [1, 1]


def test_without_an_agreement_a_repeats_payload_type_is_a_strangers(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    lost = lose_one(stage, publisher)
    repeat(stage, publisher, lost, DELTA_A)
    assert stage.room.get_stats().packets_dropped == 1


@pytest.mark.parametrize(
    ("name", "number"), [("chromium_publish", 109), ("firefox_publish", 127), ("obs_publish", None)]
)
def test_a_publisher_is_to_repeat_in_a_stream_of_its_own_where_it_can(
    name: str, number: int | None
) -> None:
    offer = parse_offer(read_offer(name))
    chosen = choose_publish(offer)
    payload_type = chosen["video"].codec.payload_type
    assert chosen["video"].publisher_rtx == number
    answer = build_publish_answer(read_offer(name))
    formats = f"{payload_type} {number}" if number else f"{payload_type}"
    assert f"SAVPF {formats}\r\n" in answer
    repeating = f"a=rtpmap:{number} rtx/90000\r\na=fmtp:{number} apt={payload_type}\r\n"
    assert (repeating in answer) == ("rtx" in answer) == (number is not None)


def test_several_encodings_repeat_in_streams_of_their_own_where_those_say_whose_they_are() -> None:
    offer = read_offer("chromium_simulcast").replace("SAVPF 102", "SAVPF 102 120")
    offer += "a=rtpmap:120 rtx/90000\r\na=fmtp:120 apt=108\r\n"
    answer = build_publish_answer(offer)
    assert f"a=extmap:11 {REPAIRED_ID}\r\n" in answer
    assert "a=rtpmap:120 rtx/90000\r\na=fmtp:120 apt=108\r\n" in answer
    answer = build_publish_answer(offer.replace(REPAIRED_ID, "urn:other"))
    assert "a=simulcast:recv q;f\r\n" in answer
    assert "rtx" not in answer
