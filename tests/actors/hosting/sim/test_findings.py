"""What the simulation found: each fixed fault keeps a world in which it shows."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from actors.hosting.core import HostRef, ObjectKey, TickOutcome
from actors.hosting.entries import Batch
from storage.database import DatabaseBusy, WriteOutcomeUnknown
from tests.actors.hosting.sim.plan import Line, draw_plan
from tests.actors.hosting.sim.site import Parts, Process
from tests.actors.hosting.sim.store import SimStore, Wire
from tests.actors.hosting.sim.world import World

pytestmark = pytest.mark.unit

CALM = replace(
    draw_plan(0),
    hosts=1,
    objects=1,
    others=[],
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


class LateRelease(SimStore):
    """An object is given up long after its host heard that the connection died."""

    async def release(self, key: ObjectKey, host: HostRef, number: int) -> bool:
        late = self._server.release_placement(key, host, number)
        self._timeline.after(1.5, self._server.run, late, lambda _result, _error: None)
        raise DatabaseBusy(retry_after_s=1)


def test_an_object_that_a_late_statement_gave_up_does_not_keep_its_followers() -> None:
    """It ran on at its former host, whose followers heard nothing of what the next owner wrote."""
    plan = replace(
        CALM,
        hosts=2,
        objects=2,
        starts_s=[0.0, 5.0],
        clocks={**CALM.clocks, "host-1": (1.0, 0.0)},
        follows={"edge-0": [0], "edge-1": [1]},
        lines=[Line(68.0, "edge-1", 0, 1, "c0")],
        ends_s=70.0,
    )
    world = World(plan, Parts(store=LateRelease))
    site = world.site

    def at_edge(when_s: float, step: Callable[[Process, ObjectKey], None]) -> None:
        # Followed again after the host gave up, and before the statement is executed.
        site.timeline.at(
            when_s,
            lambda: site.clients["edge-0"].loop.deliver(
                when_s, step, site.clients["edge-0"], site.keys[0]
            ),
        )

    at_edge(2.0, site.unfollow)
    at_edge(63.0, site.follow)
    world.run()
    assert world.history.followers["edge-0.2", site.keys[0]].head == 1
