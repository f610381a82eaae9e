"""What a broadcast keeps of one publisher: packaged as HLS, or measured alone.

`broadcasts.py` makes one per publisher and feeds it on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from actors.live_room.health import IngestReport
from media.live.continuity import Continuity
from media.live.packets import OPUS_FORMAT, GetWait, Packet, PacketOrder
from media.live.samples import AudioFormat
from media.live.source import RtpSource
from serve_apps.edge.ingest_meter import IngestMeter
from serve_apps.edge.waiting_samples import WaitingSamples


@dataclass
class Publisher:
    """One publisher of a room and what its packets go through."""

    session_id: str
    has_sound: bool
    source: RtpSource | None
    """None: frames come whole, by `waiting` alone."""
    waiting: WaitingSamples
    sound: AudioFormat = OPUS_FORMAT
    numbers: asyncio.Queue[int | None] = field(default_factory=asyncio.Queue)
    """Whole segments that await storing; None: there will be no more."""
    started_at: datetime | None = None
    continuity: Continuity | None = None
    """None: its room has not granted it yet."""
    gone_s: float | None = None
    """When it left (monotonic)."""
    has_successor: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it left, or somebody else came."""


class Uncarried:
    """A publisher whose picture HLS does not carry: no segment comes of it, its packets count."""

    def __init__(self, session_id: str, codec: str | None, get_wait_s: GetWait) -> None:
        self.session_id = session_id
        self._codec = codec
        """What the picture comes in; None: only sound comes."""
        self._meter = IngestMeter()
        self._orders = {"video": PacketOrder(get_wait_s), "audio": PacketOrder()}

    def add_packets(self, kind: str, packets: Sequence[Packet], now_s: float) -> int:
        """Count packets of one track and return how many are lost since the last call."""
        order = self._orders[kind]
        before = order.lost
        for packet in packets:
            order.add(packet, now_s)
        for found in order.take(now_s):
            if found is not None:
                is_last = kind == "video" and bool(found.marker)
                self._meter.add_bytes(len(found.payload), ends_picture=is_last)
        lost = order.lost - before
        self._meter.add_packets(lost=lost, received=len(packets))
        return lost

    def measure(self, now_s: float) -> IngestReport | None:
        """Return what it sent since this was last asked; None the first time."""
        return self._meter.take(self.session_id, now_s, is_carried=False, codec=self._codec)
