"""How late, and how steady, is a live from a studio's camera to the screen of a live's page?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.page_glass.screens import (
    GLASS_P50,
    GLASS_P95,
    HLS,
    LONGEST_GAP,
    SECONDS,
    WEBRTC,
    WEBRTC_BAD,
    open_scene,
)

QUESTION = Question(
    name="page_glass",
    sentence=__doc__ or "",
    stage=open_scene,
    needs_product=True,
    is_costly=True,
    configuration={
        "camera": "a page of the studio in Chromium, 640x360 at 30 pictures a second, by WebRTC; "
        "the time is in the picture",
        "viewer": "the live's page in the same Chromium; every picture that is shown is read, for "
        f"{SECONDS:.0f} s from 10 s after the first one on; encoder and decoder share the two "
        "cores with the product",
        HLS: "the page may not use WebRTC and plays by low-latency HLS",
        WEBRTC_BAD: "5 % loss and up to 50 ms jitter, on the links of camera and viewer, in both "
        "directions, from then on",
        "stalls": "as the player tells them (waiting)",
        "first picture": "from asking for the page on, with all its scripts",
        "unreadable": "shown, but too blurred to tell their time",
    },
    goals=(
        Goal(HLS, GLASS_P95, 2000.0),
        Goal(WEBRTC, GLASS_P50, 60.0),
        Goal(WEBRTC, GLASS_P95, 150.0),
        Goal(WEBRTC_BAD, LONGEST_GAP, 1000.0),
        Goal(WEBRTC_BAD, GLASS_P95, 500.0),
    ),
    rounds=1,
    rounds_short=1,
)
