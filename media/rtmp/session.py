"""One RTMP connection's conversation, from handshake to the last frame; pure: bytes in and out.

`server` feeds it and does what its events say. Media before `publish` ends the connection; what
came behind it at once waits for the answer. One connection publishes one stream; nothing is played
from here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from media.rtmp.amf import AmfValue, decode_amf0, encode_amf0
from media.rtmp.chunks import (
    DEFAULT_CHUNK_BYTES,
    SET_CHUNK_SIZE,
    ChunkReader,
    RtmpMessage,
    write_message,
)
from media.rtmp.errors import PublishRefused, RtmpMalformed
from media.rtmp.handshake import Handshake
from media.rtmp.tags import FOURCCS, Tag, parse_audio, parse_video

WINDOW_BYTES = 2_500_000
OUT_CHUNK_BYTES = 4096
STREAMS_MAX = 8
NAME_CHARS_MAX = 256
BEHIND_BYTES_MAX = 1 << 20
BEHIND_MESSAGES_MAX = 4096
"""What may wait behind `publish`: more than a read of the socket has of anybody who sends media."""

_ACK, _USER_CONTROL, _WINDOW, _BANDWIDTH = 3, 4, 5, 6
_AUDIO, _VIDEO, _DATA_AMF3, _COMMAND_AMF3 = 8, 9, 15, 17
_DATA, _COMMAND, _AGGREGATE = 18, 20, 22
_CONTROL_STREAM, _COMMAND_STREAM = 2, 3
_PING_REQUEST, _PING_RESPONSE, _STREAM_BEGIN = 6, 7, 0
_TAG_HEADER_BYTES = 11
_U32 = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class PublishRequested:
    """Somebody wants to publish; answer by `accept_publish` or `refuse_publish`."""

    app: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublishEnded:
    """The publisher said that it is done."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the encoder says of its stream (`onMetaData`); nothing relies on it."""

    fields: dict[str, AmfValue]


RtmpEvent = PublishRequested | PublishEnded | Metadata | Tag


