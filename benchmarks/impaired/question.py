"""How late and how steady is a live by WebRTC, on a perfect network and on a bad one?"""

from __future__ import annotations

from pathlib import Path

from benchmarks.frame import Goal, Question, Side
from benchmarks.impaired.glass import CHROMIUM, narrow, show
from tests.media.sfu.impaired_link import Conditions

SECONDS, SECONDS_SHORT = 60.0, 5.0
JOINS, JOINS_SHORT = 20, 3
NARROW_BPS = 600_000.0
BAD = Conditions(loss=0.05, jitter_s=0.05)


def show_with_bad(*links: str) -> Side:
    """Return a side on which these links are bad."""
    bad = dict.fromkeys(links, BAD)
    return lambda form: show(
        bad, form.choose(SECONDS, SECONDS_SHORT), form.choose(JOINS, JOINS_SHORT)
    )


def find_missing() -> dict[str, str]:
    """Name both sides where there is no browser."""
    cure = "apt-get install chromium"
    return {} if Path(CHROMIUM).exists() else dict.fromkeys(SIDES, cure)


SIDES: dict[str, Side] = {
    "loopback": show_with_bad(),
    "bad network": show_with_bad("whip", "whep"),
    "publisher's link": show_with_bad("whip"),
    "viewer's link": show_with_bad("whep"),
    "narrow link": lambda _form: narrow(NARROW_BPS),
}
BAD_SIDES = ("bad network", "publisher's link", "viewer's link")
QUESTION = Question(
    name="impaired",
    sentence=__doc__ or "",
    sides=SIDES,
    libraries=("playwright", "aiohttp"),
    configuration={
        "load": "640x360 at 30 pictures a second, numbered in the picture; one Chromium sends and "
        "watches, beside the plane on the same processors",
        "bad network": "5 % loss and up to 50 ms jitter, on both links and in both directions: "
        "near 10 % from camera to screen",
        "each link": "the same on this link alone",
        "narrow link": "two encodings, the viewer's link narrowed to 600 kbit/s and widened again: "
        "seconds until it got the other one",
        "first picture": "from before the offer; joins on an unharmed link",
        "frozen": "as WebRTC's statistics count it (totalFreezesDuration)",
    },
    goals=(
        Goal("loopback", "glass_to_glass_p50_ms", 60.0),
        Goal("loopback", "glass_to_glass_p95_ms", 150.0),
        Goal("loopback", "first_picture_p95_ms", 300.0),
        *(Goal(side, "longest_gap_ms", 1000.0) for side in BAD_SIDES),
        *(Goal(side, "keyframe_wishes_per_s", 1.0) for side in BAD_SIDES),
        Goal("narrow link", "smaller_after_s", 5.0),
    ),
    find_missing=find_missing,
    rounds=1,
    is_costly=True,
)
