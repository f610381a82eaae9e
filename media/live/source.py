"""One room's packets to the frames of its packager: what the forwarding plane is tapped with.

The edge makes one per publisher and passes on what the room forwards. A VP8 publisher yields
nothing: HLS does not carry it. Called on the event loop, once per batch of packets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from media.live.packets import (
    OPUS_FORMAT,
    OPUS_RATE_HZ,
    WAIT_S,
    WAITING_MAX,
    GetWait,
    Packet,
    PacketOrder,
    Picture,
    PictureAssembler,
    read_opus_ticks,
)
from media.live.samples import VIDEO_TIMESCALE, AudioSample, SampleSink, VideoSample
from media.live.timeline import Timeline


class RtpSource:
    """Depacketizes one publisher's picture and sound; `get_wait_s` is asked about the picture's.

    Sound is waited for briefly: the packager soon puts silence in its place.
    """

    def __init__(
        self, sink: SampleSink, request_keyframe: Callable[[], None], get_wait_s: GetWait
    ) -> None:
        self.timeline = Timeline(VIDEO_TIMESCALE, OPUS_RATE_HZ)
        self.pictures = PictureAssembler()
        self._sink = sink
        self._request_keyframe = request_keyframe
        self._orders = {"video": PacketOrder(get_wait_s), "audio": PacketOrder()}
        self._last_dts: int | None = None

    @property
    def packets_lost(self) -> int:
        """How many packets of either kind were given up."""
        return sum(order.lost for order in self._orders.values())

    def add_packets(self, kind: str, packets: Sequence[Packet], now_s: float) -> None:
        """Take packets of one track as they came; frames that are whole go to the packager.

        Sound that comes while a picture is waited for waits as well, and follows beside those
        that came with it: segments are cut at pictures.
        """
        order = self._orders[kind]
        for packet in packets:
            order.add(packet, now_s)
        pictures, sound = self._orders["video"], self._orders["audio"]
        for found in pictures.take(now_s):
            self._add_sound(now_s, until_s=pictures.came_s)
            self._add_picture(found, pictures.came_s)
        if pictures.measure_hole_s(now_s) < WAIT_S or len(sound) >= WAITING_MAX:
            self._add_sound(now_s)

    def finish(self, now_s: float) -> None:
        """The publisher is gone: pass on what came and was held behind something missing."""
        for order in self._orders.values():
            order.finish()
        self.add_packets("audio", (), now_s)

    def apply_report(self, kind: str, ntp_timestamp: int, timestamp: int) -> None:
        """Take a sender report, in the forwarded track's timestamps."""
        self.timeline.apply_report(kind, ntp_timestamp, timestamp)

    def _add_picture(self, packet: Packet | None, came_s: float) -> None:
        dropped = self.pictures.dropped
        if packet is None:
            self.pictures.lose()
        else:
            for picture in self.pictures.add(packet):
                self._emit(picture, came_s)
        if packet is None or self.pictures.dropped > dropped:
            self._request_keyframe()

    def _emit(self, picture: Picture, came_s: float) -> None:
        pts = self.timeline.place_video(picture.timestamp, came_s)
        # WebRTC has no decode times: they follow the order of arrival, and never stand still.
        dts = pts if self._last_dts is None else max(pts, self._last_dts + 1)
        self._last_dts = dts
        self._sink.add_video(VideoSample(picture.format, picture.data, dts, pts, picture.is_key))

    def _add_sound(self, now_s: float, until_s: float = math.inf) -> None:
        """Pass sound on that came by `until_s`; what is lost the packager fills."""
        order = self._orders["audio"]
        for packet in order.take(now_s, until_s):
            ticks = 0 if packet is None else read_opus_ticks(packet.payload)
            if packet is not None and ticks:
                pts = self.timeline.place_audio(packet.timestamp, order.came_s)
                self._sink.add_audio(AudioSample(OPUS_FORMAT, packet.payload, pts, ticks))
