"""Ephemeral channels on this edge: posts, videos and people, heard from the bus.

A message becomes one frame for all followers. Whoever subscribes first hears the latest state of
the channel; nothing is numbered and nothing is replayed.
"""

from __future__ import annotations

import msgspec

from kit.metrics import SOCKET_DELIVERIES
from serve_apps.edge.followers import Follower
from serve_apps.edge.socket_frames import join_events, write_ephemeral_event
from storage.cache import Cache, Ephemeral, EphemeralBus


class EphemeralChannels:
    """Followers by channel name; owns the listening side of the bus."""

    def __init__(self, cache_url: str, cache: Cache) -> None:
        self._cache = cache
        self._followers: dict[str, dict[Follower, None]] = {}
        self._bus = EphemeralBus(cache_url, self.show)

    def start(self) -> None:
        """Begin listening."""
        self._bus.start()

    async def close(self) -> None:
        """Stop listening."""
        await self._bus.close()

    def attach(self, socket: Follower, channel: str) -> None:
        """Show the channel to a socket from now on."""
        followers = self._followers.get(channel)
        if followers is None:
            followers = self._followers[channel] = {}
            self._bus.subscribe([channel])
        followers[socket] = None

    def detach(self, socket: Follower, channel: str) -> None:
        """Stop showing the channel to a socket."""
        followers = self._followers.get(channel)
        if followers is not None:
            followers.pop(socket, None)
            if not followers:
                del self._followers[channel]
                self._bus.unsubscribe([channel])

    def list_followers(self, channel: str) -> list[Follower]:
        """Return who is shown the channel."""
        return list(self._followers.get(channel, ()))

    async def repeat_latest(self, socket: Follower, channel: str) -> None:
        """Send the latest states of a channel, when they are known."""
        for message in await self._cache.list_latest(channel):
            socket.send(_write(message))

    def show(self, message: Ephemeral) -> None:
        """Write one frame to everybody who follows; who lags gets the latest state afterwards."""
        followers = self._followers.get(message.channel)
        if followers:
            frame = _write(message)
            for socket in list(followers):
                if not socket.send(frame):
                    socket.skip(message.channel)
            SOCKET_DELIVERIES.labels("ephemeral").inc(len(followers))


def _write(message: Ephemeral) -> bytes:
    data = msgspec.json.encode(message.data)
    return join_events([write_ephemeral_event(message.kind, message.channel, data)])
