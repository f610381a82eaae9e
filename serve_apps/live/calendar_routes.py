"""Lives to come, for calendars: one live, and whatever somebody announces."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated

from fastapi import Path, Response

from kit.errors import NotFound
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.state import ApiPorts, OptionalUser, Ports
from serve_apps.live import schedule, service
from serve_apps.live.calendar import write_calendar
from storage.lives import LiveRow
from storage.users import find_card

routes = Routes("", "live")
CALENDAR_TYPE = "text/calendar"
EVENTS_MAX = 100
EXAMPLE_CALENDAR = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n…\r\nEND:VCALENDAR\r\n"
Username = Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,30}$", examples=["ada"])]


class ProgrammeNotFound(NotFound):
    """There is no such person."""

    code, message = "programme_not_found", "There is nobody of this name."


@routes.get(
    "/live/{live_id}/calendar.ics",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="A live to come, for one's calendar; empty when it has no time.",
    response_class=Response,
    media_type=CALENDAR_TYPE,
    example=EXAMPLE_CALENDAR,
    errors=(service.LiveNotFound, ForSubscribers),
)
async def get_live_calendar(live_id: uuid.UUID, viewer: OptionalUser, ports: Ports) -> Response:
    """Get one live as a calendar."""
    async with ports.database.connection() as connection:
        live = await service.get_live(connection, viewer, live_id)
    is_to_come = schedule.decide_status(live) == "scheduled"
    return _answer(ports, [live] if is_to_come else [], live.title)


@routes.get(
    "/users/{username}/lives.ics",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Subscribe to somebody's public lives to come, as a calendar.",
    response_class=Response,
    media_type=CALENDAR_TYPE,
    example=EXAMPLE_CALENDAR,
    errors=(ProgrammeNotFound,),
)
async def get_programme_calendar(username: Username, ports: Ports) -> Response:
    """Get what somebody announces as a calendar; it is public whoever asks."""
    programme = schedule.make_programme(None, username.lower(), ports.clock.now())
    async with ports.database.connection() as connection:
        person = await find_card(connection, username.lower())
        if person is None:
            raise ProgrammeNotFound
        page = await schedule.list_upcoming(connection, programme, None, EVENTS_MAX)
    return _answer(ports, page.items, f"{person.display_name}, live")


def _answer(ports: ApiPorts, lives: Sequence[LiveRow], name: str) -> Response:
    text = write_calendar(lives, name, ports.settings.http.public_url, ports.clock.now())
    headers = {"Content-Disposition": 'inline; filename="live.ics"'}
    return Response(text, media_type=CALENDAR_TYPE, headers=headers)
