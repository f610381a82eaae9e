"""How much processor time do 10,000 simulated sites of the hosting protocol cost, none broken?"""

from __future__ import annotations

import asyncio
import os
import time

from benchmarks.frame import Answer, Form, Goal, Question
from tests.actors.hosting.sim.world import find_broken

SITES, SITES_SHORT = 10_000, 100


async def simulate(form: Form) -> Answer:
    """Run the sites in a thread; a broken one fails the run with its seed."""
    sites = form.choose(SITES, SITES_SHORT)
    before_s = time.process_time()
    broken = await asyncio.to_thread(find_broken, range(sites))
    spent_s = time.process_time() - before_s
    assert broken is None, f"seed {broken}"
    return Answer({"cpu_s_per_10_000": spent_s * 10_000 / sites}, f"{sites} sites")


QUESTION = Question(
    name="simulation",
    sentence=__doc__ or "",
    sides={"sites": simulate},
    configuration={
        "sites": "rooms, sessions and feed rankers on a few hosts and edges; docs/simulation.md",
        "load": lambda: f"load average {os.getloadavg()[0]:.1f} when the report was written",
    },
    goals=(Goal("sites", "cpu_s_per_10_000", 60.0),),
    rounds=1,
)
