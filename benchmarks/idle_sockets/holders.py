"""The clients of a run, in a process of their own: they open sockets, answer pings, and wait."""

from __future__ import annotations

import asyncio
import json

import uvloop

from benchmarks.children import hear_parent, tell_parent
from benchmarks.sockets import PING, PONG, RawSocket, open_sockets, split_frames

ANSWER_TIMEOUT_S = 60.0


class Holder:
    """One idle client; it remembers whether the server took its subscription."""

    is_subscribed = False

    def hear(self, socket: RawSocket, data: bytes) -> int:
        """Answer pings."""
        used = 0
        for opcode, payload, end in split_frames(data):
            used = end
            if opcode == PING:
                socket.send(payload, PONG)
            elif payload.startswith(b'{"type":"subscribed"'):
                self.is_subscribed = True
        return used


async def hold(url: str, count: int, channel: str) -> None:
    """Open the sockets, say so, wait for the parent's word, and say how many are open still."""
    holders = [Holder() for _ in range(count)]
    words = json.dumps({"type": "subscribe", "channels": [channel]}).encode() if channel else b""
    sockets = await open_sockets(url, [holder.hear for holder in holders], words)
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        while channel and not all(holder.is_subscribed for holder in holders):
            await asyncio.sleep(0.05)
    tell_parent({"open": len(sockets)})
    await asyncio.to_thread(hear_parent)
    tell_parent({"open": sum(not socket.closed.done() for socket in sockets)})


if __name__ == "__main__":
    task = hear_parent()
    uvloop.run(hold(task["url"], task["count"], task["channel"]))
