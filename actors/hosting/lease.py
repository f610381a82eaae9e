"""A host's lease as the host sees it: renewing, and knowing for itself when it has lapsed.

`host.py` owns one. The database judges expiry by its own clock; the host judges by CLOCK_BOOTTIME
taken before the renewal was sent, minus a second, so it stops before anyone else may take over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from actors.hosting.core import HostRef
from actors.hosting.ports import HostStore
from kit.clock import Clock
from kit.errors import AppError
from kit.logs import get_log

log = get_log("host")

MARGIN_S = 1.0


@dataclass(frozen=True)
class LeaseTerms:
    """Whose lease, and how long it lasts."""

    host: HostRef
    ttl_s: float
    renew_every_s: float


class Lease:
    """Renewed by `run()` until cancelled or fenced."""

    def __init__(self, store: HostStore, clock: Clock, terms: LeaseTerms) -> None:
        self._store = store
        self._clock = clock
        self._terms = terms
        self._held_until_s = 0.0
        self.is_fenced = False

    @property
    def is_held(self) -> bool:
        """Whether this host may still believe that it is the owner."""
        return not self.is_fenced and self._clock.monotonic_s() < self._held_until_s

    async def renew(self) -> bool:
        """Renew once; False when this incarnation was fenced. Raises when storage is away.

        Returns only after this host's own writes in flight have ended, whatever their outcome.
        """
        asked_s = self._clock.monotonic_s()
        async with asyncio.timeout(self._terms.ttl_s / 2):
            is_ours = await self._store.renew(self._terms.host, self._terms.ttl_s)
        if not is_ours:
            self.is_fenced = True
            return False
        self._held_until_s = asked_s + self._terms.ttl_s - MARGIN_S
        return True

    async def run(self, on_fenced: Callable[[], None]) -> None:
        """Renew for ever; call `on_fenced` and return once fenced."""
        while True:
            try:
                if not await self.renew():
                    log.warning("host.fenced", incarnation=self._terms.host[1])
                    on_fenced()
                    return
            except (AppError, TimeoutError) as error:
                log.warning("host.lease_not_renewed", error=type(error).__name__)
            except Exception as error:  # whatever storage says, the lease must go on or lapse
                log.exception("host.lease_not_renewed", error=type(error).__name__)
            await asyncio.sleep(self._terms.renew_every_s)
