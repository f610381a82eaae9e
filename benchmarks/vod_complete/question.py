"""How many seconds after the last byte of a ten-minute 1080p file are 360p and all sizes there?"""

from __future__ import annotations

from benchmarks.frame import Question
from benchmarks.vod_complete.rounds import open_scene
from benchmarks.vod_first_play.rounds import MINUTES

QUESTION = Question(
    name="vod_complete",
    sentence=__doc__ or "",
    stage=open_scene,
    libraries=("av",),
    needs_product=True,
    configuration={
        "source": f"the two films of vod_first_play: {MINUTES} minutes of 1080p at 30 fps",
        "workers": "one, as a new installation has",
        "360p": "its playlist is named, and says that it has an end",
        "ready": "every size, the pictures and the preview are made",
    },
    rounds=1,
    rounds_short=1,
    is_costly=True,
)
