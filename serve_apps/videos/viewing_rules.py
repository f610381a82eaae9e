"""What counts as a view, and what is believed of a player's beacons. Pure.

A session is a view once half of the video or 30 seconds of it were watched, whichever is less.
Bots, whoever names no browser, and the owner are not counted. Further sessions of a viewer within
30 minutes are not views again. A viewer is a person, or an address with its browser; the hash that
tells them apart is another one every day.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import datetime

VIEW_MS = 30_000
REPEAT_S = 30 * 60
SPEED_MAX = 2
SLACK_MS = 20_000
SESSION_MS_MAX = 86_400_000
BOT = re.compile(
    r"bot|crawl|spider|slurp|preview|headless|lighthouse|curl|wget|python|httpx|aiohttp|go-http"
    r"|java/|libwww|facebookexternalhit|monitor|scan",
    re.IGNORECASE,
)
TABLET = re.compile(r"ipad|tablet|android(?!.*mobile)", re.IGNORECASE)
PHONE = re.compile(r"mobi|iphone|android", re.IGNORECASE)
TELEVISION = re.compile(r"tv|playstation|xbox", re.IGNORECASE)


@dataclass(frozen=True)
class Browser:
    """Who sends a beacon, as far as the request says."""

    user_id: uuid.UUID | None
    address: str
    user_agent: str
    country: str | None = None
    """Two letters (ISO 3166-1)."""


def is_bot(user_agent: str) -> bool:
    """Say whether no person watches: a bot by its own name, or nobody who names a browser."""
    return not user_agent.strip() or BOT.search(user_agent) is not None


def name_device(user_agent: str) -> str:
    """Name the sort of device: `tv`, `tablet`, `phone` or `computer`."""
    for name, words in (("tv", TELEVISION), ("tablet", TABLET), ("phone", PHONE)):
        if words.search(user_agent):
            return name
    return "computer"


def decide_threshold_ms(duration_ms: int | None) -> int:
    """Return how much must be watched for a view."""
    return VIEW_MS if not duration_ms else min(VIEW_MS, duration_ms // 2)


def limit_watched(told_ms: int, started_at: datetime | None, now: datetime) -> int:
    """Return how much of what a player says it played is possible since it began."""
    elapsed_ms = 0 if started_at is None else int((now - started_at).total_seconds() * 1000)
    return max(0, min(told_ms, elapsed_ms * SPEED_MAX + SLACK_MS, SESSION_MS_MAX))


def hash_viewer(browser: Browser, key: str, now: datetime) -> bytes:
    """Return what tells viewers of one day apart, and nothing else."""
    who = str(browser.user_id) if browser.user_id else f"{browser.address} {browser.user_agent}"
    text = f"{now.date().isoformat()} {who}"
    return hashlib.blake2b(text.encode(), key=key.encode()[:64], digest_size=16).digest()


def write_parts(played: list[int]) -> str:
    """Write the hundredths that were played as a hundred digits."""
    wanted = set(played)
    return "".join("1" if part in wanted else "0" for part in range(100))
