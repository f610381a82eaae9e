"""Do STUN, DTLS, RTP, RTCP and SDP parsing survive mutated inputs, and does memory stay?"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from benchmarks.frame import Answer, Form, Goal, Question, Side
from tests.media.sfu.fuzz import make_targets, run_target

INPUTS, INPUTS_SHORT = 100_000, 1_000
WARM_UP_SHARE = 10
SEED = 20_261_126
NAMES = ("stun", "dtls", "rtp", "rtcp", "sdp")


def feed(name: str) -> Side:
    """Return a side: one parser; memory counts once a tenth of the inputs was fed before."""

    async def measure(form: Form) -> Answer:
        inputs = form.choose(INPUTS, INPUTS_SHORT)
        target = make_targets()[name]
        await asyncio.to_thread(run_target, target, SEED, inputs // WARM_UP_SHARE)
        before_kb, started_s = read_memory_kb(), time.process_time()
        await asyncio.to_thread(run_target, target, SEED + 1, inputs)
        figures = {
            "inputs": float(inputs),
            "cpu_us_per_input": (time.process_time() - started_s) * 1e6 / inputs,
            "memory_growth_kb": max(0.0, read_memory_kb() - before_kb),
        }
        return Answer(figures, "every input was read or refused")

    return measure


def read_memory_kb() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


QUESTION = Question(
    name="sfu_fuzz",
    sentence=__doc__ or "",
    sides={name: feed(name) for name in NAMES},
    libraries=("aiortc", "pyOpenSSL", "cryptography"),
    configuration={
        "inputs": "valid ones with one to four mutations; refusing is right, raising is not"
    },
    goals=tuple(Goal(name, "memory_growth_kb", 4_096.0) for name in NAMES),
    rounds=1,
)
