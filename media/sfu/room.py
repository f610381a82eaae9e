"""One room: a publisher's packets out to its viewers, and their feedback back.

Owned by `server`, which makes sessions and decides when they end. Called once per decrypted
packet and on every tick; sends through the egress and through sessions, never by itself.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence

from media.sfu.budget import Budget
from media.sfu.catch_up import CatchUp, Piece
from media.sfu.codecs import VIDEO_CODECS
from media.sfu.counts import RoomCounts
from media.sfu.egress import Egress, EgressJob, EgressTarget
from media.sfu.fanout import FanoutGroup, GroupKey, make_group_key
from media.sfu.feedback import PublisherFeedback
from media.sfu.options import Kind, PacketFact, RoomStats, SfuOptions
from media.sfu.packets_out import RTP_HEADER_BYTES
from media.sfu.rtcp import (
    RtcpIn,
    SenderReport,
    build_arrival_feedback,
    build_sender_report,
    parse_rtcp,
)
from media.sfu.rtp import parse_rtp
from media.sfu.sdp import OfferedCodec
from media.sfu.session import (
    KINDS,
    Publisher,
    PublisherSession,
    Session,
    ViewerSession,
)
from media.sfu.srtp import PLAINTEXT_BYTES_MAX
from media.sfu.taps import RoomListener, RoomTaps
from media.sfu.track import SourceTrack, TrackPacket

ROOM_REPEATS_PER_S = 3000.0


class SfuRoom:
    """The tracks of a room outlive its publishers; their SSRCs and indexes run on."""

    def __init__(self, room_id: str, options: SfuOptions, egress: Egress, now_s: float) -> None:
        self.room_id = room_id
        self.cname = secrets.token_hex(8)
        self.publisher: Publisher | None = None
        self.next_publisher: PublisherSession | None = None
        self.lost_at_s: float | None = None
        self.viewers: dict[str, ViewerSession] = {}
        self.tracks: dict[str, SourceTrack] = {kind: _make_track(kind) for kind in KINDS}
        self._options = options
        self._egress = egress
        self._groups: dict[GroupKey, FanoutGroup] = {}
        self._group_of: dict[str, FanoutGroup] = {}
        self._batch: dict[str, list[TrackPacket]] = {kind: [] for kind in KINDS}
        self._feedback = PublisherFeedback(options.publisher_bitrate_max_bps)
        self._sender_reports: dict[str, SenderReport] = {}
        self._repeats = Budget(ROOM_REPEATS_PER_S, ROOM_REPEATS_PER_S, now_s)
        self._counts = RoomCounts(now_s)
        self._catch_up = CatchUp()
        self._taps = RoomTaps(room_id)

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
        self._feedback = PublisherFeedback(self._options.publisher_bitrate_max_bps)
        self._sender_reports.clear()
        for kind, track in self.tracks.items():
            codec = session.codecs.get(kind)
            track.begin_source(codec.name.upper() if codec is not None else "")
        video_codec = session.codecs["video"].name.upper()
        for group in self._groups.values():
            for viewer in group.get_targets("video"):
                group.stop(viewer, "video")
        self._catch_up.clear()
        viewers = self.viewers.values()
        return [v for v in viewers if v.video_codec and v.video_codec != video_codec]

    def remove_publisher(self, session: Publisher, now_s: float) -> None:
        """Forget a publisher, present or expected."""
        if self.next_publisher is session:
            self.next_publisher = None
        if self.publisher is session:
            self.publisher = None
            self.lost_at_s = now_s

    def connect_viewer(self, viewer: ViewerSession, now_s: float) -> None:
        """Start sending to a viewer: sound at once, video from the last keyframe or the next.

        What was received goes out first, so that the newcomer gets no packet twice.
        """
        self.flush(now_s)
        key = make_group_key(viewer.payload_types, self.tracks)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = FanoutGroup(key)
        group.add(viewer)
        self._group_of[viewer.session_id] = group
        if "audio" in viewer.payload_types:
            group.start(viewer, "audio", self.tracks["audio"].next_index)
        for kind in viewer.payload_types:
            self._send_report(viewer, kind)
        if "video" in viewer.payload_types and not self._start_video(group, viewer):
            self._feedback.request_keyframe()

    def remove_viewer(self, viewer: ViewerSession) -> None:
        """Stop sending to a viewer."""
        self.viewers.pop(viewer.session_id, None)
        self._catch_up.stop(viewer)
        group = self._group_of.pop(viewer.session_id, None)
        if group is not None:
            group.remove(viewer)
            if not len(group):
                del self._groups[group.key]

    def add_listener(self, listener: RoomListener, now_s: float) -> None:
        """Tell a listener of every packet from now on, after the video since the last keyframe."""
        self.flush(now_s)
        self._taps.add(listener, self.tracks["video"], now_s)

    def remove_listener(self, listener: RoomListener) -> None:
        """Tell a listener nothing more."""
        self._taps.remove(listener)

    def request_keyframe(self) -> None:
        """Want a keyframe from the publisher, within the one request a second."""
        self._feedback.request_keyframe()

    # Packets

    def apply_rtp(self, session: Publisher, packet: bytes, now_s: float) -> None:
        """Take one decrypted packet of the publisher into the present batch."""
        fields = parse_rtp(packet)
        kind = session.kinds.get(fields.payload_type) if fields is not None else None
        if fields is None or kind is None or len(packet) > PLAINTEXT_BYTES_MAX:
            self._counts.packets_dropped += 1
            return
        session.note_arrival(packet, now_s)
        rewritten = self.tracks[kind].apply(fields, now_s)
        if rewritten is None:
            return
        self._counts.bytes_in += len(packet)
        self._batch[kind].append(rewritten)
        self._observe(kind, fields.seq, rewritten)

    def apply_rtcp(self, session: Session, packet: bytes, now_s: float) -> None:
        """Act on one decrypted compound packet of a publisher or a viewer."""
        facts = parse_rtcp(packet)
        if facts is None:
            self._counts.packets_dropped += 1
        elif isinstance(session, ViewerSession):
            self._apply_viewer_feedback(session, facts, now_s)
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
        for kind in KINDS:
            packets = self._batch[kind]
            if packets:
                self._batch[kind] = []
                self._forward(kind, packets)
                self._taps.tell_packets(kind, packets, now_s)
        self.send_feedback(now_s)

    def send_feedback(self, now_s: float) -> None:
        """Send the publisher what is due, and newcomers their next piece of the past."""
        for piece in self._catch_up.take_pieces(self.tracks["video"]):
            self._send_piece(piece)
        if self.publisher is not None:
            for packet in self._feedback.take_due(self.tracks.values(), now_s):
                self.publisher.send_rtcp(packet)
            for fci in self.publisher.arrivals.take_feedback(now_s):
                self.publisher.send_rtcp(build_arrival_feedback(fci))

    def _forward(self, kind: Kind, packets: list[TrackPacket]) -> None:
        is_video = kind == "video"
        for group in self._groups.values():
            targets = group.get_targets(kind) if kind in group.formats else ()
            if targets:
                built = group.build_packets(kind, packets)
                on_dropped = self._make_on_dropped(group)
                self._send(EgressJob(targets, built, is_video, on_dropped))
        if is_video and any(packet.is_keyframe for packet in packets):
            self._feedback.note_keyframe()
            for group in self._groups.values():
                for viewer in group.list_waiting("video"):
                    if viewer not in self._catch_up:
                        self._start_video(group, viewer)

    def _start_video(self, group: FanoutGroup, viewer: ViewerSession) -> bool:
        """Begin to send a viewer what came since the last keyframe; False when that is too much."""
        if not viewer.is_connected:
            return False
        track = self.tracks["video"]
        run = track.list_keyframe_run()
        if not run:
            return False
        viewer.first_index["video"] = run[0].index
        self._catch_up.start(viewer, group, run[0].index)
        self._send_piece(self._catch_up.take_piece(viewer, track))
        return True

    def _send_piece(self, piece: Piece) -> None:
        """Send a newcomer a piece of the past; after the last one it is a viewer like others."""
        group, viewer = piece.group, piece.viewer
        if piece.is_last:
            group.start(viewer, "video", viewer.first_index["video"])
        if piece.packets:
            built = group.build_packets("video", piece.packets)
            self._send(EgressJob((viewer,), built, True, self._make_on_dropped(group)))

    def _make_on_dropped(self, group: FanoutGroup) -> Callable[[Sequence[EgressTarget]], None]:
        """Return what happens to viewers whose video was dropped: they await a keyframe."""

        def await_keyframe(targets: Sequence[EgressTarget]) -> None:
            for target in targets:
                if isinstance(target, ViewerSession) and target in group:
                    group.stop(target, "video")
                    self._catch_up.stop(target)
            self._feedback.request_keyframe()

        return await_keyframe

    def _send(self, job: EgressJob) -> None:
        datagrams = len(job.targets)
        payload_bytes = sum(len(packet.payload) for packet in job.packets)
        self._counts.packets_out += datagrams * len(job.packets)
        self._counts.bytes_out += datagrams * (payload_bytes + RTP_HEADER_BYTES * len(job.packets))
        self._egress.send(job)

    def _observe(self, kind: str, source_seq: int, packet: TrackPacket) -> None:
        observer = self._options.packet_observer
        if observer is not None:
            digest = hashlib.sha256(packet.payload).digest()
            observer(PacketFact(self.room_id, kind, "in", source_seq, digest))
            observer(PacketFact(self.room_id, kind, "out", packet.index & 0xFFFF, digest))

    # Feedback

    def _apply_viewer_feedback(self, viewer: ViewerSession, facts: RtcpIn, now_s: float) -> None:
        group = self._group_of.get(viewer.session_id)
        if group is None:
            return
        for ssrc, seqs in facts.nacks:
            self._counts.nacks_in += 1
            self._repeat(group, viewer, (ssrc, seqs), now_s)
        if facts.keyframe_ssrcs:
            self._counts.plis_in += 1
            self._feedback.request_keyframe()
        if facts.losses:
            viewer.loss = max(loss.fraction_lost for loss in facts.losses) / 256

    def _repeat(
        self,
        group: FanoutGroup,
        viewer: ViewerSession,
        nack: tuple[int, Sequence[int]],
        now_s: float,
    ) -> None:
        """Send again what a viewer lost, as far as the ring and the budgets go."""
        ssrc, seqs = nack
        track = next((t for t in self.tracks.values() if t.ssrc == ssrc), None)
        if track is None or track.kind not in group.formats:
            return
        packets = []
        for seq in seqs:
            packet = track.find_packet(group.get_index(track, seq))
            if packet is None:
                continue
            if viewer.may_repeat(track.kind, packet.index, now_s) and self._repeats.spend(now_s):
                packets.append(packet)
            else:
                self._counts.retransmits_refused += 1
        self._counts.retransmits += len(packets)
        self._send(EgressJob((viewer,), group.build_packets(track.kind, packets)))

    def _apply_sender_reports(self, facts: RtcpIn, now_s: float) -> None:
        """Pass the publisher's clock on to viewers, in the track's own timestamps."""
        for report in facts.sender_reports:
            for kind, track in self.tracks.items():
                if track.source_ssrc != report.ssrc or track.reception is None:
                    continue
                track.reception.apply_sender_report(report.ntp_timestamp, now_s)
                timestamp = (report.rtp_timestamp + track.timestamp_offset) & 0xFFFFFFFF
                rewritten = SenderReport(track.ssrc, report.ntp_timestamp, timestamp)
                self._sender_reports[kind] = rewritten
                self._taps.tell_report(track.kind, report.ntp_timestamp, timestamp)
                for viewer in self.viewers.values():
                    self._send_report(viewer, kind)

    def _send_report(self, viewer: ViewerSession, kind: str) -> None:
        report = self._sender_reports.get(kind)
        if report is not None and kind in viewer.payload_types:
            track = self.tracks[kind]
            counts = (track.packets_in, track.bytes_in)
            viewer.send_rtcp(build_sender_report(report, counts, self.cname))

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

    def _describe_publisher(self) -> str:
        if self.publisher is not None:
            return "connected"
        return "connecting" if self.next_publisher is not None else "lost"


def _make_track(kind: Kind) -> SourceTrack:
    """Make a track with a random SSRC and a start far from a sequence wrap."""
    return SourceTrack(kind, ssrc=2 + secrets.randbelow(0xFFFFFFF0), first_index=1 << 15)
