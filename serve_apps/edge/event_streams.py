"""Server-sent events (WHATWG HTML, 9.2) as a follower: the socket's frames over plain HTTP.

For clients that cannot open a WebSocket; `event_server.py` takes what they say. Each frame of the
socket is one message, whose id says where every durable channel stands: `Last-Event-ID` resumes all
of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import msgspec

from serve_apps.edge.followers import CALM_POLL_S, Follower
from serve_apps.edge.socket_frames import read_payload, write_json
from serve_apps.edge.socket_words import CloseCode, Position

BEAT_EVERY_S = 15.0
"""Proxies end what is silent for half a minute or more; a comment keeps it open."""
LAST_CHUNK = b"0\r\n\r\n"
BEAT = b": still here\n\n"
POSITION_CHARS_MAX = 8192
OFFSET_DIGITS_MAX = 18


class _Numbered(msgspec.Struct):
    """What of a frame says where a channel stands; the rest is not looked at."""

    type: str = ""
    channel: str = ""
    epoch: str = ""
    offset: int | None = None
    events: list[_Numbered] = []


_DECODER = msgspec.json.Decoder(_Numbered)


def write_positions(positions: Mapping[str, Position]) -> str:
    """Write where channels stand as the id of a message."""
    return ",".join(f"{name}={p.epoch}:{p.offset}" for name, p in positions.items())


def read_positions(text: str) -> dict[str, Position]:
    """Read what `write_positions` wrote; a part that is none is left out: that channel is fresh."""
    positions = {}
    for part in text[:POSITION_CHARS_MAX].split(","):
        name, _, position = part.partition("=")
        epoch, _, digits = position.partition(":")
        if name and digits.isascii() and digits.isdigit() and len(digits) <= OFFSET_DIGITS_MAX:
            positions[name] = Position(epoch, int(digits))
    return positions


class EventStream(Follower):
    """One answer that does not end; its body is chunked (RFC 9112, 7.1), a message per chunk."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.ended = asyncio.Event()
        self._positions: dict[str, Position] = {}
        self._beat_at_s = time.monotonic()

    def look_after(self, now_s: float) -> None:
        """Keep proxies from ending the stream, and notice that the client is gone."""
        if not self.is_open:
            self.ended.set()
        elif now_s - self._beat_at_s > BEAT_EVERY_S and self.lagging_since_s is None:
            self._beat_at_s = now_s
            self.transport.write(_chunk(BEAT))

    def _wrap(self, frame: bytes) -> bytes:
        payload = read_payload(frame)
        head = b""
        if self._note_positions(payload):
            head = b"id: " + write_positions(self._positions).encode() + b"\n"
        return _chunk(head + b"data: " + payload + b"\n\n")

    def _note_positions(self, payload: bytes) -> bool:
        """Remember where channels stand after this frame; whether anything moved."""
        seen = _DECODER.decode(payload)
        if seen.type == "subscribed":
            fields = msgspec.json.decode(payload)
            moved = {
                name: Position(state["epoch"], state["offset"])
                for name, state in fields.items()
                if isinstance(state, dict) and "offset" in state
            }
        else:
            moved = {
                event.channel: Position(event.epoch, event.offset)
                for event in (seen.events or [seen])
                if event.channel and event.offset is not None
            }
        self._positions.update(moved)
        return bool(moved)

    async def _say_goodbye(self, code: CloseCode) -> None:
        closed = {"type": "closed", "code": int(code), "reason": code.name.lower()}
        self.transport.write(self._wrap(write_json(closed)) + LAST_CHUNK)
        self.transport.close()
        self.ended.set()
        while self.transport.get_write_buffer_size():  # noqa: ASYNC110 - a transport does not tell
            await asyncio.sleep(CALM_POLL_S)


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)
