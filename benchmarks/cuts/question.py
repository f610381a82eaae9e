"""How soon are publishers whose key is void, and viewers of a live that is taken down, cut off?"""

from __future__ import annotations

from benchmarks.cuts.rounds import LIVES, WAYS, open_scene
from benchmarks.frame import Goal, Question

SLOWEST_MS_MAX = 1000.0

QUESTION = Question(
    name="cuts",
    sentence=__doc__ or "",
    stage=open_scene,
    needs_product=True,
    configuration={
        "product": "two edges, one machine",
        "lives": f"{LIVES} a round and side, one after another",
        "key replaced": "POST /v1/live/{id}/key, until the publisher is cut: by WHIP its DTLS "
        "connection ended, by RTMP FFmpeg ended",
        "taken down": "POST /v1/live/{id}/takedown, until a viewer at each of the two edges has "
        "lost WebRTC (DTLS ended), HLS (playlist and segment refused) and the chat (told so)",
    },
    goals=tuple(
        Goal(side, f"{way}_max_ms", SLOWEST_MS_MAX) for side, ways in WAYS.items() for way in ways
    ),
    rounds=5,
    rounds_short=1,
)
