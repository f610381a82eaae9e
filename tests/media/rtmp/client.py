"""An RTMP publisher by hand: the client's half of the conversation, as bytes."""

from __future__ import annotations

import hmac
import os

from media.rtmp.amf import AmfValue, decode_amf0, encode_amf0
from media.rtmp.chunks import ChunkReader, RtmpMessage, write_message
from media.rtmp.handshake import BLOCK_BYTES

C0_C1 = b"\x03" + bytes(8) + b"r" * (BLOCK_BYTES - 8)
AVC_RECORD = bytes.fromhex(
    "0142c01effe1001067 42c01e d900a02ff9610000 03000103 01000468ce0f2c".replace(" ", "")
)
COMMAND, AUDIO, VIDEO = 20, 8, 9


def command(name: str, number: float, *values: AmfValue, stream_id: int = 0) -> bytes:
    """Return a command in one chunk stream."""
    payload = encode_amf0(name, number, *values)
    return write_message(RtmpMessage(COMMAND, stream_id, 0, payload), 3, 128)


def media(kind: int, timestamp_ms: int, payload: bytes) -> bytes:
    """Return an audio or video message."""
    return write_message(RtmpMessage(kind, 1, timestamp_ms, payload), 4, 128)


def hello(key: str = "secret", app: str = "live") -> bytes:
    """Return everything a client says up to `publish`."""
    return (
        C0_C1
        + b"c" * BLOCK_BYTES
        + command("connect", 1, {"app": app, "flashVer": "test", "fourCcList": ["avc1"]})
        + command("releaseStream", 2, None, key)
        + command("FCPublish", 3, None, key)
        + command("createStream", 4, None)
        + command("publish", 5, None, key, "live", stream_id=1)
    )


def read_commands(answer: bytes) -> list[list[AmfValue]]:
    """Return the commands in what the server said after its handshake."""
    messages = ChunkReader().receive(answer[1 + 2 * BLOCK_BYTES :])
    return [decode_amf0(message.payload) for message in messages if message.type_id == COMMAND]


def sign_c1(layout: int, player: bytes = b"Genuine Adobe Flash Player 001") -> bytes:
    """Return a C1 with a digest under the layout whose offset bytes begin there."""
    block = bytearray(os.urandom(BLOCK_BYTES))
    block[:8] = bytes(4) + bytes([9, 0, 124, 2])
    place = sum(block[layout : layout + 4]) % 728 + layout + 4
    rest = bytes(block[:place] + block[place + 32 :])
    block[place : place + 32] = hmac.digest(player, rest, "sha256")
    return bytes(block)
