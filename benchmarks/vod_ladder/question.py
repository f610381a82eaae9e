"""Does a video's whole ladder take more processor time than one command of the same FFmpeg?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.vod_ladder.rounds import (
    CPU,
    MEMORY,
    SECONDS,
    describe_peer,
    find_missing,
    open_source,
)

QUESTION = Question(
    name="vod_ladder",
    sentence=__doc__ or "",
    is_costly=True,
    stage=open_source,
    find_missing=find_missing,
    libraries=("av",),
    configuration={
        "source": f"{SECONDS} s of 1080p at 30 fps with sound, a keyframe every 4 s",
        "ladder": "1080p, 720p, 480p, 360p and 240p, x264 veryfast, CRF 23 within each rung's rate,"
        " a keyframe every 2 s",
        "tasks": "every chunk and the sound, one after the other in one process, as a warm worker",
        "ffmpeg": describe_peer,
        "peer": "one decode, scaled rung from rung, one thread each, the same settings",
    },
    goals=(
        Goal("tasks", CPU, 1.05, against="ffmpeg"),
        Goal("tasks", MEMORY, 600.0),
    ),
    rounds=5,
    rounds_short=1,
)
