"""Puts a slate where a publisher's pictures stay away, for as long as they do.

`broadcasts.py` runs it beside each publisher's storing; `media.live.slates` encodes what it shows.
"""

from __future__ import annotations

import asyncio

from kit.metrics import LIVE_SLATES, LIVE_SLATES_SHOWN
from media.live.continuity import Continuity
from media.live.slates import Slate, SlateBook

LOOK_EVERY_S = 0.2
"""Shorter than a part: players wait for the next one hardly longer than a publisher makes them."""


async def show_slates(continuity: Continuity, slates: SlateBook) -> None:
    """Show a slate whenever one is due, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if not continuity.is_near:
            continue
        slate = await slates.get(continuity.get_shape())
        if slate is not None and continuity.is_due:  # it may have come back meanwhile
            LIVE_SLATES_SHOWN.inc()
            await _show(continuity, slate)


async def _show(continuity: Continuity, slate: Slate) -> None:
    """Go on with a slate until the publisher's picture is back."""
    with LIVE_SLATES.track_inprogress():
        continuity.show(slate)
        while continuity.is_showing:
            await asyncio.sleep(LOOK_EVERY_S)
            if continuity.is_showing:
                continuity.show(slate)
