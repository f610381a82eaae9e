"""A video's numbers as one table (RFC 4180), for spreadsheets and scripts. Pure."""

from __future__ import annotations

import csv
import io

from serve_apps.videos.viewing_schemas import AnalyticsBody

FIELDS = ("kind", "name", "value", "watched_s")


def write_table(found: AnalyticsBody) -> str:
    """Write each number as a row: days, hundredths of the video, sources, devices.

    `value` is views of a day, the share of sessions that played a hundredth, else sessions.
    """
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(FIELDS)
    for day in found.days:
        table.writerow(("day", day.day, day.views, day.watched_ms / 1000))
    for part, share in enumerate(found.retention):
        table.writerow(("retention", f"{part} %", share, ""))
    for kind, counts in (("source", found.sources), ("device", found.devices)):
        for name, count in counts.items():
            table.writerow((kind, name, count, ""))
    return text.getvalue()
