"""Lives to come as calendars read them: RFC 5545, and nothing that is not for everybody."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest

from kit.clock import ManualClock, format_time
from tests.serve_apps.api_client import Person

pytestmark = pytest.mark.db

TITLE = "Würfel; Brot, und\nEND:VEVENT\\ " + "é" * 60


def unfold(text: str) -> list[str]:
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    return re.sub(r"\r\n[ ]", "", text).split("\r\n")


async def test_a_channel_can_be_subscribed_to_and_one_live_be_noted(
    ada: Person, client: httpx.AsyncClient, clock: ManualClock
) -> None:
    starts = clock.now() + timedelta(days=2)
    plan = {"title": TITLE, "scheduled_at": format_time(starts)}
    live = await ada.post("/v1/live", plan, status=201)
    await ada.post("/v1/live", {**plan, "title": "Hidden", "visibility": "private"}, status=201)
    await ada.post("/v1/live", {"title": "Without a time"}, status=201)
    answer = await client.get("/v1/users/ada/lives.ics")
    assert answer.headers["Content-Type"].startswith("text/calendar")
    lines = unfold(answer.text)
    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines.count("BEGIN:VEVENT") == lines.count("END:VEVENT") == 1
    assert f"UID:{live['id']}" in lines
    assert f"DTSTART:{starts:%Y%m%dT%H%M%SZ}" in lines
    assert "SUMMARY:Würfel\\; Brot\\, und\\nEND:VEVENT\\\\ " + "é" * 60 in lines
    alone = await client.get(f"/v1/live/{live['id']}/calendar.ics")
    assert unfold(alone.text)[5:] == lines[5:]
    await ada.call("PATCH", f"/v1/live/{live['id']}", json={"scheduled_at": None})
    empty = await client.get(f"/v1/live/{live['id']}/calendar.ics")
    assert "BEGIN:VEVENT" not in empty.text
    assert (await client.get("/v1/users/nobody/lives.ics")).status_code == 404
