"""What does our forwarding cost per packet and viewer beside Debian's Janus under the same load?"""

from __future__ import annotations

import os
import shutil
import subprocess

from benchmarks.frame import Answer, Form, Goal, Question, Side
from benchmarks.sfu_peers.course import run_audience
from benchmarks.sfu_peers.janus import CURE, run_janus
from benchmarks.sfu_peers.load import LOADS
from benchmarks.sfu_peers.ours import run_ours

VIEWERS, VIEWERS_SHORT = 100, 5
SECONDS, SECONDS_SHORT = 10.0, 1.0
CPU = "cpu_us_per_packet"


def measure_ours(load: str, backend: str = "auto") -> Side:
    """Return a side: our plane in a process of its own."""

    async def measure(form: Form) -> Answer:
        viewers = form.choose(VIEWERS, VIEWERS_SHORT)
        async with run_ours(backend) as server:
            return await run_audience(server, load, viewers, form.choose(SECONDS, SECONDS_SHORT))

    return measure


def measure_janus(load: str) -> Side:
    """Return a side: Janus."""

    async def measure(form: Form) -> Answer:
        viewers = form.choose(VIEWERS, VIEWERS_SHORT)
        async with run_janus() as server:
            return await run_audience(server, load, viewers, form.choose(SECONDS, SECONDS_SHORT))

    return measure


def find_missing() -> dict[str, str]:
    """Return the sides that need a Janus where there is none."""
    return {} if shutil.which("janus") else {f"janus {load}": CURE for load in LOADS}


def describe_janus() -> str:
    """Return Debian's version of it."""
    if not shutil.which("janus"):
        return "not installed"
    found = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "janus"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{found.stdout or '?'}, streaming plugin, plain RTP in, event_loops = {os.cpu_count()}"


BURSTY, PACED, SMALL_BURSTY, SMALL_PACED = LOADS

QUESTION = Question(
    name="sfu_peers",
    sentence=__doc__ or "",
    is_costly=True,
    sides={
        **{f"ours {load}": measure_ours(load) for load in LOADS},
        **{f"janus {load}": measure_janus(load) for load in LOADS},
        **{f"plain {load}": measure_ours(load, "gso") for load in LOADS},
    },
    find_missing=find_missing,
    libraries=("cryptography", "pylibsrtp", "pyOpenSSL"),
    configuration={
        "load": f"{VIEWERS} viewers, H.264 of 30 frames a second, AEAD_AES_128_GCM, loopback",
        "viewers": "drop media in the kernel, which counts it; the server's process alone counts",
        "ours": "WHIP in, the compiled loop, uvloop",
        "plain": "the same without a compiled part: AESGCM.encrypt_into and sendmmsg with bundles",
        "janus": describe_janus,
    },
    goals=(
        Goal(f"ours {BURSTY}", CPU, 0.333, against=f"janus {BURSTY}"),
        Goal(f"ours {PACED}", CPU, 0.4, against=f"janus {PACED}"),
        Goal(f"ours {SMALL_BURSTY}", CPU, 0.4, against=f"janus {SMALL_BURSTY}"),
        Goal(f"ours {SMALL_PACED}", CPU, 0.5, against=f"janus {SMALL_PACED}"),
        Goal(f"plain {BURSTY}", CPU, 0.4, against=f"janus {BURSTY}"),
        Goal(f"ours {BURSTY}", "memory_kb_per_viewer", 100.0),
    ),
    rounds=5,
)
