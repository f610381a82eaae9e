"""How late are a live's parts, is a picture lost, while twenty uploads come and are encoded?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.live_first.rounds import FILM_S, LOST, UPLOADS, WATCHED_S, open_scene
from benchmarks.llhls.rounds import LATE_P99, PICTURE_BYTES

QUESTION = Question(
    name="live_first",
    sentence=__doc__ or "",
    stage=open_scene,
    needs_product=True,
    is_costly=True,
    configuration={
        "live": f"one WebRTC publisher, 30 pictures a second of {PICTURE_BYTES:,} bytes "
        f"(3 Mbit/s) and Opus, recorded; one player reads by blocking reloads for {WATCHED_S:.0f} "
        "s and fetches every part",
        "uploads": f"{UPLOADS} files of {FILM_S} s of 1080p with sound, which must be encoded "
        "anew; they are sent one after the other from when the watching begins, have all arrived "
        "when it ends, and at least one is unfinished then",
        "late": "from the end of a part's pictures, by its wall clock, until the player has it",
        "lost": "pictures that the publisher sent and the parts do not hold, by their durations",
    },
    goals=(
        Goal("beside uploads", LATE_P99, 200.0),
        Goal("beside uploads", LOST, 0.0),
    ),
    rounds=3,
    rounds_short=1,
)
