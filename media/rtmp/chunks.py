"""RTMP's chunk stream (Adobe's RTMP 1.0 §5.3): bytes to messages, and back; pure and bounded.

One connection has one reader and one writer. Chunk sizes and aborted messages are settled here;
every other message goes to `session`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from media.rtmp.errors import RtmpMalformed

DEFAULT_CHUNK_BYTES = 128
CHUNK_BYTES_MAX = 1 << 20
MESSAGE_BYTES_MAX = 8 << 20
UNFINISHED_BYTES_MAX = 16 << 20
"""All messages of one connection that have begun and not ended, together."""
CHUNK_STREAMS_MAX = 64
TIMESTAMP_MASK = 0xFFFFFFFF

SET_CHUNK_SIZE, ABORT = 1, 2

_EXTENDED = 0xFFFFFF
_HEADER_BYTES = (11, 7, 3, 0)
_U32 = struct.Struct(">I")
_U32_LE = struct.Struct("<I")


class RtmpMessage(NamedTuple):
    """A whole message; `timestamp_ms` wraps at 2^32."""

    type_id: int
    stream_id: int
    timestamp_ms: int
    payload: bytes


@dataclass(slots=True)
class _ChunkStream:
    """What later chunks leave out because it did not change."""

    timestamp_ms: int = 0
    delta_ms: int = 0
    length: int = 0
    type_id: int = 0
    stream_id: int = 0
    extended: int | None = None
    payload: bytearray | None = None


class _Header(NamedTuple):
    """One chunk's header: `end` is where its data begins, `time_ms` None for a continuation."""

    end: int
    time_ms: int | None
    length: int
    type_id: int
    stream_id: int
    extended: int | None


