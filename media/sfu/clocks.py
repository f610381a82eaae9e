"""The publisher's clock, told to viewers in our tracks' own timestamps (RFC 3550 §6.4.1).

Owned by `room`, which hands in sender reports as they come. Sends through the viewers' sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from media.sfu.options import Kind
from media.sfu.rtcp import SenderReport, build_sender_report
from media.sfu.session import ViewerSession
from media.sfu.track import TIMESTAMP_MASK, SourceTrack


class PublisherClocks:
    """The newest report of each kind, for viewers who are here and for those who come."""

    def __init__(self, tracks: Mapping[str, SourceTrack], cname: str) -> None:
        self._tracks = tracks
        self._cname = cname
        self._reports: dict[str, SenderReport] = {}

    def clear(self) -> None:
        """Forget a publisher's clock: another one's follows."""
        self._reports.clear()

    def apply(
        self, report: SenderReport, viewers: Iterable[ViewerSession], now_s: float
    ) -> list[tuple[Kind, SenderReport]]:
        """Tell viewers what one stream's report says; returns it in the tracks' timestamps."""
        told: list[tuple[Kind, SenderReport]] = []
        for kind, track in self._tracks.items():
            if track.source_ssrc != report.ssrc or track.reception is None:
                continue
            track.reception.apply_sender_report(report.ntp_timestamp, now_s)
            timestamp = (report.rtp_timestamp + track.timestamp_offset) & TIMESTAMP_MASK
            rewritten = SenderReport(track.ssrc, report.ntp_timestamp, timestamp)
            self._reports[kind] = rewritten
            told.append((track.kind, rewritten))
            for viewer in viewers:
                self.send(viewer, kind)
        return told

    def send(self, viewer: ViewerSession, kind: str) -> None:
        """Tell a viewer what is known of a kind that it gets."""
        report = self._reports.get(kind)
        if report is not None and kind in viewer.payload_types:
            track = self._tracks[kind]
            counts = (track.packets_in, track.bytes_in)
            viewer.send_rtcp(build_sender_report(report, counts, self._cname))
