"""How many seconds after the last byte of a ten-minute 1080p film are its sizes there?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
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
        "whole": "the playlist of this size is named, and says that it has an end",
        "full size": "the film's own: encoded, or copied where the film is passed on",
        "ready": "every size, the pictures and the preview are made",
    },
    goals=(Goal("passed on", "whole_full_size_s", 3.0),),
    rounds=1,
    rounds_short=1,
    is_costly=True,
)
