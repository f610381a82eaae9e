"""What a media worker runs: one task, at the lowest priority, with its store.

`media/pool.py` submits it. It imports no task: a worker that takes the place of a lost one loads
what its own task needs and nothing else, which costs half a second less.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from kit.allocator import keep_warm
from media.process_memory import read_memory_bytes
from media.vod.records import Progress
from media.vod.source import MediaUnreadable
from storage.objects import ObjectStore

NICENESS = 19
KEPT_BYTES = 64 << 20
"""Of freed memory at the heap's end; encoders begin anew every two seconds and take it again."""
MEMORY_BYTES_MAX = 4 << 30
"""What a task may take beside what its process has: AV1 at 2160p takes 2.7 GiB of addresses, a
ladder at 1080p 0.4."""
MEMORY_SHARE_MAX = 0.5
"""Of the machine's memory, where that is less."""

Task = Callable[[Any, ObjectStore], Any]


@dataclass(frozen=True)
class Result:
    """Ends a task's stream of Progress."""

    value: Any


def run_task(task: Task, payload: Any, store_url: str) -> Generator[Progress | Result]:
    """Be nice, open the store, pass on progress, end with the result.

    Raises MediaUnreadable where the task needs more memory than it may.
    """
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    keep_warm(KEPT_BYTES)
    with limit_memory(decide_memory_bytes()):
        outcome = task(payload, ObjectStore.open(store_url))
        if isinstance(outcome, Generator):
            outcome = yield from outcome
    yield Result(outcome)


def decide_memory_bytes() -> int:
    """What a task may take on this machine."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(MEMORY_BYTES_MAX, int(machine_bytes * MEMORY_SHARE_MAX))


@contextlib.contextmanager
def limit_memory(growth_bytes: int) -> Iterator[None]:
    """Let this process grow by so much within the block; beyond it, asking for memory fails.

    By RLIMIT_DATA, not RLIMIT_AS: what Ray maps and reserves for itself does not count. The process
    is used again, so the limit goes with the block. What a library asks in vain is its error, which
    counts as damage of the file, or MediaUnreadable here; a process that does not survive it is a
    lost worker.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bound = read_memory_bytes("VmData") + growth_bytes
    for known in (soft, hard):
        if known != resource.RLIM_INFINITY:
            bound = min(bound, known)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    try:
        yield
    except MemoryError as error:
        raise MediaUnreadable("The file needs more memory than a video may take.") from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
