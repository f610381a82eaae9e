"""How full a decoder's buffer is between the steps of a rung: what the next encoder begins with.

The chunk's parts keep one per rung. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from media.vod.codecs import BUFFER_S, BUFFER_SHARE_FIRST
from media.vod.encoders import MadeStep
from media.vod.ladder import Rung

SHARE_DIGITS = 3


class DecoderBuffer:
    """The buffer of one rung's decoder, from a chunk's first step on."""

    def __init__(self, rung: Rung, fps: Fraction) -> None:
        self._rung = rung
        self._fps = fps
        self.share = BUFFER_SHARE_FIRST
        """How full it is before the next step, 0 to 1."""

    def add(self, made: MadeStep) -> None:
        """Play the next step."""
        sizes = (len(sample.data) for sample in made.samples)
        self.share = drain_buffer(self.share, sizes, self._rung, self._fps)


def drain_buffer(share: float, sizes: Iterable[int], rung: Rung, fps: Fraction) -> float:
    """How full the decoder's buffer is after these coded pictures (bytes each), 0 to 1.

    It fills at the rung's rate and gives each picture away at once (ITU-T H.264 annex C). Rounded,
    so that an encoder's option has the same text everywhere.
    """
    capacity = float(BUFFER_S * rung.bitrate_bps)
    per_frame = rung.bitrate_bps / float(fps)
    held = share * capacity
    for size_bytes in sizes:
        held = min(capacity, held - 8 * size_bytes + per_frame)
    return round(min(1.0, max(0.0, held / capacity)), SHARE_DIGITS)
