"""Older entries of one channel, read from its host a page at a time and once for everybody.

After an edge died, thousands come back with offsets that the next edge has not seen: they share
aligned pages instead of asking one by one. A page is forgotten seconds after it was read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

PAGE = 200
PAGES_MAX = 8
KEPT_S = 10.0

Line = tuple[int, bytes]
"""An event's offset and its JSON."""


class ChannelPages:
    """`read(seq, limit)` returns the lines after `seq`, oldest first; its errors pass through."""

    def __init__(self, read: Callable[[int, int], Awaitable[list[Line]]]) -> None:
        self._read = read
        self._pages: dict[int, asyncio.Future[list[Line]]] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}

    async def read_after(self, offset: int) -> list[Line]:
        """Return what follows `offset`: the rest of its page."""
        number = offset // PAGE
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= PAGES_MAX:
                self._forget(next(iter(self._pages)))
            page = asyncio.ensure_future(self._read(number * PAGE, PAGE))
            self._pages[number] = page
            page.add_done_callback(lambda done: self._keep(number, done))
        # Shielded: a reader that goes away must not take the others' answer with it.
        lines = await asyncio.shield(page)
        return [line for line in lines if line[0] > offset]

    def clear(self) -> None:
        """Forget every page."""
        for number in list(self._pages):
            self._forget(number)

    def _keep(self, number: int, page: asyncio.Future[list[Line]]) -> None:
        """Keep a whole page for a while; one that failed or is still growing is asked for anew."""
        if self._pages.get(number) is not page:
            return
        if page.cancelled() or page.exception() is not None or len(page.result()) < PAGE:
            self._forget(number)
            return
        loop = asyncio.get_running_loop()
        self._timers[number] = loop.call_later(KEPT_S, self._forget, number)

    def _forget(self, number: int) -> None:
        self._pages.pop(number, None)
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()
