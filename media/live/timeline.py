"""The programme's one clock: RTP timestamps of picture and sound to ticks that never step back.

`source.py` owns one per publisher. The first packet's arrival is zero; from then on the picture's
own timestamps count, and sound is laid beside it by the sender reports (RFC 3550 §6.4.1), by
arrival while there are none. Pure state: time comes in.
"""

from __future__ import annotations

from dataclasses import dataclass

JUMP_S = 3.0
"""Timestamps that run away from arrival by more than this are not believed."""
SYNC_ERROR_MAX_S = 2.0
"""Sender reports that lay sound so far from where it arrives are not believed."""
NTP_FRACTION = 1 << 32


@dataclass(slots=True)
class _TrackClock:
    """One track: its timestamps without wraps, and where they lie in the programme."""

    rate: int
    extended: int = 0
    """The newest timestamp, never wrapping; starts anywhere."""
    zero: int = 0
    """The extended timestamp of the programme's zero."""
    arrival_s: float = 0.0
    ticks: int = 0
    is_started: bool = False
    report: tuple[float, int] | None = None
    """The last sender report: the sender's wall clock in seconds, extended timestamp."""

    def extend(self, timestamp: int) -> int:
        """Return the timestamp nearest to the newest one that these 32 bits can mean."""
        difference = (timestamp - self.extended + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        return self.extended + difference


class Timeline:
    """Where each packet lies in the programme."""

    def __init__(self, video_rate: int, audio_rate: int) -> None:
        self.jumps = 0
        self._started_s: float | None = None
        self._video = _TrackClock(video_rate)
        self._audio = _TrackClock(audio_rate)

    def place_video(self, timestamp: int, came_s: float) -> int:
        """Return when a picture is shown, in ticks since the programme began."""
        return self._place(self._video, timestamp, came_s)

    def place_audio(self, timestamp: int, came_s: float) -> int:
        """Return when a frame of sound is heard, in ticks since the programme began."""
        return self._place(self._audio, timestamp, came_s)

    def apply_report(self, kind: str, ntp_timestamp: int, timestamp: int) -> None:
        """Take a sender report; once both tracks have one, sound is laid beside the picture."""
        clock = self._video if kind == "video" else self._audio
        if not clock.is_started:
            return
        clock.report = (ntp_timestamp / NTP_FRACTION, clock.extend(timestamp))
        self._align()

    def _place(self, clock: _TrackClock, timestamp: int, came_s: float) -> int:
        if self._started_s is None:
            self._started_s = came_s
        if not clock.is_started:
            clock.is_started = True
            clock.extended = timestamp
            # A picture that waited may have come before the sound that was placed first.
            arrived = round(max(0.0, came_s - self._started_s) * clock.rate)
            clock.zero = timestamp - arrived
        extended = clock.extend(timestamp)
        elapsed = round((came_s - clock.arrival_s) * clock.rate) if clock.arrival_s else 0
        advance = extended - clock.extended
        if clock.arrival_s and abs(advance - elapsed) > JUMP_S * clock.rate:
            # The sender's clock was set anew: go on from where arrival says.
            self.jumps += 1
            clock.zero += advance - elapsed
            clock.report = None
        clock.extended = extended
        clock.arrival_s = came_s
        clock.ticks = extended - clock.zero
        return clock.ticks

    def _align(self) -> None:
        """Move sound so that what was captured together lies together."""
        video, audio = self._video, self._audio
        if video.report is None or audio.report is None:
            return
        shown_s = (video.report[1] - video.zero) / video.rate
        heard_s = (audio.report[1] - audio.zero) / audio.rate
        error_s = (shown_s - video.report[0]) - (heard_s - audio.report[0])
        if abs(error_s) <= SYNC_ERROR_MAX_S:
            audio.zero -= round(error_s * audio.rate)
