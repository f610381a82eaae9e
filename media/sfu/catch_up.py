"""Viewers on their way from the last keyframe to now: the past goes out in pieces.

Owned by `room`. A run of some hundred packets at line speed would overflow the first small buffer
on its way, so each batch brings a newcomer one piece, in order, until it has everything; only then
does it get packets as they come.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.sfu.fanout import FanoutGroup
from media.sfu.session import ViewerSession
from media.sfu.track import SourceTrack, TrackPacket

PIECE_PACKETS = 64


@dataclass(slots=True)
class _Newcomer:
    viewer: ViewerSession
    group: FanoutGroup
    next_index: int


@dataclass(frozen=True, slots=True)
class Piece:
    """What one viewer gets next; after the last piece it is up to date."""

    viewer: ViewerSession
    group: FanoutGroup
    packets: list[TrackPacket]
    is_last: bool


class CatchUp:
    """Who still gets the past, and from where on."""

    def __init__(self) -> None:
        self._newcomers: dict[str, _Newcomer] = {}

    def __contains__(self, viewer: ViewerSession) -> bool:
        return viewer.session_id in self._newcomers

    def __len__(self) -> int:
        return len(self._newcomers)

    def start(self, viewer: ViewerSession, group: FanoutGroup, first_index: int) -> None:
        """Bring a viewer everything from `first_index` on, beginning with the next piece."""
        self._newcomers[viewer.session_id] = _Newcomer(viewer, group, first_index)

    def stop(self, viewer: ViewerSession) -> None:
        """Forget a viewer."""
        self._newcomers.pop(viewer.session_id, None)

    def clear(self) -> None:
        """Forget everybody: the past belongs to another publisher."""
        self._newcomers.clear()

    def list_newcomers(self) -> tuple[tuple[ViewerSession, FanoutGroup], ...]:
        """Return who still gets the past, and in which group."""
        return tuple((newcomer.viewer, newcomer.group) for newcomer in self._newcomers.values())

    def take_piece(self, viewer: ViewerSession, track: SourceTrack) -> Piece:
        """Return the next piece for one viewer and note how far it got.

        One whose place left the ring is skipped ahead.
        """
        newcomer = self._newcomers[viewer.session_id]
        end = min(newcomer.next_index + PIECE_PACKETS, track.next_index)
        found = [track.find_packet(index) for index in range(newcomer.next_index, end)]
        newcomer.next_index = end
        is_last = end >= track.next_index
        if is_last:
            del self._newcomers[viewer.session_id]
        packets = [packet for packet in found if packet is not None]
        return Piece(newcomer.viewer, newcomer.group, packets, is_last)
