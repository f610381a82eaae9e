"""What does sending the segments of a live cost the edge, beside aiohttp's plain file response?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.live_serving.rounds import open_scene
from benchmarks.serving.rounds import BYTES, CPU, VIEWERS

QUESTION = Question(
    name="live_serving",
    sentence=__doc__ or "",
    stage=open_scene,
    libraries=("aiohttp", "uvloop"),
    needs_product=True,
    configuration={
        "load": f"{VIEWERS} viewers on a connection each, {BYTES / 1e9:g} GB together, segments of "
        "1080p and about 6 Mbit/s that FFmpeg published by RTMP, over and over",
        "socialflow": "GET from the edge, which looks up the live and who may see it; it has ended",
        "aiohttp": "the same bytes as files, by a bare aiohttp server's FileResponse on asyncio's "
        "own loop, where that is sendfile",
        "aiohttp, uvloop": "the same on uvloop, as edges run, where it reads and writes",
    },
    goals=(Goal("socialflow", CPU, 1.2, against="aiohttp"),),
)
