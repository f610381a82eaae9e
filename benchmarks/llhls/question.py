"""What does a live by low-latency HLS cost its edge, and how late is each part?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.llhls.rounds import CORE, LATE_P99, PICTURE_BYTES, open_scene

QUESTION = Question(
    name="llhls",
    sentence=__doc__ or "",
    stage=open_scene,
    needs_product=True,
    configuration={
        "load": f"one WebRTC publisher, 30 pictures a second of {PICTURE_BYTES:,} bytes "
        "(3 Mbit/s) and Opus, made-up H.264",
        "packaging": "its packets to parts, segments and delta playlists in one process; "
        "CPU as a share of one core",
        "watched": "the product's edge forwards, packages, stores and serves one player, who "
        "reads both playlists by blocking reloads and fetches every part; a part is late by the "
        "time from the end of its pictures, as its wall clock says, until the player has it",
    },
    goals=(
        Goal("packaging", CORE, 2.5),
        Goal("watched", LATE_P99, 200.0),
    ),
    rounds=5,
    rounds_short=1,
)
