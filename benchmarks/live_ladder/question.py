"""What do the smaller pictures of a live cost?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.live_ladder.rounds import CORE, SIDES, make_side

QUESTION = Question(
    name="live_ladder",
    sentence=__doc__ or "",
    sides={name: make_side(size) for name, size in SIDES.items()},
    libraries=("av",),
    configuration={
        "load": "a moving texture in H.264 (x264 ultrafast) as parts of a live, as fast as the "
        "process makes them smaller",
        "made": "480p and 240p in the process of its own that an edge starts; its processor "
        "time as a share of one core, and its largest resident memory",
    },
    goals=(Goal("720p30", CORE, 25.0),),
    rounds=3,
)
