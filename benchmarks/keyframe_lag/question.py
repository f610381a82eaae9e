"""How late are an edge's sockets answered while it sends a keyframe to 1,000 viewers?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question
from benchmarks.keyframe_lag.rounds import LOAD, P99, PING_EVERY_S, VIEWERS, open_scene
from benchmarks.sfu_peers.load import ALL_LOADS

LARGE = ALL_LOADS[LOAD]

QUESTION = Question(
    name="keyframe_lag",
    sentence=__doc__ or "",
    stage=open_scene,
    needs_product=True,
    is_costly=True,
    configuration={
        "load": f"one publisher by WHIP, 30 frames a second of {LARGE.frame_packets} packets "
        f"and every two seconds a keyframe of {LARGE.keyframe_packets}, about "
        f"{LARGE.keyframe_packets * LARGE.payload_bytes // 1000} KB",
        "viewers": f"{VIEWERS:,} by WHEP at one edge of the whole product; media is dropped and "
        "counted in the kernel",
        "lag": f"from a WebSocket ping, sent every {1000 * PING_EVERY_S:g} ms by a socket of the "
        "edge that follows a room, to its pong; without viewers, and with them",
    },
    goals=(Goal("with viewers", P99, 50.0),),
    rounds=1,
    rounds_short=1,
)
