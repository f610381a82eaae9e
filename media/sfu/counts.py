"""What a room counts of its own traffic, and the rates over the last second. Owned by `room`."""

from __future__ import annotations

RATE_EVERY_S = 1.0


class RoomCounts:
    """Plain counters of a room, and the rates over the last second."""

    def __init__(self, now_s: float) -> None:
        self.packets_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.nacks_in = 0
        self.retransmits = 0
        self.retransmits_refused = 0
        self.plis_in = 0
        self.packets_dropped = 0
        self.bitrate_in_bps = 0
        self.bitrate_out_bps = 0
        self._measured = (now_s, 0, 0)

    def measure_rates(self, now_s: float) -> None:
        """Set the rates from what passed since the last measurement."""
        at_s, bytes_in, bytes_out = self._measured
        if now_s - at_s < RATE_EVERY_S:
            return
        self.bitrate_in_bps = round((self.bytes_in - bytes_in) * 8 / (now_s - at_s))
        self.bitrate_out_bps = round((self.bytes_out - bytes_out) * 8 / (now_s - at_s))
        self._measured = (now_s, self.bytes_in, self.bytes_out)
