"""Handshakes under way, a little of them in each turn of the event loop.

Owned by `server`. Our side's work on one is 0.4 ms (benchmarks/sfu_fanout): a crowd that joins at
once would otherwise hold up the packets of everybody who watches already.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from media.sfu.session import PeerSession

TURN_S = 0.002
WAITING_MAX = 1024
SESSION_WAITING_MAX = 16
"""Of one session; a client's longest flight is five datagrams."""


class HandshakeTurns:
    """Datagrams in the order of arrival; `advance` works one off. Whoever finds it full repeats."""

    def __init__(
        self,
        advance: Callable[[PeerSession, bytes], None],
        run_next_turn: Callable[[Callable[[], None]], None],
        now: Callable[[], float],
    ) -> None:
        self._advance = advance
        self._run_next_turn = run_next_turn
        self._now = now
        self._waiting: deque[tuple[PeerSession, bytes]] = deque()
        self._counts: Counter[str] = Counter()
        """By session, of those that wait."""
        self._is_scheduled = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, session: PeerSession, datagram: bytes) -> bool:
        """Take a datagram for the next turns; False when too many wait, or of its session."""
        own = self._counts[session.session_id]
        if len(self._waiting) >= WAITING_MAX or own >= SESSION_WAITING_MAX:
            return False
        self._waiting.append((session, datagram))
        self._counts[session.session_id] += 1
        self._schedule()
        return True

    def _work(self) -> None:
        """Work for at most `TURN_S` and one datagram, then let the loop do everything else."""
        self._is_scheduled = False
        started_s = self._now()
        try:
            while self._waiting:
                session, datagram = self._take()
                if session.is_open:
                    self._advance(session, datagram)
                if self._now() - started_s >= TURN_S:
                    break
        finally:
            if self._waiting:
                self._schedule()

    def _take(self) -> tuple[PeerSession, bytes]:
        """Return what waited longest."""
        session, datagram = self._waiting.popleft()
        self._counts[session.session_id] -= 1
        if not self._counts[session.session_id]:
            del self._counts[session.session_id]
        return session, datagram

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._run_next_turn(self._work)
