"""How many DTLS handshakes may start, by source and altogether, and how they ended.

Owned by `server`. A handshake costs a thousand times what a packet does.
"""

from __future__ import annotations

from media.sfu.budget import Budget, SourceBudgets


class Handshakes:
    """Admits handshakes at a rate; `done` and `failed` count what became of them."""

    def __init__(self, per_s: float, per_source_per_s: float, now_s: float) -> None:
        self.done = 0
        self.failed = 0
        self._all = Budget(per_s, per_s, now_s)
        self._sources = SourceBudgets(per_source_per_s, 4 * per_source_per_s)

    def may_start(self, source_ip: str, now_s: float) -> bool:
        """Tell whether one may start now, and count it if so."""
        return self._sources.spend(source_ip, now_s) and self._all.spend(now_s)
