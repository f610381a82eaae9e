"""What does it cost two edges to relay one packet of a live, on one machine and between two?"""

from __future__ import annotations

from benchmarks.frame import Goal, Question, Side
from benchmarks.relay.origin import LIVES, PACKETS_PER_FRAME, PAYLOAD_BYTES, relay

SECONDS, SECONDS_SHORT = 5.0, 1.0


def over(way: str) -> Side:
    """Return a side whose edges are joined in one way."""
    return lambda form: relay(way, form.choose(SECONDS, SECONDS_SHORT))


QUESTION = Question(
    name="relay",
    sentence=__doc__ or "",
    sides={"unix": over("unix"), "tls": over("tls")},
    libraries=("msgspec", "cryptography"),
    configuration={
        "load": f"{LIVES} lives of 30 frames a second, {PACKETS_PER_FRAME} packets of "
        f"{PAYLOAD_BYTES} bytes each: 2.5 Mbit/s",
        "origin": "what the lives cost with relays, less what they cost without; per packet",
        "receiver": "all that its process spends: link, room, ring and keyframe cache; no viewers",
    },
    goals=(
        Goal("unix", "origin_cpu_us_per_packet", 10.0),
        Goal("unix", "receiver_cpu_us_per_packet", 20.0),
        Goal("tls", "origin_cpu_us_per_packet", 15.0),
        Goal("tls", "receiver_cpu_us_per_packet", 25.0),
    ),
)
