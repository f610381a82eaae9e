"""What the simulation found: each fixed fault keeps a world in which it shows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace

import pytest

from actors.hosting.core import HostRef, TickOutcome
from actors.hosting.entries import Batch
from storage.database import DatabaseBusy, WriteOutcomeUnknown
from tests.actors.hosting.sim.plan import Line, draw_plan
from tests.actors.hosting.sim.site import Parts
from tests.actors.hosting.sim.store import SimStore, Wire
from tests.actors.hosting.sim.world import World

pytestmark = pytest.mark.unit

CALM = replace(
    draw_plan(0),
    hosts=1,
    objects=1,
    clients=["edge-0", "edge-1"],
    starts_s=[0.0],
    clocks=dict.fromkeys(("host-0", "edge-0", "edge-1"), (1.0, 0.0)),
    follows={"edge-0": [0], "edge-1": [0]},
    lines=[Line(1.0, "edge-0", 0, 1, "c0")],
    publications=[],
    endings=[],
    faults=[],
    wire=Wire(),
    ends_s=3.0,
)
"""One host, two edges that follow one room, and one line."""


class LateOnce(SimStore):
    """The first write is executed long after its sender heard that the connection died."""

    writes = 0

    async def write(
        self, kind: str, host: HostRef, batches: Mapping[uuid.UUID, Batch]
    ) -> TickOutcome:
        self.writes += 1
        if self.writes == 1:
            late = self._server.write(kind, host, batches)
            self._timeline.after(0.03, self._server.run, late, lambda _result, _error: None)
            raise WriteOutcomeUnknown
        if self.writes == 2:
            raise DatabaseBusy(retry_after_s=1)
        return await super().write(kind, host, batches)


def test_a_line_that_a_late_statement_stored_is_shown_when_its_sender_repeats_it() -> None:
    """It was acknowledged as a repeat, and nobody saw it before the room's next line."""
    world = World(CALM, Parts(store=LateOnce))
    world.run()
    (follower, _) = world.history.followers.values()
    assert follower.head == 1
