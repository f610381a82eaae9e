"""A video's numbers as the rows of one table. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serve_apps.videos.viewing_schemas import AnalyticsBody

FIELDS = ("kind", "name", "value", "watched_s", "likes", "comments", "shares")
NOT_OF_DAYS = (None,) * 4


def list_rows(found: AnalyticsBody) -> Iterator[Sequence[object]]:
    """Give each number as a row, the titles first: days, hundredths of the video, sources, devices,
    countries.

    `value` is views of a day, the share of sessions that played a hundredth, else sessions.
    """
    yield FIELDS
    for day in found.days:
        engagement = (day.likes, day.comments, day.shares)
        yield "day", day.day, day.views, day.watched_ms / 1000, *engagement
    for part, share in enumerate(found.retention):
        yield "retention", f"{part} %", share, *NOT_OF_DAYS
    shares = (("source", found.sources), ("device", found.devices), ("country", found.countries))
    for kind, counts in shares:
        for name, count in counts.items():
            yield kind, name, count, *NOT_OF_DAYS