class ChunkReader:
    """Collects chunks of interleaved messages."""

    def __init__(self) -> None:
        self.bytes_received = 0
        self._chunk_bytes = DEFAULT_CHUNK_BYTES
        self._streams: dict[int, _ChunkStream] = {}
        self._buffer = bytearray()
        self._unfinished_bytes = 0

    def receive(self, data: bytes) -> list[RtmpMessage]:
        """Take bytes; return the messages that they complete. Raises RtmpMalformed."""
        self.bytes_received += len(data)
        self._buffer += data
        messages: list[RtmpMessage] = []
        pos = 0
        while True:
            end = self._read_chunk(pos, messages)
            if end is None:
                break
            pos = end
        if pos:
            del self._buffer[:pos]
        return messages

    def _read_chunk(self, pos: int, messages: list[RtmpMessage]) -> int | None:
        """Read one whole chunk; return where it ends, None when more bytes are needed."""
        buffer = self._buffer
        if pos >= len(buffer):
            return None
        fmt, number, basic_end = buffer[pos] >> 6, buffer[pos] & 0x3F, pos + 1
        if number < 2:  # Numbers above 63 take one or two bytes more.
            basic_end += number + 1
            if basic_end > len(buffer):
                return None
            high = buffer[pos + 2] << 8 if number else 0
            number = 64 + buffer[pos + 1] + high
        stream = self._get_stream(number, fmt)
        header = self._read_header(fmt, basic_end, stream)
        if header is None:
            return None
        begun = 0 if stream.payload is None else len(stream.payload)
        if begun and fmt != 3:
            raise RtmpMalformed("a message began before the last one ended")
        size = min(self._chunk_bytes, header.length - begun)
        end = header.end + size
        if end > len(buffer):
            return None
        if not begun:
            _begin_message(stream, fmt, header)
        self._take(stream, bytes(buffer[header.end : end]), messages)
        return end

    def _get_stream(self, number: int, fmt: int) -> _ChunkStream:
        stream = self._streams.get(number)
        if stream is None:
            if fmt != 0 and fmt != 1:
                raise RtmpMalformed("a chunk stream began without a header")
            if len(self._streams) >= CHUNK_STREAMS_MAX:
                raise RtmpMalformed("too many chunk streams")
            stream = self._streams[number] = _ChunkStream()
        return stream

    def _read_header(self, fmt: int, pos: int, stream: _ChunkStream) -> _Header | None:
        buffer = self._buffer
        end = pos + _HEADER_BYTES[fmt]
        if end > len(buffer):
            return None
        if fmt == 3:
            return self._read_continuation(end, stream)
        time_ms = int.from_bytes(buffer[pos : pos + 3], "big")
        length, type_id, stream_id = stream.length, stream.type_id, stream.stream_id
        if fmt < 2:
            length = int.from_bytes(buffer[pos + 3 : pos + 6], "big")
            type_id = buffer[pos + 6]
        if fmt == 0:
            stream_id = _U32_LE.unpack_from(buffer, pos + 7)[0]
        if length > MESSAGE_BYTES_MAX:
            raise RtmpMalformed("a message is too long")
        extended = None
        if time_ms == _EXTENDED:
            if end + 4 > len(buffer):
                return None
            time_ms = extended = _U32.unpack_from(buffer, end)[0]
            end += 4
        return _Header(end, time_ms, length, type_id, stream_id, extended)

    def _read_continuation(self, end: int, stream: _ChunkStream) -> _Header | None:
        """Skip a repeated extended timestamp: the standard asks for it, some leave it out."""
        if stream.extended is not None:
            if end + 4 > len(self._buffer):
                return None
            if _U32.unpack_from(self._buffer, end)[0] == stream.extended:
                end += 4
        return _Header(end, None, stream.length, stream.type_id, stream.stream_id, stream.extended)

    def _take(self, stream: _ChunkStream, data: bytes, messages: list[RtmpMessage]) -> None:
        """Add a chunk's data to its message; give the message away when it is whole."""
        if stream.payload is None and len(data) == stream.length:
            whole = data
        else:
            if stream.payload is None:
                stream.payload = bytearray()
            stream.payload += data
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > UNFINISHED_BYTES_MAX:
                raise RtmpMalformed("too many unfinished messages")
            if len(stream.payload) < stream.length:
                return
            whole = bytes(stream.payload)
            self._unfinished_bytes -= len(whole)
            stream.payload = None
        if not self._apply_control(stream.type_id, whole):
            messages.append(
                RtmpMessage(stream.type_id, stream.stream_id, stream.timestamp_ms, whole)
            )

    def _apply_control(self, type_id: int, payload: bytes) -> bool:
        """Act on the two messages that are about chunks; False for all others."""
        if type_id not in {SET_CHUNK_SIZE, ABORT}:
            return False
        if len(payload) != 4:
            raise RtmpMalformed("a control message has the wrong length")
        value = _U32.unpack(payload)[0]
        if type_id == SET_CHUNK_SIZE:
            if not 1 <= value <= CHUNK_BYTES_MAX:
                raise RtmpMalformed("the chunk size is out of range")
            self._chunk_bytes = value
            return True
        aborted = self._streams.get(value)
        if aborted is not None and aborted.payload is not None:
            self._unfinished_bytes -= len(aborted.payload)
            aborted.payload = None
        return True


def _begin_message(stream: _ChunkStream, fmt: int, header: _Header) -> None:
    """Move the stream's clock and keep what later chunks leave out."""
    if header.time_ms is None:
        stream.timestamp_ms = (stream.timestamp_ms + stream.delta_ms) & TIMESTAMP_MASK
        return
    if fmt == 0:
        stream.timestamp_ms, stream.delta_ms = header.time_ms, 0
    else:
        stream.timestamp_ms = (stream.timestamp_ms + header.time_ms) & TIMESTAMP_MASK
        stream.delta_ms = header.time_ms
    stream.length, stream.type_id = header.length, header.type_id
    stream.stream_id, stream.extended = header.stream_id, header.extended


def write_message(message: RtmpMessage, chunk_stream: int, chunk_bytes: int) -> bytes:
    """Write one message as chunks with a full header first; `chunk_stream` is 2 to 63."""
    assert 2 <= chunk_stream <= 63, "one byte numbers only"
    payload = message.payload
    is_extended = message.timestamp_ms >= _EXTENDED
    extension = _U32.pack(message.timestamp_ms) if is_extended else b""
    header = (
        min(message.timestamp_ms, _EXTENDED).to_bytes(3, "big")
        + len(payload).to_bytes(3, "big")
        + bytes([message.type_id])
        + _U32_LE.pack(message.stream_id)
    )
    parts = [bytes([chunk_stream]), header, extension, payload[:chunk_bytes]]
    for pos in range(chunk_bytes, len(payload), chunk_bytes):
        parts += [bytes([0xC0 | chunk_stream]), extension, payload[pos : pos + chunk_bytes]]
    return b"".join(parts)
