"""How much sooner after its last byte is a video ready that was begun while its file arrived?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.vod_head_start.rounds import BEFORE, BEHIND, MBPS, READY, SECONDS, open_scene

QUESTION = Question(
    name="vod_head_start",
    sentence=__doc__ or "",
    stage=open_scene,
    libraries=("av",),
    needs_product=True,
    configuration={
        "source": f"{SECONDS} s of 720p at 30 fps with sound, H.264 at {MBPS} Mbit/s with a "
        "keyframe every 12 s, which must be encoded anew; each round has bytes of its own",
        "upload": f"by tus, 1 MiB at a time, at the film's own rate: an uplink of {MBPS} Mbit/s",
        "index": "at the end of the file, where cameras write it",
        BEFORE: "the index is sent ahead, as the page does",
        BEHIND: "it comes when it comes: nothing can be made before the file is there",
        "workers": "one, as a new installation has",
        "ready": "every size, the sound, the pictures and the preview are made",
    },
    goals=(Goal(BEFORE, READY, 0.6, against=BEHIND),),
    rounds=3,
    rounds_short=1,
    is_costly=True,
)
