"""How much memory does an idle socket hold on an edge, beside a bare aiohttp server?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.idle_sockets.rounds import GROWTH, HOLD_S, SOCKETS, open_edge

QUESTION = Question(
    name="idle_sockets",
    sentence=__doc__ or "",
    stage=open_edge,
    needs_product=True,
    libraries=("aiohttp", "uvloop"),
    configuration={
        "load": f"{SOCKETS:,} silent sockets for {HOLD_S:g} s, no compression",
        "edge": "the product's own, fresh in every round; each socket follows a room, pinged",
        "bare": "aiohttp's WebSocketResponse in a loop that does nothing, never pinged",
        "memory": "growth of the process's PSS; the kernel's buffers are not in it",
    },
    goals=(
        Goal("edge", GROWTH, 1.3, against="bare aiohttp"),
        Goal("edge", GROWTH, 20.0),
    ),
    rounds=1,
    rounds_short=1,
)
