"""What does a chat line cost per 1,000 sockets, whole path, beside servers that only fan out?"""

from __future__ import annotations

from benchmarks.chat_fanout.peers import (
    describe_fastapi,
    describe_nchan,
    describe_ws,
    find_missing,
)
from benchmarks.chat_fanout.rounds import RATES, SECONDS, VIEWERS, open_course
from benchmarks.frame import Goal, Question

CPU = "cpu_ms_per_1000"


def find_missing_sides() -> dict[str, str]:
    """Return the missing peers' sides: nchan is asked at every rate, the others at the lowest."""
    missing = find_missing()
    rates = {name: RATES if name == "nchan" else RATES[:1] for name in missing}
    return {f"{name} {per_s}/s": missing[name] for name in missing for per_s in rates[name]}


QUESTION = Question(
    name="chat_fanout",
    sentence=__doc__ or "",
    stage=open_course,
    needs_product=True,
    find_missing=find_missing_sides,
    configuration={
        "load": f"{VIEWERS:,} sockets in one room, {' and '.join(map(str, RATES))} lines a second "
        f"for {SECONDS:g} s; every offset checked at every socket",
        "ours": "socket, edge, link, host, PostgreSQL and back: CPU of edge, hosts and PostgreSQL",
        "peers": "messages of the same size from a WebSocket to all others, nothing stored",
        "audience": "a process of its own, its CPU not counted; latency includes its reading",
        "nchan": describe_nchan,
        "ws": describe_ws,
        "fastapi": describe_fastapi,
    },
    goals=(
        Goal("ours 20/s", CPU, 1.3, against="nchan 20/s"),
        Goal("ours 20/s", "p99_ms", 100.0),
        Goal("ours 60/s", CPU, 0.8, against="nchan 60/s"),
        Goal("ours 60/s", "p99_ms", 100.0),
    ),
    rounds_short=1,
)
