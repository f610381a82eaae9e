"""Listeners on what a room takes from its publisher: recording and HLS hear of it here.

Owned by `room`; the edge adds listeners through `server`. They hear of packets as the track keeps
them, repeats and strays left out, and never hold up forwarding: one that raises is let go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kit.logs import get_log
from media.sfu.options import Kind
from media.sfu.track import SourceTrack, TrackPacket

LISTENERS_MAX = 8

log = get_log("sfu")


class RoomListener(Protocol):
    """Hears of one room, on the event loop, after each batch of datagrams.

    Packets come in the order of arrival: one that was repeated comes late, and its `index` says
    where it belongs (indexes run on without a hole, across publishers too). A listener that joins
    late first gets the video since the last keyframe. Timestamps, also those of the publisher's
    sender reports, are the track's own: 90 kHz for video, 48 kHz for audio.
    """

    def add_packets(self, kind: Kind, packets: Sequence[TrackPacket], now_s: float) -> None:
        """Take packets of one track; `now_s` is the plane's monotonic clock."""
        ...

    def apply_report(self, kind: Kind, ntp_timestamp: int, timestamp: int) -> None:
        """Learn that `timestamp` was `ntp_timestamp` (64 bits) on the publisher's clock."""
        ...


class RoomTaps:
    """The listeners of one room."""

    def __init__(self, room_id: str) -> None:
        self._room_id = room_id
        self._listeners: list[RoomListener] = []

    def add(self, listener: RoomListener, video: SourceTrack, now_s: float) -> None:
        """Begin to tell a listener, with the video since the last keyframe."""
        assert len(self._listeners) < LISTENERS_MAX, "a room has a few listeners, all ours"
        self._listeners.append(listener)
        run = video.list_keyframe_run()
        if run:
            self._tell(listener, "video", run, now_s)

    def remove(self, listener: RoomListener) -> None:
        """Tell a listener nothing more; one that is not here is no error."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def tell_packets(self, kind: Kind, packets: Sequence[TrackPacket], now_s: float) -> None:
        """Pass packets on to everybody."""
        for listener in tuple(self._listeners):
            self._tell(listener, kind, packets, now_s)

    def tell_report(self, kind: Kind, ntp_timestamp: int, timestamp: int) -> None:
        """Pass a sender report on to everybody."""
        for listener in tuple(self._listeners):
            try:
                listener.apply_report(kind, ntp_timestamp, timestamp)
            except Exception as error:  # noqa: BLE001 - viewers must not suffer from a listener
                self._let_go(listener, error)

    def _tell(
        self, listener: RoomListener, kind: Kind, packets: Sequence[TrackPacket], now_s: float
    ) -> None:
        try:
            listener.add_packets(kind, packets, now_s)
        except Exception as error:  # noqa: BLE001 - viewers must not suffer from a listener
            self._let_go(listener, error)

    def _let_go(self, listener: RoomListener, error: Exception) -> None:
        log.error("sfu.listener_failed", room=self._room_id, exc_info=error)
        self.remove(listener)
