"""Lives to come as an iCalendar (RFC 5545), which calendars subscribe to. Pure.

Nobody knows how long a live will take: it stands for an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from storage.lives import LiveRow

PRODUCT = "-//Social Flow//Lives//EN"
LINE_BYTES_MAX = 75
"""(§3.1) Longer lines are folded."""
DURATION = "PT1H"
CONTROLS = {code: " " for code in range(32) if chr(code) != "\n"}


def write_calendar(lives: Sequence[LiveRow], name: str, public_url: str, now: datetime) -> str:
    """Write lives that have a time, in the order given."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{PRODUCT}",
        f"X-WR-CALNAME:{_escape(name)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
    ]
    for live in lives:
        lines += _write_event(live, public_url.rstrip("/"), now)
    lines.append("END:VCALENDAR")
    return "".join(f"{_fold(line)}\r\n" for line in lines)


def _write_event(live: LiveRow, public_url: str, now: datetime) -> list[str]:
    assert live.scheduled_at is not None, "a live to come has its time"
    address = f"{public_url}/live/{live.id}"
    return [
        "BEGIN:VEVENT",
        f"UID:{live.id}",
        f"DTSTAMP:{_write_time(now)}",
        f"DTSTART:{_write_time(live.scheduled_at)}",
        f"DURATION:{DURATION}",
        f"SUMMARY:{_escape(live.title)}",
        f"DESCRIPTION:{_escape(f'{live.owner_display_name} goes live: {address}')}",
        f"URL:{address}",
        "END:VEVENT",
    ]


def _write_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _escape(text: str) -> str:
    """(§3.3.11) Whatever a title holds, it stays within its line."""
    for mark in ("\\", ";", ","):
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\r\n", "\n").translate(CONTROLS).replace("\n", "\\n")


def _fold(line: str) -> str:
    """(§3.1) Fold a line without cutting a character."""
    pieces, size = [""], 0
    for character in line:
        width = len(character.encode())
        if size + width > LINE_BYTES_MAX:
            pieces.append(" ")
            size = 1
        pieces[-1] += character
        size += width
    return "\r\n".join(pieces)
