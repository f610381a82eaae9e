"""How late and how steady is a live by WebRTC, on a perfect network and on a bad one?"""

from __future__ import annotations

from pathlib import Path

from benchmarks.frame import Goal, Question, Side
from benchmarks.impaired.glass import CHROMIUM, narrow, show
from tests.media.sfu.impaired_link import PERFECT, Conditions

SECONDS, SECONDS_SHORT = 60.0, 5.0
JOINS, JOINS_SHORT = 20, 3
NARROW_BPS = 600_000.0
BAD = Conditions(loss=0.05, jitter_s=0.05)


def under(conditions: Conditions) -> Side:
    """Return a side whose network is as bad as that."""
    return lambda form: show(
        conditions, form.choose(SECONDS, SECONDS_SHORT), form.choose(JOINS, JOINS_SHORT)
    )


def find_missing() -> dict[str, str]:
    """Name both sides where there is no browser."""
    cure = "apt-get install chromium"
    return {} if Path(CHROMIUM).exists() else dict.fromkeys(SIDES, cure)


SIDES: dict[str, Side] = {
    "loopback": under(PERFECT),
    "bad network": under(BAD),
    "narrow link": lambda _form: narrow(NARROW_BPS),
}
QUESTION = Question(
    name="impaired",
    sentence=__doc__ or "",
    sides=SIDES,
    libraries=("playwright", "aiohttp"),
    configuration={
        "load": "640x360 at 30 pictures a second, numbered in the picture; one Chromium sends and "
        "watches, beside the plane on the same processors",
        "bad network": "5 % loss and up to 50 ms jitter, on both links and in both directions",
        "narrow link": "two encodings, the viewer's link narrowed to 600 kbit/s and widened again: "
        "seconds until it got the other one",
        "first picture": "from before the offer; joins on an unharmed link",
        "frozen": "as WebRTC's statistics count it (totalFreezesDuration)",
    },
    goals=(
        Goal("loopback", "glass_to_glass_p50_ms", 60.0),
        Goal("loopback", "glass_to_glass_p95_ms", 150.0),
        Goal("loopback", "first_picture_p95_ms", 300.0),
        Goal("bad network", "longest_gap_ms", 1000.0),
        Goal("bad network", "keyframe_wishes_per_s", 1.0),
        Goal("narrow link", "smaller_after_s", 5.0),
    ),
    find_missing=find_missing,
    rounds=1,
    is_costly=True,
)
