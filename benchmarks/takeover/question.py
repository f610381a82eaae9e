"""How many seconds after kill -9 do rooms answer again, and an edge's sockets stand?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.takeover.kills import BACK, ROOMS, SOCKETS, open_scene

QUESTION = Question(
    name="takeover",
    sentence=__doc__ or "",
    stage=open_scene,
    needs_product=True,
    libraries=("ray",),
    configuration={
        "product": "two hosts, two edges, one machine",
        "host": f"{ROOMS} rooms, each written to without pause; the host of most is killed; "
        "back: every room acknowledged a line that was sent after the kill",
        "PostgreSQL": "the same rooms; its first process is killed, the supervisor starts it anew",
        "edge": f"{SOCKETS} signed-in sockets in one room that is written to; "
        "back: all of them follow the room again on the other edge, resumed by offset",
    },
    goals=(
        Goal("host killed", BACK, 3.0),
        Goal("PostgreSQL killed", BACK, 15.0),
        Goal("edge killed", BACK, 10.0),
    ),
    rounds=5,
    rounds_short=1,
)
