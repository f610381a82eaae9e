"""What does it cost to forward one WebRTC packet to one viewer, for few viewers and for many?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question, Side
from benchmarks.sfu_fanout.plane import forward

PACKETS_PER_S, PACKETS_PER_S_SHORT = 300, 50
"""The short form runs beside other tests, whose machine would drop what is sent faster."""
SECONDS, SECONDS_SHORT = 10.0, 1.5


def for_viewers(viewers: int) -> Side:
    """Return a side with so many viewers of one publisher."""
    return lambda form: forward(
        viewers,
        form.choose(SECONDS, SECONDS_SHORT),
        form.choose(PACKETS_PER_S, PACKETS_PER_S_SHORT),
    )


QUESTION = Question(
    name="sfu_fanout",
    sentence=__doc__ or "",
    sides={"10 viewers": for_viewers(10), "100 viewers": for_viewers(100)},
    libraries=("pylibsrtp", "pyOpenSSL", "cryptography"),
    configuration={
        "load": f"one publisher, {PACKETS_PER_S} packets of 1,100 bytes a second, AES-128-GCM",
        "backend": "the best that works here: compiled, gso, sendmmsg, sendto; asyncio; loopback",
    },
    goals=(
        Goal("100 viewers", "cpu_us_per_packet", 25.0),
        Goal("100 viewers", "handshake_cpu_ms", 1.0),
    ),
)