class RtmpSession:
    """The server's side of one connection."""

    def __init__(self, make_random: Callable[[int], bytes]) -> None:
        self.app = ""
        self.encoder = ""
        self.is_publishing = False
        self._handshake = Handshake(make_random)
        self._reader = ChunkReader()
        self._out = bytearray()
        self._out_chunk_bytes = DEFAULT_CHUNK_BYTES
        self._acknowledged = 0
        self._streams = 0
        self._has_published = False
        self._asked: int | None = None
        self._behind: list[RtmpMessage] = []
        """What came behind `publish` before that was answered."""
        self._behind_bytes = 0
        self._events: list[RtmpEvent] = []

    @property
    def is_shaken(self) -> bool:
        """True once the handshake is over."""
        return self._handshake.is_done

    def receive(self, data: bytes) -> list[RtmpEvent]:
        """Take bytes; return what they bring. Raises RtmpMalformed, TagUnsupported."""
        if not self._handshake.is_done:
            answer, data = self._handshake.receive(data)
            self._out += answer
            if not data:
                return []
        for message in self._reader.receive(data):
            if self._asked is None:
                self._apply(message)
            else:
                self._keep_behind(message)
        self._acknowledge()
        return self._take_events()

    def take_output(self) -> bytes:
        """Return what is to be sent, once."""
        output = bytes(self._out)
        self._out.clear()
        return output

    def accept_publish(self) -> list[RtmpEvent]:
        """Let the asking publisher begin; return what came behind its question. Raises as receive.

        What it is told goes out first, whatever follows.
        """
        stream, behind = self._take_asked()
        self.is_publishing = self._has_published = True
        self._send(_CONTROL_STREAM, _USER_CONTROL, struct.pack(">HI", _STREAM_BEGIN, stream))
        self._send_status(stream, "status", "NetStream.Publish.Start", "Publishing.")
        for message in behind:
            self._apply(message)
        return self._take_events()

    def refuse_publish(self, refused: PublishRefused) -> None:
        """Tell the asking publisher why not; the caller closes the connection afterwards."""
        stream, _unheard = self._take_asked()
        self._send_status(stream, "error", refused.code, refused.reason)

    def say_ended(self, reason: str) -> None:
        """Tell a publisher that its stream was ended here; the caller closes the connection."""
        self._send_status(1, "error", "NetStream.Publish.Denied", reason)

    # Messages

    def _apply(self, message: RtmpMessage) -> None:
        kind, payload = message.type_id, message.payload
        if kind in {_VIDEO, _AUDIO}:
            self._apply_media(kind, message.timestamp_ms, payload)
        elif kind == _AGGREGATE:
            self._apply_aggregate(message)
        elif kind in {_COMMAND, _COMMAND_AMF3}:
            self._apply_command(message.stream_id, _strip_amf3(kind == _COMMAND_AMF3, payload))
        elif kind in {_DATA, _DATA_AMF3}:
            self._apply_data(_strip_amf3(kind == _DATA_AMF3, payload))
        elif kind == _USER_CONTROL and payload[:2] == struct.pack(">H", _PING_REQUEST):
            self._send(
                _CONTROL_STREAM, _USER_CONTROL, struct.pack(">H", _PING_RESPONSE) + payload[2:6]
            )
        # Windows and acknowledgements of the client need no answer: we send next to nothing.

    def _apply_media(self, kind: int, timestamp_ms: int, payload: bytes) -> None:
        if not self.is_publishing:
            if self._has_published:
                return  # it said that it was done
            raise RtmpMalformed("media came before publish")
        parse = parse_video if kind == _VIDEO else parse_audio
        tag = parse(payload, timestamp_ms)
        if tag is not None:
            self._events.append(tag)

    def _apply_aggregate(self, message: RtmpMessage) -> None:
        """Take several FLV tags in one message; their times count from the message's own."""
        payload, pos, first_ms = message.payload, 0, None
        while pos + _TAG_HEADER_BYTES <= len(payload):
            size = int.from_bytes(payload[pos + 1 : pos + 4], "big")
            time_ms = int.from_bytes(payload[pos + 4 : pos + 7], "big") | payload[pos + 7] << 24
            first_ms = time_ms if first_ms is None else first_ms
            start = pos + _TAG_HEADER_BYTES
            if start + size > len(payload):
                raise RtmpMalformed("an aggregate message is cut short")
            if payload[pos] in {_VIDEO, _AUDIO}:
                at_ms = (message.timestamp_ms + time_ms - first_ms) & 0xFFFFFFFF
                self._apply_media(payload[pos], at_ms, payload[start : start + size])
            pos = start + size + 4

    def _apply_data(self, payload: bytes) -> None:
        values = decode_amf0(payload)
        if values[:2] == ["@setDataFrame", "onMetaData"] and isinstance(values[-1], dict):
            self._events.append(Metadata(values[-1]))

    def _apply_command(self, stream_id: int, payload: bytes) -> None:
        values = decode_amf0(payload)
        if not values or not isinstance(values[0], str):
            raise RtmpMalformed("a command has no name")
        number = values[1] if len(values) > 1 and isinstance(values[1], float) else 0.0
        arguments = values[2:]
        match values[0]:
            case "connect":
                self._connect(number, arguments)
            case "createStream":
                self._create_stream(number)
            case "publish":
                self._publish(stream_id, arguments)
            case "play":
                self._send_status(
                    stream_id, "error", "NetStream.Play.Failed", "This address takes publishers."
                )
            case "FCPublish" | "releaseStream":
                self._send_command("_result", number, None, None)
            case "FCUnpublish" | "deleteStream" | "closeStream":
                self._unpublish()
            case _:
                pass  # questions of players and counters of old clients

    def _connect(self, number: float, arguments: list[AmfValue]) -> None:
        if self.app:
            raise RtmpMalformed("a second connect")
        asked = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
        self.app = _cut(asked.get("app")).strip("/")
        self.encoder = _cut(asked.get("flashVer"))
        if not self.app:
            raise RtmpMalformed("connect names no application")
        self._send(_CONTROL_STREAM, _WINDOW, _U32.pack(WINDOW_BYTES))
        self._send(_CONTROL_STREAM, _BANDWIDTH, _U32.pack(WINDOW_BYTES) + b"\x02")
        self._send(_CONTROL_STREAM, SET_CHUNK_SIZE, _U32.pack(OUT_CHUNK_BYTES))
        self._out_chunk_bytes = OUT_CHUNK_BYTES
        information: dict[str, AmfValue] = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "Connected.",
            "objectEncoding": 0,
        }
        if "fourCcList" in asked:
            information["fourCcList"] = FOURCCS
        properties = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31}
        self._send_command("_result", number, properties, information)

    def _create_stream(self, number: float) -> None:
        self._check_connected()
        self._streams += 1
        if self._streams > STREAMS_MAX:
            raise RtmpMalformed("too many streams")
        self._send_command("_result", number, None, self._streams)

    def _publish(self, stream_id: int, arguments: list[AmfValue]) -> None:
        self._check_connected()
        if self._has_published or self._asked is not None:
            raise RtmpMalformed("a second publish")
        name = arguments[1] if len(arguments) > 1 else None
        if not isinstance(name, str) or len(name) > NAME_CHARS_MAX:
            raise RtmpMalformed("publish names no stream key")
        self._asked = stream_id
        self._events.append(PublishRequested(self.app, name.partition("?")[0]))

    def _unpublish(self) -> None:
        if self.is_publishing:
            self.is_publishing = False
            self._events.append(PublishEnded())

    def _check_connected(self) -> None:
        if not self.app:
            raise RtmpMalformed("a command came before connect")

    def _keep_behind(self, message: RtmpMessage) -> None:
        """Let a message wait, in its order, for the answer to `publish`."""
        self._behind_bytes += len(message.payload)
        self._behind.append(message)
        is_full = len(self._behind) > BEHIND_MESSAGES_MAX
        if is_full or self._behind_bytes > BEHIND_BYTES_MAX:
            raise RtmpMalformed("too much came before the stream key was accepted")

    def _take_asked(self) -> tuple[int, list[RtmpMessage]]:
        """Return the stream that is asked for, and what came behind the question."""
        stream, self._asked = self._asked, None
        assert stream is not None, "nobody asks to publish"
        behind, self._behind, self._behind_bytes = self._behind, [], 0
        return stream, behind

    def _take_events(self) -> list[RtmpEvent]:
        events, self._events = self._events, []
        return events

    # What is sent

    def _acknowledge(self) -> None:
        received = self._reader.bytes_received
        if received - self._acknowledged >= WINDOW_BYTES:
            self._acknowledged = received
            self._send(_CONTROL_STREAM, _ACK, _U32.pack(received & 0xFFFFFFFF))

    def _send_status(self, stream_id: int, level: str, code: str, description: str) -> None:
        information = {"level": level, "code": code, "description": description}
        payload = encode_amf0("onStatus", 0, None, information)
        self._send(_COMMAND_STREAM, _COMMAND, payload, stream_id)

    def _send_command(self, name: str, number: float, *values: AmfValue) -> None:
        self._send(_COMMAND_STREAM, _COMMAND, encode_amf0(name, number, *values))

    def _send(self, chunk_stream: int, type_id: int, payload: bytes, stream_id: int = 0) -> None:
        message = RtmpMessage(type_id, stream_id, 0, payload)
        self._out += write_message(message, chunk_stream, self._out_chunk_bytes)


def _cut(value: AmfValue) -> str:
    """Return a text of a client, no longer than we care to keep; anything else is empty."""
    return value[:NAME_CHARS_MAX] if isinstance(value, str) else ""


def _strip_amf3(is_amf3: bool, payload: bytes) -> bytes:  # noqa: FBT001 -- the message's own kind
    """Return the AMF0 values within an AMF3 message, which begins with a zero byte."""
    if not is_amf3:
        return payload
    if payload[:1] != b"\0":
        raise RtmpMalformed("AMF3 values are not supported")
    return payload[1:]
