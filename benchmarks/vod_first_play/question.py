"""How many seconds after the last byte of a ten-minute 1080p file does it play?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.vod_first_play.rounds import FIRST_PLAY, MINUTES, PIECE_BYTES, open_scene

QUESTION = Question(
    name="vod_first_play",
    sentence=__doc__ or "",
    stage=open_scene,
    libraries=("av",),
    needs_product=True,
    configuration={
        "source": f"{MINUTES} minutes of 1080p at 30 fps with sound, in pieces of "
        f"{PIECE_BYTES >> 20} MiB by tus; each round has bytes of its own",
        "encoded": "H.264 at 8 Mbit/s with a keyframe every 12 s, which must be encoded anew",
        "passed on": "H.264 at 5 Mbit/s with a keyframe every 2 s, which is cut as it is",
        "plays": "the playlists name them, and the first segment of the picture and of the sound "
        "came whole over HTTP; asked every 50 ms, as the first video of a while",
        "parts": "from rows, looked at every 20 ms: the job has begun; the source is hashed and "
        "probed; what is to be done is planned; the first sound is made; the first picture is; "
        "a player has them",
    },
    goals=(Goal("encoded", FIRST_PLAY, 5.0), Goal("passed on", FIRST_PLAY, 3.0)),
    rounds=3,
    rounds_short=1,
    is_costly=True,
)
