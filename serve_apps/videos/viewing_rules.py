"""What counts as a view, and what is believed of a player's beacons. Pure.

A session is a view once half of the video or 30 seconds of it were watched, whichever is less.
Bots, whoever names no browser, and the owner are not counted. A session never becomes a view when
its viewer had one in the 30 minutes before it began, or since; who watches on or comes back is
counted again for a session begun later. A viewer is a person, or an address with its browser; the
hash that tells them apart is another one every day.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.watch_sessions import PARTS

VIEW_MS = 30_000
REPEAT_S = 30 * 60
SPEED_MAX = 2
SLACK_MS = 20_000
"""What a session may tell beyond the time that passed since its first beacon, and a beacon beyond
that since the last one: a player's first comes after ten seconds of play, and any may be late."""
GLIMPSE_MS = 2_000
"""Whoever jumps through a long video sees no hundredth for less."""
SESSION_MS_MAX = 86_400_000
BOT = re.compile(
    r"(?<!cu)bots?(?![a-z])|botify|crawl|spider|slurp|preview|headless|lighthouse|curl|wget|python"
    r"|httpx|aiohttp|go-http|java/|libwww|facebookexternalhit|monitor|scan",
    re.IGNORECASE,
)
"""A bot's name ends with the word; CUBOT makes phones (as github.com/omrilotan/isbot has it)."""
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


@dataclass(frozen=True)
class Passed:
    """Time since a session's first beacon and since its last one, none when this is the first."""

    first_ms: int = 0
    last_ms: int = 0


def measure_passed(first: datetime, last: datetime, now: datetime) -> Passed:
    """Return the time since both moments; none for one that another machine's clock sees ahead."""
    since_first_s, since_last_s = (now - first).total_seconds(), (now - last).total_seconds()
    return Passed(max(0, int(since_first_s * 1000)), max(0, int(since_last_s * 1000)))


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


def limit_watched(told_ms: int, known_ms: int, passed: Passed) -> int:
    """Return how much of what a player says it played fits into the time that passed."""
    return min(told_ms, _bound_ms(known_ms, passed, SPEED_MAX), SESSION_MS_MAX)


def limit_stalled(told_ms: int, known_ms: int, passed: Passed) -> int:
    """Return how much of the waiting that a player tells of fits into the time that passed."""
    return min(told_ms, _bound_ms(known_ms, passed, 1))


def limit_parts(
    told: Collection[int], known: str, passed: Passed, duration_ms: int | None
) -> list[int]:
    """Return the hundredths that are believed of those told, the first ones when all are too many.

    `known` has a digit 1 for each that was believed before; those are not returned again. Each
    takes its own time, at the highest speed, or a glimpse of a longer one.
    """
    each_ms = max(1, min((duration_ms or 0) // (PARTS * SPEED_MAX), GLIMPSE_MS))
    count = known.count("1")
    count_max = _bound_ms(count * each_ms, passed, 1) // each_ms
    fresh = sorted(part for part in set(told) if known[part] == "0")
    return fresh[: max(0, count_max - count)]


def _bound_ms(known_ms: int, passed: Passed, speed: int) -> int:
    """Return the most a session may tell by now, of which `known_ms` was believed before."""
    since_last_ms = known_ms + passed.last_ms * speed
    return min(passed.first_ms * speed, since_last_ms) + SLACK_MS


def hash_viewer(browser: Browser, key: str, now: datetime) -> bytes:
    """Return what tells viewers of one day apart, and nothing else."""
    who = str(browser.user_id) if browser.user_id else f"{browser.address} {browser.user_agent}"
    text = f"{now.date().isoformat()} {who}"
    return hashlib.blake2b(text.encode(), key=key.encode()[:64], digest_size=16).digest()


def list_hashes(browser: Browser, key: str, since: datetime, now: datetime) -> list[bytes]:
    """Return a viewer's hashes of the days from `since` until now, the oldest first."""
    days = (now.date() - since.date()).days
    return [hash_viewer(browser, key, now - timedelta(days=ago)) for ago in range(days, -1, -1)]


def write_parts(played: Collection[int]) -> str:
    """Write the hundredths that were played as a hundred digits."""
    wanted = set(played)
    return "".join("1" if part in wanted else "0" for part in range(PARTS))
