"""What does an RTMP publisher of 3 Mbit/s cost, HLS and the way to WebRTC included?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.rtmp_ingest.sides import (
    BITRATE_MBPS,
    PUBLISHERS,
    describe_nginx,
    find_missing,
    measure_nginx,
    measure_ours,
)

QUESTION = Question(
    name="rtmp_ingest",
    sentence=__doc__ or "",
    sides={"socialflow": measure_ours, "nginx-rtmp": measure_nginx},
    libraries=("av",),
    configuration={
        "load": f"{PUBLISHERS} publishers of {BITRATE_MBPS} Mbit/s, 720p30 and AAC, by FFmpeg",
        "ours": "RTMP, low-latency CMAF written to a folder, RTP for WebRTC; Opus counted apart",
        "nginx-rtmp": describe_nginx,
    },
    goals=(Goal("socialflow", "cpu_percent", 2.5),),
    find_missing=find_missing,
)
