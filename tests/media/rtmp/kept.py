"""Keeps what tags became, for tests of enhanced and plain RTMP alike."""

from dataclasses import dataclass, field

from media.live.samples import AudioSample, VideoSample


@dataclass
class Kept:
    """Keeps what comes."""

    video: list[VideoSample] = field(default_factory=list)
    audio: list[AudioSample] = field(default_factory=list)

    def add_video(self, sample: VideoSample) -> None:
        self.video.append(sample)

    def add_audio(self, sample: AudioSample) -> None:
        self.audio.append(sample)
