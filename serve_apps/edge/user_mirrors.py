"""People as this edge shows them: their durable channel, their sockets, whether they are there.

`user:{id}` is for the person alone, `presence:{id}` for whoever may see it; one hosted session
stands behind both. What goes for every durable channel is in `channel_mirrors.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from actors.hosting.core import ObjectKey
from actors.user_session.client import UserClient
from actors.user_session.messages import SocketsReport
from kit.metrics import SOCKET_DELIVERIES
from serve_apps.edge.channel_mirrors import ChannelMirror, History, MirrorShelf
from serve_apps.edge.followers import Follower
from serve_apps.edge.socket_frames import join_events, write_ephemeral_event

PRESENCE = "presence"
REPORT_EVERY_S = 0.2
ACTIVITY_EVERY_S = 30.0


class UserMirror(ChannelMirror):
    """One person on this edge."""

    OPEN_TIMEOUT_S = 30.0
    """Nobody is held up meanwhile, and to ask again earlier would be to begin anew."""

    def __init__(
        self,
        key: ObjectKey,
        history: History,
        client: UserClient,
        activity_every_s: float = ACTIVITY_EVERY_S,
    ) -> None:
        super().__init__(key, history)
        self._activity_every_s = activity_every_s
        self.presence_channel = f"{PRESENCE}:{key.id}"
        self._client = client
        self._logins: Counter[str] = Counter()
        self._attended = 0
        self._watchers: dict[Follower, None] = {}
        self._presence: bytes | None = None
        self._reporting: asyncio.TimerHandle | None = None
        self._active_at_s = float("-inf")

    # The person's own sockets

    def count_socket(self, login: str, change: int, *, is_attended: bool) -> None:
        """Count a socket of the person in (+1) or out (-1); the host hears of it soon."""
        self._logins[login] += change
        if self._logins[login] <= 0:
            del self._logins[login]
        self.count_attention(change if is_attended else 0)

    def count_attention(self, change: int) -> None:
        """Count a page that somebody is at in (+1) or out (-1); the host hears of it soon."""
        self._attended += change
        if self._reporting is None:
            loop = asyncio.get_running_loop()
            self._reporting = loop.call_later(REPORT_EVERY_S, self._report)

    def note_activity(self, now_s: float) -> None:
        """The person did something; the host hears of it now and then."""
        if now_s - self._active_at_s >= self._activity_every_s:
            self._active_at_s = now_s
            self._client.report_activity(self.key.id)

    # Whoever may see whether the person is there

    @property
    def watchers(self) -> list[Follower]:
        """The sockets that are shown whether the person is there."""
        return list(self._watchers)

    def watch_presence(self, socket: Follower) -> None:
        """Show the person's presence to a socket from now on, first as it is."""
        self._watchers[socket] = None
        self.repeat_presence(socket)

    def unwatch_presence(self, socket: Follower) -> None:
        """Stop showing the person's presence to a socket."""
        self._watchers.pop(socket, None)

    def repeat_presence(self, socket: Follower) -> None:
        """Send the presence when it is known."""
        if self._presence is not None:
            socket.send(self._presence)

    def show(self, kind: str, data: bytes) -> None:
        """Show a latest state; a socket that lags hears the presence later."""
        if kind != PRESENCE:
            super().show(kind, data)
            return
        frame = join_events([write_ephemeral_event(kind, self.presence_channel, data)])
        self._presence = frame
        for socket in list(self._watchers):
            if not socket.send(frame):
                socket.skip(self.presence_channel)
        SOCKET_DELIVERIES.labels("ephemeral").inc(len(self._watchers))

    def stop(self) -> None:
        """Forget what is due; the host sees the person go when this edge closes the session."""
        super().stop()
        if self._reporting is not None:
            self._reporting.cancel()

    def _report(self) -> None:
        self._reporting = None
        report = SocketsReport(dict(self._logins), is_attended=self._attended > 0)
        self._client.report_sockets(self.key.id, report)


UserMirrors = MirrorShelf[UserMirror]
"""All people whose sockets or presence this edge shows."""
