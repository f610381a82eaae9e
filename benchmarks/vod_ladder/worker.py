"""Our side: every chunk and the sound of a source, one after the other, as a warm worker does."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from pathlib import Path

from benchmarks.vod_ladder.rounds import plan_source
from storage.objects import ObjectStore
from tests.media.vod.clips import run_task


def main(path: Path) -> None:
    """Transcode and print what it took; pictures and sheets are another question."""
    with tempfile.TemporaryDirectory(prefix="vod-ladder-") as folder:
        store = ObjectStore.open(f"file://{folder}")
        store.put_file_sync("source", path)
        plan = plan_source(path)
        before_s = read_cpu_s()
        for task in plan.tasks:
            if task.kind in ("audio", "chunk"):
                run_task(plan, store, task)
        answer = {
            "cpu_s": read_cpu_s() - before_s,
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    sys.stdout.write(json.dumps(answer) + "\n")


def read_cpu_s() -> float:
    """Return what this process has used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(Path(sys.argv[1]))
