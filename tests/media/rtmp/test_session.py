"""A connection's conversation: what a client says, what it is told, and what it may not do."""

import os

import pytest

from media.rtmp.chunks import RtmpMessage, write_message
from media.rtmp.errors import PublishRefused, RtmpMalformed
from media.rtmp.handshake import BLOCK_BYTES
from media.rtmp.session import (
    BEHIND_BYTES_MAX,
    BEHIND_MESSAGES_MAX,
    Metadata,
    PublishEnded,
    PublishRequested,
    RtmpSession,
)
from media.rtmp.tags import AudioConfig, AudioTag, TagUnsupported, VideoConfig, VideoTag
from tests.media.rtmp.client import (
    AUDIO,
    C0_C1,
    COMMAND,
    VIDEO,
    command,
    encode_amf0,
    hello,
    media,
    read_commands,
)

pytestmark = pytest.mark.unit

SHAKEN = C0_C1 + b"c" * BLOCK_BYTES


@pytest.fixture
def session() -> RtmpSession:
    return RtmpSession(os.urandom)


@pytest.fixture
def publishing(session: RtmpSession) -> RtmpSession:
    session.receive(hello())
    session.accept_publish()
    session.take_output()
    return session


def test_a_publisher_is_asked_about_and_let_in(session: RtmpSession) -> None:
    assert session.receive(hello(key="secret?tag=1")) == [PublishRequested("live", "secret")]
    session.accept_publish()
    said = read_commands(session.take_output())
    assert [words[:2] for words in said] == [
        ["_result", 1.0],
        ["_result", 2.0],
        ["_result", 3.0],
        ["_result", 4.0],
        ["onStatus", 0.0],
    ]
    assert said[0][3]["code"] == "NetConnection.Connect.Success"
    assert said[0][3]["fourCcList"] == [
        "avc1",
        "hvc1",
        "av01",
        "mp4a",
        "Opus",
    ]  # no codec that is refused afterwards
    assert said[3][3] == 1.0  # the stream
    assert said[4][3]["code"] == "NetStream.Publish.Start"


def test_what_came_behind_publish_waits_for_the_answer(session: RtmpSession) -> None:
    behind = (
        media(AUDIO, 0, b"\xaf\x00\x11\x90")
        + media(AUDIO, 0, b"\xaf\x01sound")
        + command("FCUnpublish", 6, None, "k")
    )
    assert session.receive(hello() + behind[:-4]) == [PublishRequested("live", "secret")]
    assert session.receive(behind[-4:]) == []
    session.take_output()
    assert session.accept_publish() == [
        AudioConfig("AAC", b"\x11\x90"),
        AudioTag("AAC", 0, b"sound"),
        PublishEnded(),
    ]
    assert b"NetStream.Publish.Start" in session.take_output()
    assert session.receive(media(AUDIO, 21, b"\xaf\x01more")) == []


