"""Does a live keep what its viewers leave behind, while they come and go for an hour?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.live_soak.rounds import (
    CHANGE_EVERY_S,
    CHANGING,
    DESCRIPTORS_LEFT,
    GROWTH,
    GUESTS,
    PICTURE_BYTES,
    SECONDS,
    WARM_SHARE,
    open_scene,
)

QUESTION = Question(
    name="live_soak",
    sentence=__doc__ or "",
    stage=open_scene,
    needs_product=True,
    configuration={
        "load": f"one WebRTC publisher for {SECONDS / 60:g} minutes, 30 pictures a second of "
        f"{PICTURE_BYTES:,} bytes and Opus, recorded; one HLS player throughout",
        "viewers": f"{GUESTS} by WHEP, each with a socket that follows the chat; "
        f"{CHANGING} of them leave and others come every {CHANGE_EVERY_S:g} s; a line a second",
        "memory": "slope of the PSS of edges and hosts by least squares, without the first "
        f"{WARM_SHARE:.0%} of the time",
        "descriptors": "of edges and hosts after the live, more than before it (one live with "
        "viewers had ended by then)",
    },
    goals=(
        Goal("soak", GROWTH, 1.0),
        Goal("soak", DESCRIPTORS_LEFT, 0.0),
    ),
    rounds=1,
    rounds_short=1,
)
