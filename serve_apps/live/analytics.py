"""How a live went, for its owner: curves, sums, and the same as a table. Rules and rows; no HTTP.

Samples come from the room (`actors/live_room/health.py`), ten seconds each; here they are thinned
to a curve that a chart can show.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from actors.live_room.health import SAMPLE_EVERY_S
from actors.live_room.visitors import count_visitors
from kit.clock import format_time
from serve_apps.access.identity import Identity
from serve_apps.live.service import get_own_live
from storage.database import Connection
from storage.live_samples import LiveSample, find_sample_span, list_samples, list_visitors
from storage.lives import LiveRow

POINTS_MAX = 240
CSV_FIELDS = LiveSample.__struct_fields__[1:]
"""The time first; whose live it is says the file's name."""


@dataclass(frozen=True)
class LiveAnalytics:
    """A live's curve and its sums."""

    live: LiveRow
    visitors: int
    samples: Sequence[LiveSample]

    @property
    def viewers_peak(self) -> int:
        """The most at once, on air or not."""
        return max([self.live.viewers_peak, *(sample.viewers for sample in self.samples)])

    @property
    def lines(self) -> int:
        """Chat lines written on air."""
        return sum(sample.lines for sample in self.samples)

    @property
    def watched_s(self) -> dict[str, float]:
        """Time watched with a picture, of everybody together, by way."""
        return {
            "webrtc": sum(sample.watched_webrtc_ms for sample in self.samples) / 1000,
            "hls": sum(sample.watched_hls_ms for sample in self.samples) / 1000,
        }


async def read_analytics(
    connection: Connection, owner: Identity, live_id: uuid.UUID
) -> LiveAnalytics:
    """Return how a live of this owner went; raises LiveNotFound, PermissionDenied."""
    live = await get_own_live(connection, owner, live_id)
    span = await find_sample_span(connection, live_id)
    samples: list[LiveSample] = []
    if span is not None:
        samples = await list_samples(connection, live_id, span[0], decide_step(span[1] - span[0]))
    visitors = count_visitors(await list_visitors(connection, live_id))
    return LiveAnalytics(live, visitors, samples)


def decide_step(length: timedelta) -> timedelta:
    """Return how much time a point of the curve covers: whole samples, at most POINTS_MAX."""
    every = timedelta(seconds=SAMPLE_EVERY_S)
    samples = length // every + 1
    return every * -(-samples // POINTS_MAX)


def list_rows(samples: Sequence[LiveSample]) -> Iterator[Sequence[object]]:
    """Give samples as rows of a table, the titles first, the times in UTC."""
    yield CSV_FIELDS
    for sample in samples:
        fields = [getattr(sample, name) for name in CSV_FIELDS[1:]]
        yield [format_time(sample.at), *fields]
