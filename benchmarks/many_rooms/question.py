"""What does a room cost that somebody follows and writes to, when there are 10,000 of them?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.many_rooms.rounds import (
    FEW,
    MANY,
    MEMORY,
    NAMES,
    ROOMS_PER_SOCKET,
    SECONDS,
    WINDOWS,
    WRITE_EVERY_S,
    open_house,
)

FEW_ROOMS, HALF_THE_LINES, WATCHED_ROOMS, TWO_EDGES, MANY_ROOMS = NAMES
OWNER_CPU = "owner_cpu_us_per_line"
OWNER_CPU_ALL = "owner_cpu_ms_per_s"

QUESTION = Question(
    name="many_rooms",
    sentence=__doc__ or "",
    stage=open_house,
    needs_product=True,
    configuration={
        "load": f"{MANY / WRITE_EVERY_S:g} lines a second in all, to {FEW:,} rooms and then to "
        f"{MANY:,} (a line per room in {WRITE_EVERY_S:g} s); medians of {WINDOWS} windows of "
        f"{SECONDS:g} s",
        "sides": f"like few rooms ({FEW:,}, one viewer each, on one edge) but for what is said",
        "viewers": f"at most {ROOMS_PER_SOCKET} rooms per socket",
        "memory": "growth of the PSS of edge and hosts while the rooms are opened, per room",
        "owner": "CPU of hosts and PostgreSQL per line, their idle work included",
    },
    goals=(
        Goal(MANY_ROOMS, MEMORY, 20.0),
        Goal(MANY_ROOMS, "p99_ms", 200.0),
        Goal(MANY_ROOMS, OWNER_CPU, 1.3, against=FEW_ROOMS),
        Goal(WATCHED_ROOMS, OWNER_CPU, 1.3, against=FEW_ROOMS),
        Goal(HALF_THE_LINES, OWNER_CPU_ALL, 0.7, against=FEW_ROOMS),
        Goal(TWO_EDGES, OWNER_CPU, 1.5, against=FEW_ROOMS),
    ),
    rounds=1,
    rounds_short=1,
)
