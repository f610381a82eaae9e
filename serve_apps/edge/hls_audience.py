"""Who watches lives by HLS at this edge: players that ask for playlists again and again.

`live_hls.py` notes each request for a track's playlist; a player that asks no more has left. People
are known by the grant in their address, strangers by address and browser. Rooms hear of them as of
any other player. What a CDN answers is not seen here.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from actors.live_room.messages import Way
from kit.metrics import HLS_VIEWERS_UNCOUNTED
from media.live.fragments import TARGET_DURATION_S
from serve_apps.edge.room_mirrors import RoomMirrors
from serve_apps.edge.visits import mark_visit

LEAVE_AFTER_S = 4.0 * TARGET_DURATION_S
"""Longer than a blocking reload may wait."""
SWEEP_EVERY_S = 1.0
PLAYERS_MAX = 20_000
STRANGERS_PER_CALLER_MAX = 50
"""Browsers of one address that count: more are made up."""


class HlsPlayer(NamedTuple):
    """One player of one room; a person's are one, a stranger's are told apart by `mark`."""

    room_id: uuid.UUID
    user_id: uuid.UUID | None
    caller: str
    mark: bytes


def make_player(
    room_id: uuid.UUID, user_id: uuid.UUID | None, *, caller: str, agent: str
) -> HlsPlayer:
    """Return who asks; of a person, where they ask from does not matter."""
    if user_id is not None:
        return HlsPlayer(room_id, user_id, "", b"")
    return HlsPlayer(room_id, None, caller, mark_visit(caller, agent))


class HlsAudience:
    """The players of one edge, those first that asked the longest ago."""

    def __init__(
        self,
        rooms: RoomMirrors,
        now_s: Callable[[], float],
        *,
        leave_after_s: float = LEAVE_AFTER_S,
        players_max: int = PLAYERS_MAX,
    ) -> None:
        self._rooms = rooms
        self._now_s = now_s
        self._leave_after_s = leave_after_s
        self._players_max = players_max
        self._asked_s: OrderedDict[HlsPlayer, float] = OrderedDict()
        self._strangers: Counter[tuple[uuid.UUID, str]] = Counter()

    def __len__(self) -> int:
        return len(self._asked_s)

    def note(self, player: HlsPlayer) -> None:
        """A player asks for a playlist; one that is beyond the limits is not counted."""
        if player not in self._asked_s:
            if not self._may_come(player):
                HLS_VIEWERS_UNCOUNTED.inc()
                return
            if player.user_id is None:
                self._strangers[player.room_id, player.caller] += 1
            mirror = self._rooms.hold(player.room_id)
            mirror.count_watcher(player.user_id, Way.HLS, +1, player.mark)
        self._asked_s[player] = self._now_s()
        self._asked_s.move_to_end(player)

    def sweep(self) -> None:
        """Let go of players that ask no more."""
        limit_s = self._now_s() - self._leave_after_s
        while self._asked_s:
            player, asked_s = next(iter(self._asked_s.items()))
            if asked_s > limit_s:
                return
            self._leave(player)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            self.sweep()

    # Within

    def _may_come(self, player: HlsPlayer) -> bool:
        if len(self._asked_s) >= self._players_max:
            return False
        known = self._strangers[player.room_id, player.caller] if player.user_id is None else 0
        return known < STRANGERS_PER_CALLER_MAX

    def _leave(self, player: HlsPlayer) -> None:
        del self._asked_s[player]
        if player.user_id is None:
            place = (player.room_id, player.caller)
            self._strangers[place] -= 1
            if not self._strangers[place]:
                del self._strangers[place]
        mirror = self._rooms.find(player.room_id)
        assert mirror is not None, "a player holds its room"
        mirror.count_watcher(player.user_id, Way.HLS, -1)
        self._rooms.release(player.room_id)
