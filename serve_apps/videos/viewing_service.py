"""Counts what players tell, and reads it for the owner. Routes call it; it never commits."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from kit.setting_sections import AuthSettings
from serve_apps.access.identity import Identity
from serve_apps.videos import viewing_rules as rules
from serve_apps.videos.service import get_own_video, get_video
from serve_apps.videos.viewing_rules import Browser
from storage import watch_sessions
from storage.database import Connection
from storage.engagement import add_share
from storage.jobs import enqueue_job
from storage.watch_sessions import PARTS, Beacon, VideoDay, WatchSession

SUM_UP_JOB = "videos.sum_up_day"
WATCHING_S = 30
MINUTE_S = 60
SETTLE_S = 5


class SumUpJob(msgspec.Struct, frozen=True):
    """Payload of the job that counts a day again."""

    video_id: uuid.UUID
    day: date


@dataclass(frozen=True)
class Told:
    """What a player says of its session so far."""

    session: uuid.UUID
    watched_ms: int
    parts: list[int]
    source: str
    start_ms: int | None
    stalls: int
    stalled_ms: int
    switches: int


@dataclass(frozen=True)
class Analytics:
    """A video's numbers over some days; `days` has one for each, also without any."""

    days: list[VideoDay]
    watching_now: int
    retention: list[float]
    """What share of sessions played each hundredth."""
    sources: dict[str, int]
    devices: dict[str, int]
    countries: dict[str, int]


async def note_watching(
    connection: Connection,
    viewer: Identity | None,
    video_id: uuid.UUID,
    told: Told,
    sender: tuple[Browser, AuthSettings, datetime],
) -> bool:
    """Take a beacon; says whether the session is a view by now. Raises VideoNotFound."""
    browser, auth, now = sender
    video = await get_video(connection, viewer, video_id)
    if rules.is_bot(browser.user_agent) or browser.user_id == video.owner_id:
        return False
    known = await watch_sessions.find_session(connection, video_id, told.session) or _begin(now)
    passed = rules.measure_passed(known.started_at, known.last_at, now)
    beacon = Beacon(
        told.session,
        video_id,
        rules.hash_viewer(browser, auth.token_key, now),
        now,
        rules.limit_watched(told.watched_ms, known.watched_ms, passed),
        rules.write_parts(rules.limit_parts(told.parts, known.parts, passed, video.duration_ms)),
        told.source,
        rules.name_device(browser.user_agent),
        told.start_ms,
        told.stalls,
        rules.limit_stalled(told.stalled_ms, known.stalled_ms, passed),
        told.switches,
        browser.country,
    )
    await watch_sessions.note_beacon(connection, beacon)
    is_view = known.counted_at is not None
    watched_ms = max(beacon.watched_ms, known.watched_ms)
    if not is_view and watched_ms >= rules.decide_threshold_ms(video.duration_ms):
        since = known.started_at - timedelta(seconds=rules.REPEAT_S)
        viewers = rules.list_hashes(browser, auth.token_key, since, now)
        is_view = await watch_sessions.count_view(connection, beacon, viewers, since)
    await enqueue_sum(connection, video_id, known.started_at.date(), now)
    return is_view


async def note_share(
    connection: Connection,
    viewer: Identity | None,
    video_id: uuid.UUID,
    sender: tuple[Browser, AuthSettings, datetime],
) -> None:
    """Count that somebody took a video's address along, once a day; raises VideoNotFound."""
    browser, auth, now = sender
    video = await get_video(connection, viewer, video_id)
    if rules.is_bot(browser.user_agent) or browser.user_id == video.owner_id:
        return
    whose = rules.hash_viewer(browser, auth.token_key, now)
    if await add_share(connection, video_id, now.date(), whose):
        await enqueue_sum(connection, video_id, now.date(), now)


async def read_analytics(
    connection: Connection, owner: Identity, video_id: uuid.UUID, days: int, now: datetime
) -> Analytics:
    """Return the numbers of the last days; raises VideoNotFound, PermissionDenied."""
    await get_own_video(connection, owner, video_id)
    first = now.date() - timedelta(days=days - 1)
    known = {it.day: it for it in await watch_sessions.list_days(connection, video_id, first)}
    every = [first + timedelta(days=number) for number in range(days)]
    shown = [known.get(day) or _make_empty(day) for day in every]
    since = now - timedelta(seconds=WATCHING_S)
    return Analytics(
        shown,
        await watch_sessions.count_watching(connection, video_id, since),
        measure_retention(shown),
        _add_up([it.sources for it in shown]),
        _add_up([it.devices for it in shown]),
        _add_up([it.countries for it in shown]),
    )


def measure_retention(days: list[VideoDay]) -> list[float]:
    """Return what share of all sessions played each hundredth; zeros when there were none."""
    sessions = sum(it.sessions for it in days)
    played = [sum(it.retention[part] for it in days) for part in range(PARTS)]
    return [round(count / sessions, 4) if sessions else 0.0 for count in played]


def _begin(now: datetime) -> WatchSession:
    """Return a session that nothing was told of yet."""
    return WatchSession(now, now, 0, "0" * PARTS, 0, None)


def _add_up(counts: list[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return dict(total.most_common())


def _make_empty(day: date) -> VideoDay:
    return VideoDay(day, 0, 0, 0, [0] * PARTS, {}, {}, {}, 0, 0, 0, 0, 0)


async def enqueue_sum(
    connection: Connection, video_id: uuid.UUID, day: date, now: datetime
) -> None:
    """Have the day counted once this minute is over: one job per minute, whoever watches."""
    minute = now.replace(second=0, microsecond=0)
    await enqueue_job(
        connection,
        SUM_UP_JOB,
        SumUpJob(video_id, day),
        dedupe_key=f"{SUM_UP_JOB}:{video_id}:{day}:{minute.isoformat()}",
        delay_s=MINUTE_S - now.second + SETTLE_S,
    )
