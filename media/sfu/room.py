"""One room: a publisher's packets out to its viewers, and their feedback back.

Owned by `server`, which makes sessions and decides when they end. Called once per decrypted
packet and on every tick; sends through the egress and through sessions, never by itself.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence

from media.sfu.arrival_reports import STATUSES_READ_MAX, parse_arrival_fci
from media.sfu.clocks import PublisherClocks
from media.sfu.codecs import VIDEO_CODECS
from media.sfu.counts import RoomCounts
from media.sfu.delivery import MAIN, Delivery
from media.sfu.egress import Egress
from media.sfu.feedback import PublisherFeedback
from media.sfu.layer_selector import LayerFact
from media.sfu.layers import LOOK_EVERY_S
from media.sfu.options import Kind, PacketFact, RoomStats, SfuOptions
from media.sfu.room_layers import RoomLayers
from media.sfu.rtcp import RtcpIn, build_arrival_feedback, parse_rtcp
from media.sfu.rtp import RtpFields, parse_rtp
from media.sfu.rtx import unwrap
from media.sfu.sdp import OfferedCodec
from media.sfu.session import (
    KINDS,
    Publisher,
    Session,
    ViewerSession,
)
from media.sfu.srtp import PLAINTEXT_BYTES_MAX
from media.sfu.taps import RoomListener, RoomTaps
from media.sfu.track import SourceTrack, TrackPacket


class SfuRoom:
    """The tracks of a room outlive its publishers; their SSRCs and indexes run on."""

    def __init__(self, room_id: str, options: SfuOptions, egress: Egress, now_s: float) -> None:
        self.room_id = room_id
        self.cname = secrets.token_hex(8)
        self.rtx_ssrc = _make_ssrc()
        self.publisher: Publisher | None = None
        self.next_publisher: Publisher | None = None
        self.lost_at_s: float | None = None
        self.viewers: dict[str, ViewerSession] = {}
        self.tracks: dict[str, SourceTrack] = {kind: _make_track(kind) for kind in KINDS}
        self._options = options
        self._batch: dict[str, list[TrackPacket]] = {kind: [] for kind in KINDS}
        self._looked_at_s = now_s
        self._feedback = PublisherFeedback(options.publisher_bitrate_max_bps)
        self._clocks = PublisherClocks(self.tracks, self.cname)
        self._counts = RoomCounts(now_s)
        self._delivery = Delivery(self.tracks, egress, self._counts, self._want_keyframe, now_s)
        self._taps = RoomTaps(room_id)
        video = self.tracks["video"]
        self.layers = RoomLayers(room_id, video, self._delivery, self._request_keyframe_of)

    # Who is here

    def get_codecs(self) -> Mapping[str, OfferedCodec]:
        """Return the codec per kind that viewers must take; empty when nobody publishes."""
        publisher = self.publisher or self.next_publisher
        return {} if publisher is None else publisher.codecs

    def check_watchable(self) -> None:
        """Raise the publisher's refusal when WebRTC cannot carry what it sends."""
        publisher = self.publisher or self.next_publisher
        if publisher is not None and publisher.refusal is not None:
            raise publisher.refusal

    def list_preferred_codecs(self) -> Sequence[str]:
        """Return video codecs in the order to ask a publisher for: viewers' own comes first."""
        taken = {viewer.video_codec for viewer in self.viewers.values()}
        return sorted(VIDEO_CODECS, key=lambda name: name not in taken)

    def get_ssrcs(self) -> dict[str, int]:
        """Return the SSRC that viewers see, per kind."""
        return {kind: track.ssrc for kind, track in self.tracks.items()}

    def promote_publisher(self, session: Publisher, now_s: float) -> list[ViewerSession]:
        """Make a connected session the source; returns the viewers whose codec it is not."""
        self.flush(now_s)
        self.publisher = session
        self.lost_at_s = None
        if self.next_publisher is session:
            self.next_publisher = None
        self._feedback = PublisherFeedback(
            self._options.publisher_bitrate_max_bps, has_estimate=session.needs_estimate
        )
        self._clocks.clear()
        for kind, track in self.tracks.items():
            codec = session.codecs.get(kind)
            track.begin_source(codec.name.upper() if codec is not None else "")
        video_codec = session.codecs["video"].name.upper()
        self.layers.begin(session)
        for track in self.layers.list_received():
            track.repeats_apart = bool(session.repeats)
        viewers = self.viewers.values()
        return [v for v in viewers if v.video_codec and v.video_codec != video_codec]

    def remove_publisher(self, session: Publisher, now_s: float) -> None:
        """Forget a publisher, present or expected; whoever came for one waits from now on."""
        if self.next_publisher is session:
            self.next_publisher = None
        if self.publisher is session:
            self.publisher = None
            self.lost_at_s = now_s
        elif self.publisher is None and self.next_publisher is None and self.lost_at_s is None:
            self.lost_at_s = now_s

    def connect_viewer(self, viewer: ViewerSession, now_s: float) -> None:
        """Start sending to a viewer: sound at once, video from the last keyframe or the next.

        What was received goes out first, so that the newcomer gets no packet twice.
        """
        self.flush(now_s)
        self._delivery.connect(viewer)
        for kind in viewer.payload_types:
            self._clocks.send(viewer, kind)
        self._delivery.start_video(viewer)

    def remove_viewer(self, viewer: ViewerSession) -> None:
        """Stop sending to a viewer."""
        self.viewers.pop(viewer.session_id, None)
        self._delivery.remove(viewer)

    def add_listener(self, listener: RoomListener, now_s: float) -> None:
        """Tell a listener of every packet from now on, after the video since the last keyframe."""
        self.flush(now_s)
        self._taps.add(listener, self.tracks["video"], now_s)

    def remove_listener(self, listener: RoomListener) -> None:
        """Tell a listener nothing more."""
        self._taps.remove(listener)

    def request_keyframe(self, layer: str = MAIN) -> None:
        """Want a keyframe from the publisher, within the room's one request a second."""
        self._want_keyframe(layer)

    # Layers

    def list_layers(self, now_s: float) -> list[LayerFact]:
        """Return the publisher's encodings, best first; nothing when it sends one alone."""
        return self.layers.list_facts(now_s)

    def find_playing(self, viewer: ViewerSession) -> str | None:
        """Return the encoding that a viewer gets; None when there is no choice."""
        return self.layers.find_playing(viewer)

    def choose_layers(self, now_s: float) -> None:
        """Give every viewer the encoding that its link or its wish calls for."""
        self.layers.choose(self.viewers.values(), now_s)

    # Packets

    def apply_rtp(self, session: Publisher, packet: bytes, now_s: float) -> None:
        """Take one decrypted packet of the publisher into the present batch."""
        fields = parse_rtp(packet)
        if fields is None or len(packet) > PLAINTEXT_BYTES_MAX:
            self._counts.packets_dropped += 1
        elif fields.payload_type in session.repeats:
            session.note_arrival(packet, now_s)
            self._apply_repeat(session, packet, fields, now_s)
        elif fields.payload_type in session.kinds:
            session.note_arrival(packet, now_s)
            self._take(session.kinds[fields.payload_type], packet, fields, now_s)
        else:
            self._counts.packets_dropped += 1

    def _apply_repeat(
        self, session: Publisher, packet: bytes, fields: RtpFields, now_s: float
    ) -> None:
        """Take what fills a hole; padding and what probes the link end here, uncounted."""
        track = self.layers.find_repeated(packet, fields.ssrc)
        if track is None or track.source_ssrc is None:
            return
        repeated = unwrap(fields, session.repeats[fields.payload_type], track.source_ssrc)
        if repeated is not None and track.lacks(repeated.seq):
            self._take("video", packet, repeated, now_s)

    def _take(self, kind: Kind, packet: bytes, fields: RtpFields, now_s: float) -> None:
        """Rewrite a packet as the tracks have it, into the present batch."""
        if kind == "video" and self.layers.are_several:
            is_taken, rewritten = self.layers.apply(packet, fields, now_s)
            self._counts.packets_dropped += not is_taken
        else:
            rewritten = self.tracks[kind].apply(fields, now_s)
            is_taken = rewritten is not None
        if is_taken:
            self._counts.bytes_in += len(packet)
        if rewritten is not None:
            self._batch[kind].append(rewritten)
            self._observe(kind, fields.seq, rewritten)

    def apply_rtcp(self, session: Session, packet: bytes, now_s: float) -> None:
        """Act on one decrypted compound packet of a publisher or a viewer."""
        viewer = session if isinstance(session, ViewerSession) else None
        is_read = viewer is None or viewer.may_report(len(packet), now_s)
        facts = parse_rtcp(packet) if is_read else None
        if facts is None:
            self._counts.packets_dropped += 1
        elif viewer is not None:
            self._apply_viewer_feedback(viewer, facts, now_s)
        elif session is self.publisher:
            self._apply_sender_reports(facts, now_s)

    def feed(self, session: Publisher, rtp: Sequence[bytes], rtcp: bytes, now_s: float) -> None:
        """Forward what a publisher of this process sends; one that was replaced is not heard."""
        if session is self.publisher:
            for packet in rtp:
                self.apply_rtp(session, packet, now_s)
            if rtcp:
                self.apply_rtcp(session, rtcp, now_s)
            self.flush(now_s)

    @property
    def is_amid_frame(self) -> bool:
        """Tell whether the batch ends within a picture, and holds no sound that would wait too."""
        video = self._batch["video"]
        return bool(video) and not video[-1].marker and not self._batch["audio"]

    def flush(self, now_s: float) -> None:
        """Send the batch to everybody, start those who waited for its keyframe, give feedback."""
        with_keyframe = []
        for kind in KINDS:
            packets = self._batch[kind]
            if packets:
                self._batch[kind] = []
                if kind == "video" and self.layers.are_several:
                    self.tracks[kind].note_forwarded(packets, now_s)
                self._delivery.forward(kind, MAIN, packets)
                self._taps.tell_packets(kind, packets, now_s)
                if kind == "video" and _has_keyframe(packets):
                    with_keyframe.append(MAIN)
        with_keyframe += self.layers.flush(now_s)
        for layer in with_keyframe:
            self._apply_keyframe(layer)
        self.send_feedback(now_s)

    def send_feedback(self, now_s: float) -> None:
        """Send the publisher what is due, and newcomers their next piece of the past."""
        self._delivery.send_next_pieces()
        if now_s - self._looked_at_s >= LOOK_EVERY_S:
            self._looked_at_s = now_s
            self.layers.look(self.viewers.values(), now_s)
        if self.publisher is not None:
            received = self._list_received()
            for packet in self._feedback.take_due(received, now_s):
                self.publisher.send_rtcp(packet)
            ssrc = next((t.source_ssrc for t in received if t.source_ssrc is not None), 0)
            for fci in self.publisher.arrivals.take_feedback(now_s):
                self.publisher.send_rtcp(build_arrival_feedback(fci, ssrc))

    def _list_received(self) -> list[SourceTrack]:
        """Return the tracks that are the publisher's own streams."""
        return [self.tracks["audio"], *self.layers.list_received()]

    def _apply_keyframe(self, layer: str) -> None:
        track = self.layers.find_source(layer)
        if track is not None:
            self._feedback.note_keyframe(track)
        self._delivery.apply_keyframe(layer)

    def _want_keyframe(self, layer: str) -> None:
        track = self.layers.find_source(layer)
        if track is not None:
            self._request_keyframe_of(track)

    def _request_keyframe_of(self, track: SourceTrack) -> None:
        self._feedback.request_keyframe(track)

    def _observe(self, kind: str, source_seq: int, packet: TrackPacket) -> None:
        observer = self._options.packet_observer
        if observer is not None:
            digest = hashlib.sha256(packet.payload).digest()
            observer(PacketFact(self.room_id, kind, "in", source_seq, digest))
            observer(PacketFact(self.room_id, kind, "out", packet.index & 0xFFFF, digest))

    # Feedback

    def _apply_viewer_feedback(self, viewer: ViewerSession, facts: RtcpIn, now_s: float) -> None:
        for ssrc, seqs in facts.nacks:
            self._counts.nacks_in += 1
            self._delivery.repeat(viewer, ssrc, seqs, now_s)
        if facts.keyframe_ssrcs:
            self._counts.plis_in += 1
            self._want_keyframe(self._delivery.get_layer(viewer))
        losses = [loss for loss in facts.losses if loss.ssrc != self.rtx_ssrc]
        if losses:
            viewer.loss = max(loss.fraction_lost for loss in losses) / 256
            viewer.selector.note_loss(viewer.loss, now_s)
        if facts.estimate_bps is not None:
            viewer.selector.note_estimate(facts.estimate_bps, now_s)
        if facts.arrivals and viewer.transport_seq and self.layers.are_several:
            self._apply_arrivals(viewer, facts.arrivals, now_s)

    def _apply_arrivals(self, viewer: ViewerSession, fcis: Sequence[bytes], now_s: float) -> None:
        """Learn what a viewer's link carries, for the choice of its encoding."""
        left = STATUSES_READ_MAX
        for fci in fcis:
            report = parse_arrival_fci(fci, left)
            if report is None:
                self._counts.packets_dropped += 1
                continue
            left -= len(report.arrivals)
            viewer.link.apply(self._delivery.list_passages(viewer, report), now_s)
        if viewer.link.estimate_bps:
            viewer.selector.note_link(viewer.link.estimate_bps, viewer.link.falls, now_s)

    def _apply_sender_reports(self, facts: RtcpIn, now_s: float) -> None:
        """Pass the publisher's clock on to viewers and listeners."""
        for report in facts.sender_reports:
            self.layers.apply_report(report, now_s)
            for kind, told in self._clocks.apply(report, self.viewers.values(), now_s):
                self._taps.tell_report(kind, told.ntp_timestamp, told.rtp_timestamp)

    # Counts

    def get_stats(self) -> RoomStats:
        """Return the room's counts."""
        viewers = self.viewers.values()
        connected = sum(viewer.is_connected for viewer in viewers)
        lost = [t.reception.packets_lost for t in self.tracks.values() if t.reception is not None]
        counts = self._counts
        return RoomStats(
            room_id=self.room_id,
            publisher_state=self._describe_publisher(),
            video_codec=self.tracks["video"].codec,
            viewers_connected=connected,
            viewers_connecting=len(viewers) - connected,
            packets_in=sum(track.packets_in for track in self.tracks.values()),
            packets_out=counts.packets_out,
            bitrate_in_bps=counts.bitrate_in_bps,
            bitrate_out_bps=counts.bitrate_out_bps,
            packets_lost=sum(lost),
            viewer_loss=max((viewer.loss for viewer in viewers), default=0.0),
            nacks_in=counts.nacks_in,
            nacks_out=self._feedback.nacked_packets,
            retransmits=counts.retransmits,
            retransmits_refused=counts.retransmits_refused,
            plis_in=counts.plis_in,
            plis_out=self._feedback.keyframe_requests,
            packets_dropped=counts.packets_dropped
            + sum(track.packets_dropped for track in self.tracks.values()),
        )

    def measure_rates(self, now_s: float) -> None:
        """Close the interval over which bit rates are counted, once a second."""
        self._counts.measure_rates(now_s)
        self.layers.measure_rates(now_s)

    def _describe_publisher(self) -> str:
        if self.publisher is not None:
            return "connected"
        return "connecting" if self.next_publisher is not None else "lost"


def _has_keyframe(packets: Sequence[TrackPacket]) -> bool:
    return any(packet.is_keyframe for packet in packets)


def _make_track(kind: Kind) -> SourceTrack:
    """Make a track with a random SSRC and a start far from a sequence wrap."""
    return SourceTrack(kind, ssrc=_make_ssrc(), first_index=1 << 15)


def _make_ssrc() -> int:
    return 2 + secrets.randbelow(0xFFFFFFF0)
