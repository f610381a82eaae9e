"""How long does a live's picture stand still in Chromium after kill -9 of an edge?"""

from __future__ import annotations

from benchmarks.failover.deaths import BACK, STILL, open_scene
from benchmarks.frame import Goal, Question

QUESTION = Question(
    name="failover",
    sentence=__doc__ or "",
    stage=open_scene,
    needs_product=True,
    is_costly=True,
    configuration={
        "product": "two edges, one machine; the camera and all viewers are pages in one Chromium, "
        "whose encoder and decoders share the two cores with the product",
        "viewer's edge": "of one viewer, not of the camera; the longest time between two pictures "
        "it was shown from the kill on",
        "camera's edge": "of the camera and both viewers, which all move to the other one; the "
        "longer time of the two",
        "encoder's edge": "of FFmpeg, which sends 640 by 360 with the command of docs/live.md and "
        "is started again a second after it ended, and of a viewer; back_ms: from the start of the "
        "FFmpeg that came through, its own beginning included, to the viewer's next picture",
    },
    goals=(
        Goal("viewer's edge killed", STILL, 3000.0),
        Goal("camera's edge killed", STILL, 3000.0),
        Goal("RTMP encoder's edge killed", BACK, 3000.0),
        Goal("WHIP encoder's edge killed", BACK, 3000.0),
    ),
    rounds=5,
    rounds_short=1,
)
