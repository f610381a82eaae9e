"""Reads a client's WebSocket frames (RFC 6455 §5), strictly: what the RFC forbids ends the socket.

Pure. `FrameReader.feed` takes bytes as they arrive and returns whole messages; text is checked
while it arrives, so that an invalid sequence fails at once and not at the end of its message.
"""

from __future__ import annotations

import codecs
import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

FIN, RESERVED, OPCODE = 0x80, 0x70, 0x0F
MASKED, LENGTH = 0x80, 0x7F
LENGTH_16, LENGTH_64 = 126, 127
CONTROL_BYTES_MAX = 125
CONTINUATION = 0x0

PROTOCOL_ERROR, TEXT_INVALID, TOO_BIG = 1002, 1007, 1009
CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
"""What a peer may send below 3000 (RFC 6455 §7.4, IANA's registry); 3000-4999 are free."""
FREE_CLOSE_CODES = range(3000, 5000)

TextDecoder = codecs.getincrementaldecoder("utf-8")


class FrameKind(enum.IntEnum):
    """What a message is: the opcode of its first frame."""

    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


OPCODES = frozenset(int(kind) for kind in FrameKind)


class ProtocolBroken(Exception):
    """The peer broke the protocol; `code` is the close code that says so."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class FrameMessage:
    """One whole message; `close_code` is 0 when a close came without one."""

    kind: FrameKind
    text: str = ""
    data: bytes = b""
    close_code: int = 0


@dataclass
class _Frame:
    """The frame being received: its header, and how much of it is here."""

    opcode: int
    is_final: bool
    size: int
    mask: bytes
    received: int = 0


@dataclass
class _Message:
    """The text or binary message being received, of one frame or several."""

    kind: FrameKind
    size: int = 0
    texts: list[str] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    decoder: codecs.IncrementalDecoder = field(default_factory=TextDecoder)


class FrameReader:
    """One client's stream; keeps at most one message and one header in memory."""

    __slots__ = ("_control", "_frame", "_is_closed", "_message", "_message_bytes_max", "_unread")

    def __init__(self, message_bytes_max: int) -> None:
        self._message_bytes_max = message_bytes_max
        self._unread = bytearray()
        self._frame: _Frame | None = None
        self._control = bytearray()
        self._message: _Message | None = None
        self._is_closed = False

    def feed(self, data: bytes) -> Iterator[FrameMessage]:
        """Yield the messages that these bytes complete, in order; then raise ProtocolBroken.

        What follows a close is not read (RFC 6455 §5.5.1).
        """
        self._unread += data
        while not self._is_closed:
            if self._frame is None:
                self._frame = self._read_header()
                if self._frame is None:
                    return
            if not self._read_payload(self._frame):
                return
            message = self._finish_frame(self._frame)
            self._frame = None
            if message is not None:
                self._is_closed = message.kind is FrameKind.CLOSE
                yield message

    def _read_header(self) -> _Frame | None:
        """Take a header off the stream when it is here; refuses at the first wrong byte."""
        unread = self._unread
        if not unread:
            return None
        first = unread[0]
        opcode, is_final = first & OPCODE, bool(first & FIN)
        self._check_opening(opcode, is_reserved=bool(first & RESERVED), is_final=is_final)
        if len(unread) < 2:
            return None
        if not unread[1] & MASKED:
            raise ProtocolBroken(PROTOCOL_ERROR, "A client's frames are masked.")
        size, at = unread[1] & LENGTH, 2
        if opcode >= FrameKind.CLOSE and size > CONTROL_BYTES_MAX:
            raise ProtocolBroken(PROTOCOL_ERROR, "A control frame has at most 125 bytes.")
        if size >= LENGTH_16:
            width = 2 if size == LENGTH_16 else 8
            if len(unread) < at + width:
                return None
            size = _read_long_size(bytes(unread[at : at + width]))
            at += width
        self._check_size(opcode, size)
        if len(unread) < at + 4:
            return None
        frame = _Frame(opcode, is_final, size, bytes(unread[at : at + 4]))
        del unread[: at + 4]
        return frame

    def _check_opening(self, opcode: int, *, is_reserved: bool, is_final: bool) -> None:
        """Refuse a first byte that may not stand here; begins a message's book-keeping."""
        if is_reserved:
            raise ProtocolBroken(PROTOCOL_ERROR, "A reserved bit is set; nothing was negotiated.")
        if opcode == CONTINUATION:
            if self._message is None:
                raise ProtocolBroken(PROTOCOL_ERROR, "There is nothing to continue.")
            return
        if opcode not in OPCODES:
            raise ProtocolBroken(PROTOCOL_ERROR, "There is no such opcode.")
        if opcode >= FrameKind.CLOSE:
            if not is_final:
                raise ProtocolBroken(PROTOCOL_ERROR, "Control frames are not fragmented.")
        elif self._message is not None:
            raise ProtocolBroken(PROTOCOL_ERROR, "The message before is not finished.")

    def _check_size(self, opcode: int, size: int) -> None:
        if opcode >= FrameKind.CLOSE:
            return
        begun = 0 if self._message is None else self._message.size
        if begun + size > self._message_bytes_max:
            raise ProtocolBroken(TOO_BIG, "The message is too big.")

    def _read_payload(self, frame: _Frame) -> bool:
        """Unmask and keep what is here of the frame; True when that is all of it."""
        missing = frame.size - frame.received
        piece = bytes(self._unread[:missing])
        del self._unread[:missing]
        piece = _unmask(piece, frame.mask, frame.received)
        frame.received += len(piece)
        is_whole = frame.received == frame.size
        if frame.opcode >= FrameKind.CLOSE:
            self._control += piece
            return is_whole
        if self._message is None:
            self._message = _Message(FrameKind(frame.opcode))
        message = self._message
        message.size += len(piece)
        if message.kind is FrameKind.TEXT:
            _decode(message, piece, is_last=is_whole and frame.is_final)
        else:
            message.data += piece
        return is_whole

    def _finish_frame(self, frame: _Frame) -> FrameMessage | None:
        """Return the message that this frame completes."""
        if frame.opcode >= FrameKind.CLOSE:
            payload = bytes(self._control)
            self._control.clear()
            kind = FrameKind(frame.opcode)
            return (
                _read_close(payload)
                if kind is FrameKind.CLOSE
                else FrameMessage(kind, data=payload)
            )
        message = self._message
        assert message is not None, "a data frame belongs to a message"
        if not frame.is_final:
            return None
        self._message = None
        return FrameMessage(message.kind, "".join(message.texts), bytes(message.data))


