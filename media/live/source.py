"""One room's packets to the frames of its packager: what the forwarding plane is tapped with.

The edge makes one per publisher and passes on what the room forwards. A VP8 publisher yields
nothing: HLS does not carry it. Called on the event loop, once per batch of packets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from media.live.packets import (
    OPUS_FORMAT,
    OPUS_RATE_HZ,
    Packet,
    PacketOrder,
    Picture,
    PictureAssembler,
    read_opus_ticks,
)
from media.live.samples import VIDEO_TIMESCALE, AudioSample, SampleSink, VideoSample
from media.live.timeline import Timeline


class RtpSource:
    """Depacketizes one publisher's picture and sound."""

    def __init__(self, sink: SampleSink, request_keyframe: Callable[[], None]) -> None:
        self.timeline = Timeline(VIDEO_TIMESCALE, OPUS_RATE_HZ)
        self.pictures = PictureAssembler()
        self._sink = sink
        self._request_keyframe = request_keyframe
        self._orders = {"video": PacketOrder(), "audio": PacketOrder()}
        self._last_dts: int | None = None

    @property
    def packets_lost(self) -> int:
        """How many packets of either kind were given up."""
        return sum(order.lost for order in self._orders.values())

    def add_packets(self, kind: str, packets: Sequence[Packet], now_s: float) -> None:
        """Take packets of one track as they came; frames that are whole go to the packager."""
        order = self._orders[kind]
        for packet in packets:
            order.add(packet, now_s)
        for found in self._orders["video"].take(now_s):
            self._add_picture(found, now_s)
        for found in self._orders["audio"].take(now_s):
            self._add_sound(found, now_s)

    def apply_report(self, kind: str, ntp_timestamp: int, timestamp: int) -> None:
        """Take a sender report, in the forwarded track's timestamps."""
        self.timeline.apply_report(kind, ntp_timestamp, timestamp)

    def _add_picture(self, packet: Packet | None, now_s: float) -> None:
        dropped = self.pictures.dropped
        if packet is None:
            self.pictures.lose()
        else:
            for picture in self.pictures.add(packet):
                self._emit(picture, now_s)
        if packet is None or self.pictures.dropped > dropped:
            self._request_keyframe()

    def _emit(self, picture: Picture, now_s: float) -> None:
        pts = self.timeline.place_video(picture.timestamp, now_s)
        # WebRTC has no decode times: they follow the order of arrival, and never stand still.
        dts = pts if self._last_dts is None else max(pts, self._last_dts + 1)
        self._last_dts = dts
        self._sink.add_video(VideoSample(picture.format, picture.data, dts, pts, picture.is_key))

    def _add_sound(self, packet: Packet | None, now_s: float) -> None:
        """What is lost is left out: the packager fills the hole."""
        if packet is None:
            return
        ticks = read_opus_ticks(packet.payload)
        if ticks:
            pts = self.timeline.place_audio(packet.timestamp, now_s)
            self._sink.add_audio(AudioSample(OPUS_FORMAT, packet.payload, pts, ticks))
