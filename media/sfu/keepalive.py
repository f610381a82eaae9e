"""A sign of life for viewers whose room is silent, so that they can tell it from a dead edge.

Called by `server` on its ticks. An empty report (RFC 3550 §6.4.2) three times a second to those who
got nothing else since the last look; players take a second without any packet for the edge's death.
"""

from __future__ import annotations

from collections.abc import Iterable

from media.sfu.rtcp import build_empty_report
from media.sfu.session import LocalPublisher, PeerSession, ViewerSession

EVERY_S = 0.3


class KeepAlive:
    """What each viewer had been sent at the last look."""

    def __init__(self) -> None:
        self._looked_at_s = float("-inf")
        self._sent: dict[str, int] = {}

    def run(self, sessions: Iterable[PeerSession | LocalPublisher], now_s: float) -> None:
        """Send what is due."""
        if now_s - self._looked_at_s < EVERY_S:
            return
        self._looked_at_s = now_s
        before, self._sent = self._sent, {}
        for session in sessions:
            if not isinstance(session, ViewerSession) or not session.is_connected:
                continue
            if before.get(session.session_id) == session.packets_out:
                session.send_rtcp(build_empty_report())
            self._sent[session.session_id] = session.packets_out
