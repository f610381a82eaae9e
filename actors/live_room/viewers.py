"""Who watches a room, over all edges: a person counts once, wherever they have it open. Pure.

Edges name the people who are signed in, so that two edges do not count one of them twice; strangers
cannot be told apart: their players count, and their sockets beyond the players are chat alone. The
owner is no viewer. Nothing of it is stored.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping

from actors.live_room.messages import PERSON_BYTES, ViewersReport, Way

WAYS = tuple(Way)
"""The best first: somebody who watches in several ways counts in the first of them."""
PLAYED = (Way.WEBRTC, Way.HLS)
"""The ways with a picture."""
NOWHERE = (0,) * len(WAYS)


class Viewers:
    """Viewers by edge, and their sum."""

    def __init__(self, owner_id: uuid.UUID) -> None:
        self._owner = owner_id.bytes
        self._strangers: dict[str, Mapping[Way, int]] = {}
        self._people: dict[str, dict[bytes, Way]] = {}
        """Who watches at which edge, and how."""
        self._edges: dict[bytes, tuple[int, ...]] = {}
        """At how many edges a person watches, by way."""
        self._counts = dict.fromkeys(WAYS, 0)
        """People by their best way."""
        self.ways = self._add_up()
        """Everybody by the name of their way; another one after each change."""

    def report(self, link: str, report: ViewersReport) -> None:
        """Take what an edge says."""
        if report.is_whole:
            self._forget_people(link)
        at_edge = self._people.setdefault(link, {})
        for person in split_people(report.gone):
            self._move(person, at_edge.pop(person, None), None)
        for way, people in report.people.items():
            for person in split_people(people):
                if person != self._owner:
                    self._move(person, at_edge.get(person), way)
                    at_edge[person] = way
        if not at_edge:
            del self._people[link]
        if any(report.strangers.values()):
            self._strangers[link] = report.strangers
        else:
            self._strangers.pop(link, None)
        self.ways = self._add_up()

    def forget(self, link: str) -> None:
        """An edge is out of reach: nobody watches there."""
        self._forget_people(link)
        self._strangers.pop(link, None)
        self.ways = self._add_up()

    def _forget_people(self, link: str) -> None:
        for person, way in self._people.pop(link, {}).items():
            self._move(person, way, None)

    def _move(self, person: bytes, before: Way | None, after: Way | None) -> None:
        """A person watches in another way at one edge; None: not at all."""
        if before is after:
            return
        edges = self._edges.get(person, NOWHERE)
        moved = tuple(
            count + (way is after) - (way is before) for way, count in zip(WAYS, edges, strict=True)
        )
        for seen, change in ((edges, -1), (moved, +1)):
            best = _find_best(seen)
            if best is not None:
                self._counts[best] += change
        if any(moved):
            self._edges[person] = moved
        else:
            self._edges.pop(person, None)

    def _add_up(self) -> dict[str, int]:
        strangers = {
            way: sum(at_edge.get(way, 0) for at_edge in self._strangers.values()) for way in WAYS
        }
        players = sum(strangers[way] for way in PLAYED)
        strangers[Way.CHAT] = max(0, strangers[Way.CHAT] - players)
        return {str(way): self._counts[way] + strangers[way] for way in WAYS}


def split_people(ids: bytes) -> Iterator[bytes]:
    """Return the ids that stand in a report, one after another."""
    return (ids[at : at + PERSON_BYTES] for at in range(0, len(ids), PERSON_BYTES))


def _find_best(edges: tuple[int, ...]) -> Way | None:
    return next((way for way, count in zip(WAYS, edges, strict=True) if count), None)
