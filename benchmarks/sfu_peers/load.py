"""What is sent: video of two bitrates, a frame at once or spread over its time."""

from __future__ import annotations

from dataclasses import dataclass

FPS = 30
WARM_UP_S = 1.0


@dataclass(frozen=True)
class Load:
    """Frames of equal packets; `is_paced` spreads them over the frame's time."""

    frame_packets: int
    payload_bytes: int
    is_paced: bool
    keyframe_packets: int = 0
    """0: a keyframe is as large as any other frame."""

    @property
    def bitrate_bps(self) -> int:
        """Bits a second, RTP headers included."""
        return self.frame_packets * (self.payload_bytes + 12) * 8 * FPS


LOADS = {
    "2.5 Mbit/s bursty": Load(10, 1030, is_paced=False),
    "2.5 Mbit/s paced": Load(10, 1030, is_paced=True),
    "1.0 Mbit/s bursty": Load(4, 1030, is_paced=False),
    "1.0 Mbit/s paced": Load(4, 1030, is_paced=True),
}
LARGE_KEYFRAMES = "large keyframes"
ALL_LOADS = {**LOADS, LARGE_KEYFRAMES: Load(2, 1030, is_paced=False, keyframe_packets=60)}
