"""What we tell a publisher: lost packets, keyframes wanted, how its streams arrive.

Owned by `room`, one per publisher session. Decides when each message may go; returns the bytes
and sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from media.sfu.receiver_estimate import ReceiverEstimate
from media.sfu.rtcp import build_nack, build_pli, build_receiver_report
from media.sfu.track import SourceTrack

KEYFRAME_EVERY_S = 1.0
REPORT_EVERY_S = 1.0
STOPPED_S = 1.0
"""A picture that is so far behind another of the same publisher is not sent any more."""


class PublisherFeedback:
    """Paces feedback so that neither viewers nor loss can make us flood the publisher.

    `has_estimate`: the bit rate we allow is what its link carries, not only the most we take.
    """

    def __init__(self, bitrate_max_bps: int, *, has_estimate: bool = False) -> None:
        self._bitrate_max_bps = bitrate_max_bps
        self._estimate = ReceiverEstimate(bitrate_max_bps) if has_estimate else None
        self._asked_at_s: dict[SourceTrack, float] = {}
        self._reported_at_s = float("-inf")
        self._wanted: dict[SourceTrack, None] = {}
        """In the order of the wishes."""
        self.keyframe_requests = 0
        self.nacked_packets = 0

    def request_keyframe(self, track: SourceTrack) -> None:
        """Want a keyframe soon: one request a second goes out, however many viewers want one.

        Of several encodings each waits for its turn: who was asked longest ago is next.
        """
        self._wanted.setdefault(track)

    def note_keyframe(self, track: SourceTrack) -> None:
        """A keyframe came: whoever waited is served."""
        self._wanted.pop(track, None)

    def take_due(self, tracks: Iterable[SourceTrack], now_s: float) -> list[bytes]:
        """Return the compound packets to send now, about the publisher's own streams."""
        tracks = [track for track in tracks if track.source_ssrc is not None]
        due: list[bytes] = []
        for track in tracks:
            due += self._take_nack(track, now_s)
        due += self._take_pli(tracks, now_s)
        if tracks and now_s - self._reported_at_s >= REPORT_EVERY_S:
            self._reported_at_s = now_s
            due.append(self._build_report(tracks, now_s))
        return due

    def _take_nack(self, track: SourceTrack, now_s: float) -> list[bytes]:
        missing = track.missing.take_due(now_s)
        if not missing or track.source_ssrc is None:
            return []
        self.nacked_packets += len(missing)
        return [build_nack(track.source_ssrc, [track.get_source_seq(i) for i in missing])]

    def _take_pli(self, tracks: list[SourceTrack], now_s: float) -> list[bytes]:
        track = self._find_next(tracks)
        if track is None or track.source_ssrc is None:
            return []
        if now_s - max(self._asked_at_s.values(), default=float("-inf")) < KEYFRAME_EVERY_S:
            return []
        # The wish stays until the keyframe comes: a PLI may be lost.
        self._asked_at_s[track] = now_s
        self.keyframe_requests += 1
        return [build_pli(track.source_ssrc)]

    def _find_next(self, tracks: list[SourceTrack]) -> SourceTrack | None:
        """Return whose keyframe is asked for next: never asked, else longest ago."""
        pictures = [track for track in tracks if track.kind == "video"]
        for track in pictures:
            if track.take_hole():
                # A decoder waits at the hole, and asks after seconds alone (libwebrtc: three).
                self._wanted.setdefault(track)
        newest_s = max((track.heard_at_s for track in pictures), default=0.0)
        coming = [track for track in pictures if newest_s - track.heard_at_s < STOPPED_S]
        # One that stopped cannot answer, and would take the turns of those that come. Its wish
        # stays: one that goes on need not begin with a keyframe.
        wanted = [track for track in self._wanted if track in coming]
        wanted += [track for track in coming if track.is_awaiting_source]
        return min(
            wanted, key=lambda track: self._asked_at_s.get(track, float("-inf")), default=None
        )

    def _build_report(self, tracks: list[SourceTrack], now_s: float) -> bytes:
        blocks = []
        video = []
        for track in tracks:
            if track.source_ssrc is None:
                continue
            if track.reception is not None:
                blocks.append((track.source_ssrc, track.reception.take_report(now_s)))
            if track.kind == "video":
                video.append(track.source_ssrc)
        allowed_bps = self._bitrate_max_bps
        if self._estimate is not None:
            allowed_bps = self._estimate.apply(tracks, now_s)
        return build_receiver_report(blocks, allowed_bps, video)
