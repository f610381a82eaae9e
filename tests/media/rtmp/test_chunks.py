"""Chunks: any cutting of the bytes gives the same messages, and every limit holds."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtmp.chunks import (
    CHUNK_STREAMS_MAX,
    MESSAGE_BYTES_MAX,
    ChunkReader,
    RtmpMessage,
    write_message,
)
from media.rtmp.errors import RtmpMalformed

pytestmark = pytest.mark.unit

MESSAGES = st.builds(
    RtmpMessage,
    type_id=st.sampled_from([8, 9, 18, 20]),
    stream_id=st.integers(0, 5),
    timestamp_ms=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=700),
)


@given(st.lists(st.tuples(MESSAGES, st.integers(2, 63)), max_size=6), st.integers(1, 400))
def test_messages_survive_any_cutting(sent: list[tuple[RtmpMessage, int]], step: int) -> None:
    data = b"".join(write_message(message, stream, 128) for message, stream in sent)
    reader, got = ChunkReader(), []
    for pos in range(0, len(data), step):
        got += reader.receive(data[pos : pos + step])
    assert got == [message for message, _stream in sent]
    assert reader.bytes_received == len(data)


@given(st.binary(max_size=600))
def test_any_bytes_are_messages_or_malformed(data: bytes) -> None:
    try:
        ChunkReader().receive(data)
    except RtmpMalformed:
        return


def full(stream: int, time_ms: int, size: int, type_id: int = 9) -> bytes:
    header = time_ms.to_bytes(3, "big") + size.to_bytes(3, "big") + bytes([type_id])
    return bytes([stream]) + header + struct.pack("<I", 1)


def test_what_is_left_out_is_as_before() -> None:
    data = full(4, 100, 2) + b"aa"
    data += bytes([0x40 | 4]) + b"\0\0\x0a\0\0\3\x09" + b"bbb"  # 10 ms later, another size
    data += bytes([0x80 | 4]) + b"\0\0\x14" + b"ccc"  # 20 ms later
    data += bytes([0xC0 | 4]) + b"ddd"  # the same step again
    got = ChunkReader().receive(data)
    assert [(m.timestamp_ms, m.payload) for m in got] == [
        (100, b"aa"),
        (110, b"bbb"),
        (130, b"ccc"),
        (150, b"ddd"),
    ]
    assert {m.stream_id for m in got} == {1}


def test_messages_of_two_streams_interleave() -> None:
    video, sound = b"v" * 200, b"s" * 150
    data = full(4, 0, 200) + video[:128] + full(6, 5, 150, 8) + sound[:128]
    data += bytes([0xC4]) + video[128:] + bytes([0xC6]) + sound[128:]
    assert [m.payload for m in ChunkReader().receive(data)] == [video, sound]


@pytest.mark.parametrize("repeats", [True, False])
def test_an_extended_time_may_be_repeated_or_not(repeats: bool) -> None:
    time = struct.pack(">I", 0x1234567)
    data = full(4, 0xFFFFFF, 200)[:12] + time + b"v" * 128
    data += b"\xc4" + (time if repeats else b"") + b"v" * 72
    (message,) = ChunkReader().receive(data)
    assert (message.timestamp_ms, message.payload) == (0x1234567, b"v" * 200)


def test_a_new_chunk_size_counts_at_once() -> None:
    data = full(2, 0, 4, 1) + struct.pack(">I", 300) + full(4, 0, 250) + b"v" * 250
    assert [m.payload for m in ChunkReader().receive(data)] == [b"v" * 250]


def test_an_aborted_message_is_forgotten() -> None:
    reader = ChunkReader()
    data = full(4, 0, 200) + b"v" * 128 + full(2, 0, 4, 2) + struct.pack(">I", 4)
    assert reader.receive(data + full(4, 9, 1) + b"x") == [RtmpMessage(9, 1, 9, b"x")]


@pytest.mark.parametrize("number", [64, 319, 320, 65_599])
def test_large_stream_numbers_take_more_bytes(number: int) -> None:
    rest = number - 64
    basic = bytes([0, rest]) if rest < 256 else bytes([1, rest & 0xFF, rest >> 8])
    assert ChunkReader().receive(basic + full(0, 7, 1)[1:] + b"x") == [RtmpMessage(9, 1, 7, b"x")]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(full(4, 0, MESSAGE_BYTES_MAX + 1), id="message-too-long"),
        pytest.param(bytes([0xC4]), id="continuation-of-nothing"),
        pytest.param(full(2, 0, 4, 1) + bytes(4), id="chunk-size-zero"),
        pytest.param(full(2, 0, 4, 1) + b"\x7f\0\0\0", id="chunk-size-too-large"),
        pytest.param(full(2, 0, 2, 1) + bytes(2), id="control-message-of-two-bytes"),
        pytest.param(full(4, 0, 200) + bytes(128) + full(4, 0, 200), id="begun-twice"),
        pytest.param(
            b"".join(
                bytes([0, n]) + full(0, 0, 200)[1:] + bytes(128)
                for n in range(CHUNK_STREAMS_MAX + 1)
            ),
            id="too-many-streams",
        ),
    ],
)
def test_what_breaks_the_rules_is_refused(data: bytes) -> None:
    with pytest.raises(RtmpMalformed):
        ChunkReader().receive(data)


def test_unfinished_messages_have_a_limit_together() -> None:
    reader = ChunkReader()
    size = struct.pack(">I", 1 << 20)
    begun = (full(number, 0, 2 << 20) + bytes(1 << 20) for number in range(4, 40))
    data = full(2, 0, 4, 1) + size + b"".join(begun)
    with pytest.raises(RtmpMalformed):
        reader.receive(data)
