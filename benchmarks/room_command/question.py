"""How long does a command to a room take, from the API to its owner and back?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.room_command.rounds import COMMANDS, LOOKUPS, REQUESTS, open_product

QUESTION = Question(
    name="room_command",
    sentence=__doc__ or "",
    stage=open_product,
    needs_product=True,
    configuration={
        "client": f"a room's client as the API holds it, {COMMANDS:,} commands one after another; "
        "the owner answers from memory",
        "API": f"POST /v1/live/{{id}}/end for {REQUESTS} fresh lives: log-in check, first lookup "
        "and placement, loading, a stored change, two transactions",
        LOOKUPS: "how often the client's storage was asked where the room lives",
    },
    goals=(Goal("client", LOOKUPS, 0.0),),
    rounds=5,
    rounds_short=1,
)
