"""What one publisher sends: bytes, pictures, keyframes, packets that were lost. Pure.

Fed with the frames on their way to the packager, whichever protocol they came by; with packets
where nothing is packaged.
"""

from __future__ import annotations

from actors.live_room.health import IngestReport
from media.live.samples import VIDEO_TIMESCALE, AudioSample, VideoSample
from media.rtmp.rtp import PictureOrder


class IngestMeter:
    """Sums since they were last taken."""

    def __init__(self) -> None:
        self._taken_s: float | None = None
        self._bytes = self._pictures = self._lost = self._received = 0
        self._has_packets = False
        self._key_ticks: int | None = None
        self._keyframe_ms: int | None = None
        self._order = PictureOrder()
        self._has_b_frames = False

    def add_video(self, sample: VideoSample) -> None:
        """Count a picture."""
        self._bytes += len(sample.data)
        self._pictures += 1
        self._has_b_frames |= self._order.is_late(sample)
        if sample.is_key:
            if self._key_ticks is not None:
                apart = sample.pts_ticks - self._key_ticks
                self._keyframe_ms = round(max(0, apart) * 1000 / VIDEO_TIMESCALE)
            self._key_ticks = sample.pts_ticks

    def add_audio(self, sample: AudioSample) -> None:
        """Count a frame of sound."""
        self._bytes += len(sample.data)

    def add_bytes(self, size: int, *, ends_picture: bool) -> None:
        """Count a packet of what is not unpacked into frames."""
        self._bytes += size
        self._pictures += ends_picture

    def add_packets(self, *, lost: int, received: int) -> None:
        """Count packets, where it comes in packets that can be lost."""
        self._has_packets = True
        self._lost += lost
        self._received += received

    def take(
        self, session_id: str, now_s: float, *, is_carried: bool = True, codec: str | None = None
    ) -> IngestReport | None:
        """Return what came since the last time; None the first time.

        `codec` says what a picture comes in that HLS does not carry.
        """
        before, self._taken_s = self._taken_s, now_s
        size, pictures = self._bytes, self._pictures
        lost, received = self._lost, self._received
        self._bytes = self._pictures = self._lost = self._received = 0
        if before is None or now_s <= before:
            return None
        span_s = now_s - before
        return IngestReport(
            session_id=session_id,
            bitrate_bps=round(size * 8 / span_s),
            frames_per_s=round(pictures / span_s, 1),
            keyframe_ms=self._keyframe_ms,
            packets_lost=lost if self._has_packets else None,
            packets_received=received if self._has_packets else None,
            is_carried=is_carried,
            uncarried_codec=codec,
            has_b_frames=self._has_b_frames,
        )
