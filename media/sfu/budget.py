"""Token buckets: one rate, or one rate per source within a bounded table.

Called by the UDP mux (STUN, handshakes) and by viewers (retransmissions). Time comes in as an
argument.
"""

from __future__ import annotations

import functools
import ipaddress
from collections import OrderedDict


class Budget:
    """Refills at `rate_per_s` up to `burst`; spending beyond it is refused."""

    __slots__ = ("_burst", "_filled_at_s", "_left", "_rate_per_s")

    def __init__(self, rate_per_s: float, burst: float, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._left = burst
        self._filled_at_s = now_s

    def spend(self, now_s: float, amount: float = 1.0) -> bool:
        """Take `amount` and return True, or take nothing and return False."""
        if now_s > self._filled_at_s:
            earned = (now_s - self._filled_at_s) * self._rate_per_s
            self._left = min(self._burst, self._left + earned)
            self._filled_at_s = now_s
        if self._left < amount:
            return False
        self._left -= amount
        return True


class SourceBudgets:
    """One `Budget` per source host; the source unheard for longest is forgotten when full.

    Whoever has one IPv6 address has its /64 (RFC 6177): that is one source.
    """

    def __init__(self, rate_per_s: float, burst: float, sources_max: int = 4096) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._sources_max = sources_max
        self._budgets: OrderedDict[str, Budget] = OrderedDict()

    def spend(self, source: str, now_s: float) -> bool:
        """Take one token of `source`; False when it has none left."""
        if ":" in source:
            source = name_network(source)
        budget = self._budgets.get(source)
        if budget is None:
            if len(self._budgets) >= self._sources_max:
                self._budgets.popitem(last=False)
            budget = self._budgets[source] = Budget(self._rate_per_s, self._burst, now_s)
        else:
            self._budgets.move_to_end(source)
        return budget.spend(now_s)

    def __len__(self) -> int:
        return len(self._budgets)


@functools.lru_cache(maxsize=1024)
def name_network(ip: str) -> str:
    """Return the /64 of an IPv6 address; IPv4 seen through an IPv6 socket stays one address."""
    try:
        address = ipaddress.IPv6Address(ip.partition("%")[0])
    except ValueError:
        return ip
    return ip if address.ipv4_mapped is not None else str(int(address) >> 64)
