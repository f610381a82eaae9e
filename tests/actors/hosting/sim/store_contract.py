"""What hosts rely on in storage, case by case: for PostgreSQL and for the simulated server alike.

The simulation proves the protocol only as far as its server behaves like PostgreSQL; each case
runs against both.
"""

from __future__ import annotations

from tests.actors.hosting.sim.contract_of_ownership import OWNERSHIP
from tests.actors.hosting.sim.contract_of_writes import WRITES
from tests.actors.hosting.sim.store_stage import Case

CASES: list[Case] = [*OWNERSHIP, *WRITES]
