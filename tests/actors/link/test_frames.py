"""Frames and the hello, without sockets."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.link.frames import (
    ENCODER,
    FRAME_BYTES_MAX,
    HEADER_BYTES,
    FrameRefused,
    LinkPeer,
    LinkRefused,
    check_proof,
    decode_frame,
    encode_frames,
    make_decoder,
    make_hello,
    prove,
    read_hello,
    read_length,
)

pytestmark = pytest.mark.unit

HOST = LinkPeer("host", "host-0", 7)
EDGE = LinkPeer("edge", "edge-0", 8)


class Note(msgspec.Struct, tag="note", array_like=True):
    """A message for these tests."""

    text: str


class Order(msgspec.Struct, tag="order", array_like=True):
    """Another one."""

    number: int


@given(st.lists(st.text(max_size=50), max_size=30))
def test_messages_come_out_as_they_went_in(texts: list[str]) -> None:
    (data,) = encode_frames(3, [Note(text) for text in texts])
    assert read_length(data[:HEADER_BYTES]) == len(data) - HEADER_BYTES
    envelope = decode_frame(make_decoder(Note), data[HEADER_BYTES:])
    assert (envelope.incarnation, envelope.messages) == (3, [Note(text) for text in texts])


def test_a_large_batch_is_split_and_keeps_its_order() -> None:
    notes = [Note(str(number) + "x" * 100_000) for number in range(40)]
    frames = encode_frames(1, notes)
    assert len(frames) > 1
    assert all(len(data) <= FRAME_BYTES_MAX + HEADER_BYTES for data in frames)
    decoder = make_decoder(Note)
    received = [m for data in frames for m in decode_frame(decoder, data[HEADER_BYTES:]).messages]
    assert received == notes


def test_a_giant_message_is_refused_by_its_sender() -> None:
    with pytest.raises(FrameRefused):
        encode_frames(1, [Note("x" * (FRAME_BYTES_MAX + 1))])


def test_an_announced_length_over_the_limit_is_refused() -> None:
    with pytest.raises(FrameRefused):
        read_length((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))


def test_a_type_that_the_role_may_not_send_is_refused() -> None:
    (data,) = encode_frames(1, [Order(1)])
    with pytest.raises(FrameRefused):
        decode_frame(make_decoder(Note), data[HEADER_BYTES:])
    decode_frame(make_decoder(Note | Order), data[HEADER_BYTES:])


@given(st.binary(max_size=200))
def test_noise_is_refused_and_never_raises_anything_else(noise: bytes) -> None:
    decoder = make_decoder(Note | Order)
    try:
        decode_frame(decoder, noise)
    except FrameRefused:
        return


def test_a_proof_counts_only_for_its_side_key_and_hello() -> None:
    opening, answer = make_hello(EDGE), make_hello(HOST)
    proof = prove("key", "opener", opening, answer)
    check_proof("key", "opener", opening, answer, proof)
    for key, side, first in (
        ("other", "opener", opening),
        ("key", "answerer", opening),
        ("key", "opener", make_hello(EDGE)),
    ):
        with pytest.raises(LinkRefused):
            check_proof(key, side, first, answer, proof)


def test_a_hello_of_another_version_is_refused() -> None:
    hello = msgspec.structs.replace(make_hello(EDGE), version=99)
    with pytest.raises(LinkRefused):
        read_hello(ENCODER.encode(hello))
