"""What does sending a video's segments cost the edge, beside aiohttp's plain file response?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.serving.rounds import BYTES, CPU, VIEWERS, open_scene

QUESTION = Question(
    name="serving",
    sentence=__doc__ or "",
    stage=open_scene,
    libraries=("aiohttp", "uvloop"),
    needs_product=True,
    configuration={
        "load": f"{VIEWERS} viewers on a connection each, {BYTES / 1e9:g} GB together, segments of "
        "a 1080p rung of about 6 Mbit/s, over and over",
        "socialflow": "GET from the edge, which looks up the video and who may see it",
        "aiohttp": "the same bytes as files, by a bare aiohttp server's FileResponse on asyncio's "
        "own loop, where that is sendfile",
        "aiohttp, uvloop": "the same on uvloop, as edges run, where it reads and writes",
    },
    goals=(Goal("socialflow", CPU, 1.2, against="aiohttp"),),
)
