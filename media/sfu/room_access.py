"""What others in this process may do with a room: listen to it, ask what it carries.

The part of `server.Sfu` that makes and ends no session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from media.sfu.layer_taps import LayerListener
from media.sfu.options import SessionFact
from media.sfu.room import SfuRoom
from media.sfu.sdp import OfferedCodec
from media.sfu.session import LocalPublisher, PeerSession
from media.sfu.taps import RoomListener


class RoomAccess:
    """All rooms and sessions of a plane, by id."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rooms: dict[str, SfuRoom] = {}
        self._sessions: dict[str, PeerSession | LocalPublisher] = {}

    def list_sessions(self) -> tuple[SessionFact, ...]:
        """Return every session, oldest first."""
        now_s = self._now()
        return tuple(session.describe(now_s) for session in self._sessions.values())

    def add_listener(self, room_id: str, listener: RoomListener) -> bool:
        """Tell a listener what the room takes from its publishers; False when there is no room.

        Ends with `remove_listener` or with the room, which outlives its publisher by the viewers'
        grace; `on_publisher_connected` is the moment to call.
        """
        room = self._rooms.get(room_id)
        if room is not None:
            room.add_listener(listener, self._now())
        return room is not None

    def remove_listener(self, room_id: str, listener: RoomListener) -> None:
        """Tell a listener nothing more."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.remove_listener(listener)

    def request_keyframe(self, room_id: str, layer: str = "") -> None:
        """Want a keyframe from a room's publisher; of each layer one request a second goes out."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.request_keyframe(layer)

    def get_repair_wait_s(self, room_id: str, index: int) -> float:
        """Return how many seconds after it was missed a room's packet of video may still come.

        That is a few round trips to its publisher; 0.0 once that is asked for it no more.
        """
        room = self._rooms.get(room_id)
        return 0.0 if room is None else room.layers.get_repair_wait_s(index)

    def list_rids(self, room_id: str) -> tuple[str, ...]:
        """Return the names of the encodings that a room's publisher announced, if several."""
        room = self._rooms.get(room_id)
        return () if room is None else room.layers.list_rids()

    def add_layer_listener(self, room_id: str, listener: LayerListener) -> None:
        """Tell a listener which encodings a room's publisher sends, and those that it wants."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.layers.add_listener(listener)

    def remove_layer_listener(self, room_id: str, listener: LayerListener) -> None:
        """Tell a listener nothing more of encodings."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.layers.remove_listener(listener)

    def want_layers(self, room_id: str, listener: LayerListener, rids: Iterable[str]) -> None:
        """Give a listener these encodings alone, new ones from their last keyframe on."""
        room = self._rooms.get(room_id)
        if room is not None:
            now_s = self._now()
            room.flush(now_s)
            room.layers.want(listener, rids, now_s)

    def get_codecs(self, room_id: str) -> Mapping[str, OfferedCodec]:
        """Return what a room's publisher sends, by kind; empty when nobody publishes."""
        room = self._rooms.get(room_id)
        return {} if room is None else room.get_codecs()

    def get_publisher_id(self, room_id: str) -> str | None:
        """Return the session whose packets a room takes now, None while there is none."""
        room = self._rooms.get(room_id)
        return None if room is None or room.publisher is None else room.publisher.session_id

    def count_viewers(self, room_id: str) -> int:
        """Return how many sessions watch a room, those that are connecting among them."""
        room = self._rooms.get(room_id)
        return 0 if room is None else len(room.viewers)

    def check_watchable(self, room_id: str) -> None:
        """Raise the publisher's refusal when WebRTC cannot carry what it sends."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.check_watchable()
