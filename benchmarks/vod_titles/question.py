"""What does a ladder take at equal VMAF when the video's own pictures decide how fine it is?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.vod_titles.clips import describe_clips
from benchmarks.vod_titles.rounds import (
    AS_EVER,
    BY_TITLE,
    EQUAL,
    LOOK_CPU,
    describe_meter,
    find_missing,
    open_ladders,
)

QUESTION = Question(
    name="vod_titles",
    sentence=(__doc__ or "").strip(),
    stage=open_ladders,
    find_missing=find_missing,
    libraries=("av", "imageio-ffmpeg"),
    configuration={
        "clips": describe_clips,
        AS_EVER: "every rung as fine as usual (x264 veryfast, CRF 23) within its rate",
        BY_TITLE: "the plan that apply_looks makes of the quality task's answer",
        EQUAL: "geometric mean over clips and over VMAF levels that both ladders reach, of the rate"
        " between a ladder's rungs, straight in its logarithm",
        "vmaf": describe_meter,
    },
    goals=(
        Goal(BY_TITLE, EQUAL, 0.97, against=AS_EVER),
        Goal(BY_TITLE, LOOK_CPU, 2.0),
    ),
    rounds=1,
    rounds_short=1,
    is_costly=True,
)
