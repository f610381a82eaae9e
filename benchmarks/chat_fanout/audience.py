"""The audience of a run and its speakers, in a process of their own: who sends, and who hears what.

Started by `rounds.py`, which it tells by JSON lines when everybody listens, and what was heard. One
parser serves every server: a message carries its offset and, in its text, the moment it was sent.
Every socket checks that the offsets it hears follow one another.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvloop

from benchmarks.children import hear_parent, tell_parent
from benchmarks.sockets import PING, PONG, TEXT, RawSocket, open_socket, open_sockets, split_frames

EVENT = re.compile(rb'"offset":(\d+),"data":.*?#(\d+\.\d+)#')
START = re.compile(rb'"offset":(\d+)')
REMEMBERED_MAX = 500
SETTLE_S = 1.0
ARRIVE_MAX_S = 30.0
AFTER_S = 0.2
"""After the last message: one that came twice would show."""
OPEN_MAX_S = 60.0


@dataclass(frozen=True)
class Task:
    """What to do: where, how many listen, how often is spoken and for how long.

    With a `room` it is the product that is spoken to, by `tokens` in turn; else the peer hands on
    what it is sent, and the message is made `event_bytes` long.
    """

    url: str
    send_url: str
    viewers: int
    per_s: int
    seconds: float
    room: str = ""
    tokens: tuple[str, ...] = ()
    event_bytes: int = 0


@dataclass(frozen=True)
class Facts:
    """What a chunk of bytes says: the offsets it spans, when each was sent, whether it pings."""

    used: int
    first: int = 0
    last: int = 0
    sent_s: tuple[float, ...] = ()
    start: int | None = None
    is_ping: bool = False
    frames: int = 0


@dataclass
class Hall:
    """What all sockets share: the meaning of bytes seen before, and the record of a run."""

    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    sizes: dict[int, int] = field(default_factory=dict)
    _facts: dict[bytes, Facts] = field(default_factory=dict)

    def read(self, data: bytes) -> Facts:
        """Return what the bytes say; parsed once for all sockets."""
        facts = self._facts.get(data)
        if facts is None:
            if len(self._facts) > REMEMBERED_MAX:
                self._facts.clear()
            facts = self._facts[data] = self._parse(data)
        return facts

    def _parse(self, data: bytes) -> Facts:
        used, start, is_ping, frames = 0, None, False, 0
        events: list[tuple[int, float]] = []
        for opcode, payload, end in split_frames(data):
            used = end
            is_ping = is_ping or opcode == PING
            if opcode != TEXT:
                continue
            if payload.startswith(b'{"type":"subscribed"'):
                found = START.search(payload)
                start = int(found[1]) if found else None
                continue
            heard = [(int(offset), float(at)) for offset, at in EVENT.findall(payload)]
            events += heard
            frames += bool(heard)
            if len(heard) == 1:
                self.sizes[heard[0][0]] = len(payload)
        if not events:
            return Facts(used, start=start, is_ping=is_ping)
        offsets = [offset for offset, _ in events]
        assert offsets == list(range(offsets[0], offsets[-1] + 1)), f"a gap in a frame: {offsets}"
        sent_s = tuple(at for _, at in events)
        return Facts(used, offsets[0], offsets[-1], sent_s, start, is_ping, frames)


@dataclass
class Listener:
    """One socket's ears: the next offset it must hear, and what was wrong."""

    hall: Hall
    next: int = 1
    faults: int = 0
    frames: int = 0
    ready: bool = False

    def hear(self, socket: RawSocket, data: bytes) -> int:
        """Take in bytes; returns how many were whole frames."""
        facts = self.hall.read(data)
        if facts.sent_s:
            now_s = time.monotonic()
            if facts.first != self.next:
                self.faults += 1
            self.next = facts.last + 1
            self.frames += facts.frames
            for sent_s in facts.sent_s:
                self.hall.latencies_s.append(now_s - sent_s)
        elif facts.start is not None:
            self.next, self.ready = facts.start + 1, True
        if facts.is_ping:
            socket.send(b"", PONG)
        return facts.used


@dataclass
class Speaker:
    """A socket that speaks; it counts what was acknowledged and keeps what was refused."""

    socket: RawSocket | None = None
    acknowledged: int = 0
    refused: list[str] = field(default_factory=list)
    is_known: bool = False

    def hear(self, socket: RawSocket, data: bytes) -> int:
        """Take in answers; what the audience hears means nothing here."""
        used = 0
        for opcode, payload, end in split_frames(data):
            used = end
            if opcode == PING:
                socket.send(payload, PONG)
            elif b'"type":"ack"' in payload:
                self.acknowledged += 1
            elif b'"type":"error"' in payload:
                self.refused.append(payload.decode())
            elif b'"type":"authenticated"' in payload:
                self.is_known = True
        return used


