"""What a media worker runs: one task, at the lowest priority, with its store.

`media/pool.py` submits it. It imports no task: a worker that takes the place of a lost one loads
what its own task needs and nothing else, which costs half a second less.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from media.vod.records import Progress
from storage.objects import ObjectStore

NICENESS = 19

Task = Callable[[Any, ObjectStore], Any]


@dataclass(frozen=True)
class Result:
    """Ends a task's stream of Progress."""

    value: Any


def run_task(task: Task, payload: Any, store_url: str) -> Generator[Progress | Result]:
    """Be nice, open the store, pass on progress, end with the result."""
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    outcome = task(payload, ObjectStore.open(store_url))
    if isinstance(outcome, Generator):
        outcome = yield from outcome
    yield Result(outcome)
