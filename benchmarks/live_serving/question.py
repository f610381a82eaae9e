"""What does sending the segments of a live cost the edge, beside aiohttp's plain file response?"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.live_serving.rounds import open_scene
from benchmarks.serving.question import QUESTION as OF_VIDEOS
from benchmarks.serving.rounds import BYTES, VIEWERS

QUESTION = replace(
    OF_VIDEOS,
    name="live_serving",
    sentence=__doc__ or "",
    stage=open_scene,
    configuration={
        **OF_VIDEOS.configuration,
        "load": f"{VIEWERS} viewers on a connection each, {BYTES / 1e9:g} GB together, segments of "
        "1080p and about 6 Mbit/s that FFmpeg published by RTMP, over and over",
        "socialflow": "GET from the edge, which looks up the live and who may see it; it has ended",
    },
)
