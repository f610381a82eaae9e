"""When a live will begin: announced, changed or taken back by its owner, listed for everybody.

A live that has not begun and has a time is `scheduled`; it begins when media arrives, early or
late, as any other. Nothing happens at the time itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from kit.cursors import Page, cut_page, make_moment_key, read_moment_cursor
from kit.errors import Conflict
from serve_apps.access.identity import Identity
from storage.database import Connection
from storage.lives import LiveRow, Programme, list_upcoming_lives, schedule_live

AHEAD_MAX = timedelta(days=366)
LATE_MAX = timedelta(hours=1)
"""So long after its time a live that did not begin is still listed as coming up."""


class ScheduleUnfit(Conflict):
    """The time is past, or too far ahead."""

    code = "schedule_unfit"
    message = "A live is scheduled for a time between now and a year ahead."


class LiveBegun(Conflict):
    """What has begun has no time to come any more."""

    code, message = "live_begun", "This live has begun; its time cannot be changed any more."


def check_time(scheduled_at: datetime | None, now: datetime) -> None:
    """Raise ScheduleUnfit unless a live may be announced for this time."""
    if scheduled_at is not None and not now < scheduled_at <= now + AHEAD_MAX:
        raise ScheduleUnfit


async def reschedule(
    connection: Connection, live: LiveRow, scheduled_at: datetime | None, now: datetime
) -> None:
    """Give a live another time, or none; raises ScheduleUnfit, LiveBegun."""
    check_time(scheduled_at, now)
    if not await schedule_live(connection, live.id, scheduled_at):
        raise LiveBegun


def decide_status(live: LiveRow) -> str:
    """Return the status as it is shown: `scheduled` is a live to come that has its time."""
    is_scheduled = live.status == "created" and live.scheduled_at is not None
    return "scheduled" if is_scheduled else live.status


def make_programme(viewer: Identity | None, owner: str | None, now: datetime) -> Programme:
    """Say what this viewer is shown of what is to come; of themselves everybody sees all."""
    return Programme(now - LATE_MAX, None if viewer is None else viewer.user_id, owner)


async def list_upcoming(
    connection: Connection, programme: Programme, cursor: str | None, limit: int
) -> Page[LiveRow]:
    """List lives to come, the soonest first."""
    after = read_moment_cursor(cursor)
    rows = await list_upcoming_lives(connection, programme, after=after, limit=limit + 1)
    return cut_page(rows, limit, _read_key)


def _read_key(live: LiveRow) -> tuple[str, str]:
    assert live.scheduled_at is not None, "a live to come has its time"
    return make_moment_key(live.scheduled_at, live.id)