def _read_long_size(field_bytes: bytes) -> int:
    """Read an extended length; it must be the shortest that fits (RFC 6455 §5.2)."""
    size = int.from_bytes(field_bytes, "big")
    if len(field_bytes) == 8 and (size >> 63 or size < 1 << 16):
        raise ProtocolBroken(PROTOCOL_ERROR, "The length is not written as the RFC wants it.")
    if len(field_bytes) == 2 and size < LENGTH_16:
        raise ProtocolBroken(PROTOCOL_ERROR, "The length is not written as the RFC wants it.")
    return size


def _unmask(piece: bytes, mask: bytes, offset: int) -> bytes:
    """Apply the mask to a piece that begins `offset` bytes into its frame."""
    size = len(piece)
    turn = offset % 4
    stream = (mask[turn:] + mask[:turn]) * (size // 4 + 1)
    mixed = int.from_bytes(piece, "little") ^ int.from_bytes(stream[:size], "little")
    return mixed.to_bytes(size, "little")


def _decode(message: _Message, piece: bytes, *, is_last: bool) -> None:
    try:
        text = message.decoder.decode(piece, is_last)
    except UnicodeDecodeError as error:
        raise ProtocolBroken(TEXT_INVALID, "The text is not UTF-8.") from error
    if text:
        message.texts.append(text)


def _read_close(payload: bytes) -> FrameMessage:
    """Read a close frame's code and reason (RFC 6455 §5.5.1)."""
    if not payload:
        return FrameMessage(FrameKind.CLOSE)
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in CLOSE_CODES or code in FREE_CLOSE_CODES):
        raise ProtocolBroken(PROTOCOL_ERROR, "This is not a close code.")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError as error:
        raise ProtocolBroken(TEXT_INVALID, "The reason is not UTF-8.") from error
    return FrameMessage(FrameKind.CLOSE, reason, close_code=code)