def test_what_is_wrong_behind_publish_is_found_with_the_answer(session: RtmpSession) -> None:
    session.receive(hello() + command("publish", 6, None, "other", "live", stream_id=1))
    with pytest.raises(RtmpMalformed, match="second publish"):
        session.accept_publish()


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param([bytes(BEHIND_BYTES_MAX // 2 + 1)] * 2, id="bytes"),
        pytest.param([b""] * (BEHIND_MESSAGES_MAX + 1), id="messages"),
    ],
)
def test_no_more_waits_behind_publish_than_may(session: RtmpSession, behind: list[bytes]) -> None:
    said = hello() + b"".join(media(AUDIO, 0, body) for body in behind)
    with pytest.raises(RtmpMalformed, match="too much"):
        session.receive(said)


def test_a_refused_publisher_is_told_why(session: RtmpSession) -> None:
    session.receive(hello())
    session.refuse_publish(PublishRefused("This stream key is not known."))
    status = read_commands(session.take_output())[-1][3]
    assert status == {
        "level": "error",
        "code": "NetStream.Publish.BadName",
        "description": "This stream key is not known.",
    }


def test_the_key_is_not_printed() -> None:
    assert "secret" not in repr(PublishRequested("live", "secret"))


def test_media_arrives_as_tags(publishing: RtmpSession) -> None:
    data = (
        media(VIDEO, 0, b"\x17\x00\x00\x00\x00record")
        + media(VIDEO, 40, b"\x17\x01\x00\x00\x28key")
        + media(VIDEO, 80, b"\x27\x01\xff\xff\xd8delta")
        + media(AUDIO, 0, b"\xaf\x00\x11\x90")
        + media(AUDIO, 21, b"\xaf\x01sound")
    )
    assert publishing.receive(data) == [
        VideoConfig("H264", b"record"),
        VideoTag("H264", 40, 80, True, b"key"),
        VideoTag("H264", 80, 40, False, b"delta"),
        AudioConfig("AAC", b"\x11\x90"),
        AudioTag("AAC", 21, b"sound"),
    ]


def test_enhanced_tags_name_their_codec(publishing: RtmpSession) -> None:
    data = (
        media(VIDEO, 0, b"\x90hvc1record")
        + media(VIDEO, 1, b"\x91hvc1\x00\x00\x05key")
        + media(VIDEO, 2, b"\xa3avc1delta")
        + media(VIDEO, 3, b"\x91av01key")
        + media(VIDEO, 4, b"\x94hvc1colours")
        + media(AUDIO, 5, b"\x91Opusframe")
    )
    assert publishing.receive(data) == [
        VideoConfig("H265", b"record"),
        VideoTag("H265", 1, 6, True, b"key"),
        VideoTag("H264", 2, 2, False, b"delta"),
        VideoTag("AV1", 3, 3, True, b"key"),
        AudioTag("OPUS", 5, b"frame"),
    ]


def test_an_aggregate_is_taken_apart(publishing: RtmpSession) -> None:
    def tag(kind: int, time_ms: int, body: bytes) -> bytes:
        size = len(body).to_bytes(3, "big")
        time = (time_ms & 0xFFFFFF).to_bytes(3, "big") + bytes([time_ms >> 24])
        return bytes([kind]) + size + time + bytes(3) + body + (len(body) + 11).to_bytes(4, "big")

    body = tag(VIDEO, 5000, b"\x17\x01\0\0\0a") + tag(AUDIO, 5010, b"\xaf\x01b")
    got = publishing.receive(write_message(RtmpMessage(22, 1, 100, body), 4, 128))
    assert got == [VideoTag("H264", 100, 100, True, b"a"), AudioTag("AAC", 110, b"b")]


def test_metadata_and_the_end_are_told(publishing: RtmpSession) -> None:
    fields = {"width": 1280.0, "encoder": "obs"}
    data = encode_amf0("@setDataFrame", "onMetaData", fields)
    got = publishing.receive(write_message(RtmpMessage(18, 1, 0, data), 4, 128))
    assert got == [Metadata(fields)]
    assert publishing.receive(command("FCUnpublish", 6, None, "k")) == [PublishEnded()]
    assert publishing.receive(command("deleteStream", 7, None, 1)) == []


def test_after_its_end_nothing_more_is_taken_and_nothing_begins(publishing: RtmpSession) -> None:
    publishing.receive(command("FCUnpublish", 6, None, "k"))
    assert publishing.receive(media(VIDEO, 100, b"\x17\x01\x00\x00\x00a")) == []
    with pytest.raises(RtmpMalformed):
        publishing.receive(command("publish", 8, None, "secret", "live", stream_id=1))


def test_a_ping_is_answered(publishing: RtmpSession) -> None:
    publishing.receive(write_message(RtmpMessage(4, 0, 0, b"\x00\x06\x00\x00\x30\x39"), 2, 128))
    assert publishing.take_output().endswith(b"\x00\x07\x00\x00\x30\x39")


def test_every_window_is_acknowledged(publishing: RtmpSession) -> None:
    publishing.receive(media(VIDEO, 0, b"\x17\x01\0\0\0" + bytes(2_600_000)))
    assert len(publishing.take_output()) == 12 + 4


def test_who_wants_to_play_is_told_that_this_is_for_publishers(session: RtmpSession) -> None:
    session.receive(
        SHAKEN + command("connect", 1, {"app": "live"}) + command("play", 2, None, "x", stream_id=1)
    )
    assert read_commands(session.take_output())[-1][3]["code"] == "NetStream.Play.Failed"


CONNECT = command("connect", 1, {"app": "live"})
PUBLISH = command("publish", 5, None, "key", "live", stream_id=1)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(CONNECT + media(VIDEO, 0, b"\x17\x01\0\0\0a"), id="media-before-publish"),
        pytest.param(PUBLISH, id="publish-before-connect"),
        pytest.param(CONNECT + CONNECT, id="connect-twice"),
        pytest.param(command("connect", 1, {}), id="no-application"),
        pytest.param(CONNECT + command("publish", 5, None, 7.0), id="key-is-a-number"),
        pytest.param(CONNECT + command("publish", 5, None, "k" * 300), id="key-too-long"),
        pytest.param(CONNECT + command("createStream", 4, None) * 9, id="too-many-streams"),
        pytest.param(
            write_message(RtmpMessage(COMMAND, 0, 0, encode_amf0(1.0)), 3, 128), id="no-name"
        ),
        pytest.param(write_message(RtmpMessage(17, 0, 0, b"\x11"), 3, 128), id="amf3"),
    ],
)
def test_what_breaks_the_rules_ends_the_connection(session: RtmpSession, said: bytes) -> None:
    with pytest.raises(RtmpMalformed):
        session.receive(SHAKEN + said)


@pytest.mark.parametrize(
    ("kind", "body"),
    [(VIDEO, b"\x12old"), (VIDEO, b"\x90vp09x"), (VIDEO, b"\x96x"), (AUDIO, b"\x2fmp3")],
)
def test_a_codec_that_is_not_taken_is_named(
    publishing: RtmpSession, kind: int, body: bytes
) -> None:
    with pytest.raises(TagUnsupported, match="not supported"):
        publishing.receive(media(kind, 0, body))
