"""What does an upload by tus cost the server, beside a bare handler that writes the same bytes?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.uploads.rounds import BODIES, BODY_BYTES, CPU, open_scene

QUESTION = Question(
    name="uploads",
    sentence=__doc__ or "",
    stage=open_scene,
    libraries=("aiohttp",),
    needs_product=True,
    configuration={
        "load": f"{BODIES} bodies of {BODY_BYTES >> 20} MiB, one after the other, on one "
        "connection, as the page sends a file",
        "socialflow": "PATCH by tus to the edge: who uploads is checked, each piece is an object "
        "and a committed row before it is acknowledged; processor time of the edge and of "
        "PostgreSQL; the file's hash is made later, by a worker, and is not in it",
        "aiohttp": "PATCH to a bare handler that appends the body to a file; processor time of "
        "its process",
        "aiohttp, synced": "the same, each body on disk (fsync) before it is answered, as ours is",
    },
    goals=(Goal("socialflow", CPU, 1.3, against="aiohttp"),),
)
