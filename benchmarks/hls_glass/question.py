"""How late is a live by low-latency HLS from a camera to a viewer's screen, in hls.js?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.hls_glass.screens import GLASS_P95, SECONDS, open_scene

QUESTION = Question(
    name="hls_glass",
    sentence=__doc__ or "",
    stage=open_scene,
    needs_product=True,
    is_costly=True,
    configuration={
        "camera": "a page of the studio in Chromium, 640x360 at 30 pictures a second, by WebRTC; "
        "the time is in the picture",
        "viewer": "the live's page in the same Chromium, which may not use WebRTC and plays by "
        f"hls.js; every picture that is shown is read, for {SECONDS:.0f} s from 10 s after the "
        "first one on; encoder and decoder share the two cores with the product",
        "stalls": "as the player tells them (waiting)",
    },
    goals=(Goal("hls.js", GLASS_P95, 2000.0),),
    rounds=3,
    rounds_short=1,
)
