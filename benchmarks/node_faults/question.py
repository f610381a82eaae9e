"""How many seconds after kill -9 is a node's half of the rooms back, and a bare head's Ray?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.node_faults.faults import ROOMS, open_cluster
from benchmarks.takeover.kills import BACK

QUESTION = Question(
    name="node_faults",
    sentence=__doc__ or "",
    stage=open_cluster,
    needs_product=True,
    libraries=("ray",),
    configuration={
        "cluster": "a bare head, a with API, edge and host, b with a host; one machine",
        "node": f"{ROOMS} rooms, each written to without pause; the Ray node of b is killed; back: "
        "every room of b acknowledged a line that was sent after its host ended too",
        "head": "control service and node process are killed; back: both run anew and the head's "
        "crew lists three living nodes; meanwhile rooms go on and a new one opens",
    },
    goals=(Goal("node with half of the hosts", BACK, 10.0), Goal("head", BACK, 15.0)),
    rounds=5,
    rounds_short=1,
    is_costly=True,
)
