"""Signed-in sockets that follow many rooms each and write to them, in a process of their own.

Every line comes back to the socket that wrote it: the time between is the whole path through the
room's host and PostgreSQL. Offsets are checked room by room.
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
from benchmarks.sockets import PING, PONG, RawSocket, open_socket, split_frames

CHANNELS_PER_REQUEST = 50
ANSWER_TIMEOUT_S = 200.0
ARRIVE_MAX_S = 30.0
EVENT = re.compile(
    rb'"channel":"room:([0-9a-f-]{36})","epoch":"[^"]*","offset":(\d+),"data":.*?#(\d+\.\d+)#'
)
STARTS = re.compile(rb'"room:([0-9a-f-]{36})":\{"epoch":"[^"]*","offset":(\d+)')


@dataclass
class Talker:
    """One socket, the rooms it follows, and what it hears of them."""

    rooms: list[str]
    latencies_s: array[float]
    socket: RawSocket | None = None
    next: dict[bytes, int] = field(default_factory=dict)
    faults: int = 0
    heard: int = 0
    acknowledged: int = 0
    refused: list[str] = field(default_factory=list)
    is_known: bool = False

    def hear(self, socket: RawSocket, data: bytes) -> int:
        """Take in whatever comes."""
        used = 0
        for opcode, payload, end in split_frames(data):
            used = end
            if opcode == PING:
                socket.send(payload, PONG)
            elif b'"type":"ack"' in payload:
                self.acknowledged += 1
            elif payload.startswith(b'{"type":"subscribed"'):
                for room, offset in STARTS.findall(payload):
                    self.next[room] = int(offset) + 1
            elif b'"type":"authenticated"' in payload:
                self.is_known = True
            elif b'"type":"error"' in payload:
                self.refused.append(payload.decode())
            else:
                self._take_events(payload)
        return used

    def _take_events(self, payload: bytes) -> None:
        now_s = time.monotonic()
        for room, offset, sent_s in EVENT.findall(payload):
            self.faults += int(offset) != self.next[room]
            self.next[room] = int(offset) + 1
            self.heard += 1
            self.latencies_s.append(now_s - float(sent_s))

    def say(self, words: dict[str, Any]) -> None:
        """Send a frame."""
        assert self.socket is not None, "it is open before it talks"
        self.socket.send(json.dumps(words).encode())

    async def follow(self, token: str) -> None:
        """Sign in and follow every room, a request at a time, again where the edge was busy."""
        self.say({"type": "authenticate", "token": token})
        while len(self.next) < len(self.rooms) or not self.is_known:
            waiting = [f"room:{room}" for room in self.rooms if room.encode() not in self.next]
            before = len(self.next) + len(self.refused)
            for channel in waiting[:CHANNELS_PER_REQUEST]:
                # One by one: a request with fifty would wait for fifty rooms in turn.
                self.say({"type": "subscribe", "channels": [channel]})
                while len(self.next) + len(self.refused) == before:
                    await asyncio.sleep(0.002)
                before = len(self.next) + len(self.refused)
            self.refused.clear()


async def talk(talkers: list[Talker], per_s: float, seconds: float) -> int:
    """Write to all rooms in turn at the given rate; returns how many lines were sent."""
    order = [
        (talker, talker.rooms[index])
        for index in range(max(len(one.rooms) for one in talkers))
        for talker in talkers
        if index < len(talker.rooms)
    ]
    started_s, sent, total = time.monotonic(), 0, round(per_s * seconds)
    while sent < total:
        due = min(total, int((time.monotonic() - started_s) * per_s) + 1)
        while sent < due:
            talker, room = order[sent % len(order)]
            now_s = time.monotonic()
            words = {"client_id": f"{sent}-{now_s:.6f}", "text": f"line #{now_s:.6f}#"}
            talker.say({"type": "chat_send", "room": room, **words})
            sent += 1
        await asyncio.sleep(0.005)
    return sent


async def run(task: dict[str, Any]) -> None:
    """Follow what the parent names, then talk whenever it says so."""
    latencies_s: array[float] = array("d")
    talkers = [Talker(rooms, latencies_s) for rooms in task["rooms"]]
    tokens = [task["tokens"][number % len(task["tokens"])] for number in range(len(talkers))]
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        for talker in talkers:
            talker.socket = await open_socket(task["url"], talker.hear)
        await asyncio.gather(
            *(talker.follow(token) for talker, token in zip(talkers, tokens, strict=True))
        )
    tell_parent({"following": sum(len(talker.next) for talker in talkers)})
    while True:
        order = await asyncio.to_thread(hear_parent)
        before = sum(talker.heard for talker in talkers)
        del latencies_s[:]
        sent = await talk(talkers, order["per_s"], order["seconds"])
        end_s = time.monotonic() + ARRIVE_MAX_S
        while sum(one.heard for one in talkers) - before < sent and time.monotonic() < end_s:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        latencies_ms = np.array(latencies_s) * 1000
        tell_parent(
            {
                "sent": sent,
                "heard": sum(talker.heard for talker in talkers) - before,
                "faults": sum(talker.faults for talker in talkers),
                "refused": [text for talker in talkers for text in talker.refused][:3],
                "p50_ms": float(np.percentile(latencies_ms, 50)),
                "p99_ms": float(np.percentile(latencies_ms, 99)),
            }
        )


if __name__ == "__main__":
    uvloop.run(run(hear_parent()))