async def wait_until(check: Any, max_s: float) -> bool:
    """Wait until `check` holds; False when it did not in time."""
    end_s = time.monotonic() + max_s
    while not check():
        if time.monotonic() > end_s:
            return False
        await asyncio.sleep(0.02)
    return True


async def open_audience(task: Task, hall: Hall) -> tuple[list[Listener], list[RawSocket]]:
    """Open every listening socket and, with the product, follow the room."""
    listeners = [Listener(hall) for _ in range(task.viewers)]
    channels = {"type": "subscribe", "channels": [f"room:{task.room}"]}
    words = json.dumps(channels).encode() if task.room else b""
    sockets = await open_sockets(task.url, [listener.hear for listener in listeners], words)
    if task.room:
        is_ready = await wait_until(lambda: all(one.ready for one in listeners), OPEN_MAX_S)
        assert is_ready, "every socket follows the room before anything is said"
    return listeners, sockets


async def open_speakers(task: Task) -> list[Speaker]:
    """Open the sockets that speak; with the product each speaks for somebody."""
    speakers = [Speaker() for _ in task.tokens or ("",)]
    for speaker, token in zip(speakers, task.tokens or ("",), strict=True):
        speaker.socket = await open_socket(task.send_url, speaker.hear)
        if token:
            words = {"type": "authenticate", "token": token}
            speaker.socket.send(json.dumps(words).encode())
            assert await wait_until(lambda one=speaker: one.is_known, OPEN_MAX_S), "a login failed"
    return speakers


def write_line(task: Task, number: int) -> bytes:
    """Return one message, with the moment it is sent."""
    now_s = time.monotonic()
    text = f"line {number} #{now_s:.6f}#"
    if task.room:
        line = {"client_id": f"{number}-{now_s:.6f}", "text": text}
        return json.dumps({"type": "chat_send", "room": task.room, **line}).encode()
    event = b'{"type":"chat_message","offset":%d,"data":{"text":"%b"' % (number, text.encode())
    return event + b',"pad":"' + b"x" * (task.event_bytes - len(event) - 11) + b'"}}'


async def speak(task: Task, speakers: list[Speaker]) -> int:
    """Send at the given rate; returns how many messages were sent."""
    started_s = time.monotonic()
    sent = 0
    total = round(task.per_s * task.seconds)
    while sent < total:
        await asyncio.sleep(started_s + sent / task.per_s - time.monotonic())
        socket = speakers[sent % len(speakers)].socket
        assert socket is not None, "speakers are open before they speak"
        sent += 1
        socket.send(write_line(task, sent))
    return sent


async def run(task: Task) -> None:
    """Gather, speak, wait until everybody heard everything, and report."""
    hall = Hall()
    listeners, sockets = await open_audience(task, hall)
    speakers = await open_speakers(task)
    await asyncio.sleep(SETTLE_S)
    tell_parent({"ready": True})
    await asyncio.to_thread(hear_parent)
    spent_s, ends = time.process_time(), [one.next for one in listeners]
    sent = await speak(task, speakers)
    ends = [end + sent for end in ends]
    await wait_until(
        lambda: all(one.next >= end for one, end in zip(listeners, ends, strict=True)),
        ARRIVE_MAX_S,
    )
    await asyncio.sleep(AFTER_S)
    latencies_ms = np.frombuffer(hall.latencies_s) * 1000
    sizes = list(hall.sizes.values()) or [0]
    result = {
        "sent": sent,
        "acknowledged": sum(one.acknowledged for one in speakers),
        "refused": [text for one in speakers for text in one.refused][:3],
        "deliveries": len(latencies_ms),
        "astray": sum(abs(end - one.next) for one, end in zip(listeners, ends, strict=True)),
        "faults": sum(one.faults for one in listeners),
        "frames": listeners[0].frames,
        "p50_ms": float(np.percentile(latencies_ms, 50)),
        "p99_ms": float(np.percentile(latencies_ms, 99)),
        "event_bytes": round(sum(sizes) / len(sizes)),
        "cpu_s": time.process_time() - spent_s,
    }
    tell_parent(result)
    for socket in sockets:
        socket.abort()


def main() -> None:
    """Take the task from the first line of standard input."""
    values = hear_parent()
    uvloop.run(run(Task(**{**values, "tokens": tuple(values.get("tokens", ()))})))


if __name__ == "__main__":
    main()
