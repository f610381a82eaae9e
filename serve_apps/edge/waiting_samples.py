"""A publisher's first frames: they wait until its room granted it a generation.

Every ingest hands its frames here; `broadcasts.py` says where they go on to.
"""

from __future__ import annotations

from datetime import datetime

from media.live.samples import AudioSample, SampleSink, VideoSample
from serve_apps.edge.ingest_meter import IngestMeter

WAITING_SAMPLES_MAX = 3000
WAITING_BYTES_MAX = 32 << 20


class WaitingSamples:
    """Keeps a publisher's first frames until there is somebody to take them."""

    def __init__(self) -> None:
        self.meter = IngestMeter()
        self.began_at: datetime | None = None
        """When the first of them came, where its ingest says so."""
        self._sink: SampleSink | None = None
        self._samples: list[VideoSample | AudioSample] = []
        self._bytes = 0

    def add_video(self, sample: VideoSample) -> None:
        """Take a picture."""
        self.meter.add_video(sample)
        if self._sink is not None:
            self._sink.add_video(sample)
        else:
            self._keep(sample)

    def add_audio(self, sample: AudioSample) -> None:
        """Take a frame of sound."""
        self.meter.add_audio(sample)
        if self._sink is not None:
            self._sink.add_audio(sample)
        else:
            self._keep(sample)

    def use(self, sink: SampleSink) -> None:
        """Hand over what waited, and pass on what follows."""
        self._sink = sink
        samples, self._samples = self._samples, []
        for sample in samples:
            if isinstance(sample, VideoSample):
                sink.add_video(sample)
            else:
                sink.add_audio(sample)

    def _keep(self, sample: VideoSample | AudioSample) -> None:
        """Keep a frame; when the grant takes too long, what was kept so far is lost."""
        self._bytes += len(sample.data)
        if len(self._samples) >= WAITING_SAMPLES_MAX or self._bytes > WAITING_BYTES_MAX:
            self._samples.clear()
            self._bytes = 0
        self._samples.append(sample)
