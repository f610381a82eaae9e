"""Listeners on a publisher's encodings: relays, which take those that are wanted behind them.

Owned by `room`, beside `taps`, which tells of the main track. A listener that raises is let go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from kit.logs import get_log
from media.sfu.layer_selector import LayerFact
from media.sfu.track import TrackPacket

log = get_log("sfu")

NOTHING: frozenset[str] = frozenset()


class LayerListener(Protocol):
    """Hears of one room's encodings, on the event loop."""

    def add_layer_packets(self, rid: str, packets: Sequence[TrackPacket], clock_shift: int) -> None:
        """Take packets of an encoding, beginning with those since its last keyframe, if any.

        `clock_shift` is what brings their timestamps to the main track's clock.
        """
        ...

    def apply_layers(self, main_rid: str, facts: Sequence[LayerFact]) -> None:
        """Learn which encodings there are, best first, and which the main track carries."""
        ...


class LayerTaps:
    """The listeners of one room, and which encodings each wants."""

    def __init__(self, room_id: str) -> None:
        self._room_id = room_id
        self._wanted: dict[LayerListener, frozenset[str]] = {}

    def add(self, listener: LayerListener) -> None:
        """Begin to tell a listener which encodings there are."""
        self._wanted[listener] = NOTHING

    def remove(self, listener: LayerListener) -> None:
        """Tell a listener nothing more; one that is not here is no error."""
        self._wanted.pop(listener, None)

    def clear(self) -> None:
        """Another publisher's encodings follow: nobody wants any yet."""
        self._wanted = dict.fromkeys(self._wanted, NOTHING)

    def want(self, listener: LayerListener, rids: Iterable[str]) -> frozenset[str]:
        """Take a listener's whole wish; returns what it did not want before."""
        if listener not in self._wanted:
            return NOTHING
        before, self._wanted[listener] = self._wanted[listener], frozenset(rids)
        return self._wanted[listener] - before

    def list_wanted(self) -> frozenset[str]:
        """Return what anybody wants."""
        return NOTHING.union(*self._wanted.values())

    def tell_packets(self, rid: str, packets: Sequence[TrackPacket], clock_shift: int) -> None:
        """Pass an encoding's packets on to who wants them."""
        for listener, rids in tuple(self._wanted.items()):
            if rid in rids:
                self.tell_one(listener, rid, packets, clock_shift)

    def tell_one(
        self, listener: LayerListener, rid: str, packets: Sequence[TrackPacket], clock_shift: int
    ) -> None:
        """Pass an encoding's packets to one listener."""
        try:
            listener.add_layer_packets(rid, packets, clock_shift)
        except Exception as error:  # noqa: BLE001 - viewers must not suffer from a listener
            self._let_go(listener, error)

    def tell_facts(self, main_rid: str, facts: Sequence[LayerFact]) -> None:
        """Say which encodings there are."""
        for listener in tuple(self._wanted):
            try:
                listener.apply_layers(main_rid, facts)
            except Exception as error:  # noqa: BLE001 - viewers must not suffer from a listener
                self._let_go(listener, error)

    def _let_go(self, listener: LayerListener, error: Exception) -> None:
        log.error("sfu.listener_failed", room=self._room_id, exc_info=error)
        self.remove(listener)
