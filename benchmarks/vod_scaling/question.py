"""What does a ladder cost that warm workers of the pool make, and how much sooner do two end?"""

from __future__ import annotations

from benchmarks.frame import Condition, Goal, Question
from benchmarks.vod_ladder.rounds import describe_peer, find_missing
from benchmarks.vod_scaling.rounds import (
    CHUNK_SEGMENTS,
    CHUNKS,
    CPU,
    IDLE,
    MEMORY,
    ONE,
    OVERHEAD,
    STANDING_LOOK_S,
    TWO,
    WALL,
    open_pool,
)
from media.vod.grid import SEGMENT_S

CHUNK_S = CHUNK_SEGMENTS * SEGMENT_S

QUESTION = Question(
    name="vod_scaling",
    sentence=(__doc__ or "").strip(),
    is_costly=True,
    stage=open_pool,
    find_missing=find_missing,
    libraries=("av", "ray"),
    configuration={
        "source": f"{CHUNKS * CHUNK_S} s of 1080p at 30 fps with sound, a keyframe every 4 s",
        "tasks": f"{CHUNKS} chunks of {CHUNK_S} s of each group of rungs, and the sound, through"
        " media/pool.py, by workers that have made a chunk before",
        "counted": "the driver, Ray's processes and all of their workers",
        "standing": "what all but the media workers use in as much time without work, looked at for"
        f" {STANDING_LOOK_S:.0f} s before each round; a running product has it anyway, so no goal"
        " judges it. Scheduling is what they use above that",
        "memory": "the most that a worker had resident since it was started",
        "ffmpeg": describe_peer,
        "peer": "one decode, scaled rung from rung, one thread each, the same settings",
    },
    goals=(
        Goal(ONE, CPU, 1.08, against="ffmpeg"),
        Goal(TWO, CPU, 1.08, against="ffmpeg"),
        Goal(ONE, OVERHEAD, 2.0),
        Goal(TWO, OVERHEAD, 2.0),
        Goal(ONE, MEMORY, 600.0),
        Goal(TWO, MEMORY, 600.0),
        Goal(TWO, WALL, 0.6, against=ONE, condition=Condition(IDLE, 90.0)),
    ),
    rounds=3,
    rounds_short=1,
)
