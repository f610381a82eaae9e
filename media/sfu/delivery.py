"""What a room's viewers get: their groups, newcomers' catching up, repeats, switches of layer.

Owned by `room`, which hands in packets track by track. Sends through the egress; wishes for
keyframes go back to the room. A viewer's video comes from one source at a time: the room's main
track or one of the publisher's other layers; it changes at a keyframe of the new one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from media.sfu.arrival_reports import ArrivalReport
from media.sfu.budget import Budget
from media.sfu.catch_up import CatchUp, Piece
from media.sfu.counts import RoomCounts
from media.sfu.egress import Egress, EgressJob, EgressTarget
from media.sfu.fanout import (
    FanoutGroup,
    GroupKey,
    StreamFormat,
    build_packets,
    make_group_key,
)
from media.sfu.legs import PAST_LEGS_MAX, LegEnd, PastLeg, make_next_format
from media.sfu.link_estimate import Passage
from media.sfu.options import Kind
from media.sfu.packets_out import OutPacket
from media.sfu.session import ViewerSession
from media.sfu.track import SourceTrack, TrackPacket

ROOM_REPEATS_PER_S = 3000.0
MAIN = ""

WantKeyframe = Callable[[str], None]


class Delivery:
    """Everybody who receives; `tracks` are the room's own, layers come and go with publishers."""

    def __init__(
        self,
        tracks: Mapping[str, SourceTrack],
        egress: Egress,
        counts: RoomCounts,
        want_keyframe: WantKeyframe,
        now_s: float,
    ) -> None:
        self._tracks = tracks
        self._layers: Mapping[str, SourceTrack] = {}
        self._egress = egress
        self._counts = counts
        self._want_keyframe = want_keyframe
        self._groups: dict[GroupKey, FanoutGroup] = {}
        self._group_of: dict[str, FanoutGroup] = {}
        self._repeats = Budget(ROOM_REPEATS_PER_S, ROOM_REPEATS_PER_S, now_s)
        self._catch_up = CatchUp()
        self._past_legs: dict[str, deque[PastLeg]] = {}
        self._switching: dict[str, tuple[ViewerSession, str]] = {}

    # Who receives

    def connect(self, viewer: ViewerSession) -> None:
        """Start sending: sound at once, video from the last keyframe or the next."""
        key = make_group_key(viewer.payload_types, self._tracks, viewer.transport_seq)
        group = self._join(viewer, key)
        if "audio" in viewer.payload_types:
            group.start(viewer, "audio", self._tracks["audio"].next_index)

    def start_video(self, viewer: ViewerSession) -> None:
        """Begin with what came since the last keyframe, or want one."""
        if "video" in viewer.payload_types:
            group = self._group_of[viewer.session_id]
            if not self._start_video(group, viewer):
                self._want_keyframe(group.layer)

    def remove(self, viewer: ViewerSession) -> None:
        """Stop sending to a viewer."""
        self._catch_up.stop(viewer)
        self._switching.pop(viewer.session_id, None)
        self._past_legs.pop(viewer.session_id, None)
        self._leave(viewer)

    def get_layer(self, viewer: ViewerSession) -> str:
        """Return the name of the layer a viewer's video comes from; `MAIN` unless switched."""
        group = self._group_of.get(viewer.session_id)
        return MAIN if group is None else group.layer

    # A publisher's layers

    def list_wanted_layers(self) -> set[str]:
        """Return the layers that viewers get or are about to get, the main track apart."""
        wanted = {group.layer for group in self._groups.values()}
        return (wanted | {layer for _, layer in self._switching.values()}) - {MAIN}

    def use_layers(self, layers: Mapping[str, SourceTrack]) -> None:
        """Take another publisher's layers: everybody awaits the next keyframe of the main track."""
        self._catch_up.clear()
        self._switching.clear()
        for group in tuple(self._groups.values()):
            for viewer in group.get_targets("video"):
                group.stop(viewer, "video")
            if group.layer != MAIN:
                for viewer in group.list_waiting("video"):
                    self._return_to_main(viewer)
        self._layers = layers

    def want_layer(self, viewer: ViewerSession, layer: str) -> None:
        """Switch a viewer to a layer at that layer's next keyframe, which is asked for.

        Say so again until it happened: a keyframe may come while the viewer still catches up.
        """
        if self.get_layer(viewer) == layer:
            self._switching.pop(viewer.session_id, None)
        elif viewer.session_id in self._group_of and "video" in viewer.payload_types:
            self._switching[viewer.session_id] = (viewer, layer)
            self._want_keyframe(layer)

    # Packets

    def forward(self, kind: Kind, layer: str, packets: list[TrackPacket]) -> None:
        """Send what one track brought to everybody who gets it."""
        is_video = kind == "video"
        for group in self._groups.values():
            if kind not in group.formats or group.formats[kind].layer != layer:
                continue
            targets = group.get_targets(kind)
            if targets:
                built = group.build_packets(kind, packets)
                self._send(EgressJob(targets, built, is_video, self._make_on_dropped(group)))

    def apply_keyframe(self, layer: str) -> None:
        """Start who waited for this layer's keyframe, and switch who is to get the layer."""
        for group in self._groups.values():
            if group.layer == layer:
                for viewer in group.list_waiting("video"):
                    if viewer not in self._catch_up:
                        self._start_video(group, viewer)
        for viewer, wanted in tuple(self._switching.values()):
            if wanted == layer and viewer not in self._catch_up:
                self._switch(viewer, layer)

    def send_next_pieces(self) -> None:
        """Bring newcomers their next piece of the past."""
        for newcomer, group in self._catch_up.list_newcomers():
            self._send_piece(self._catch_up.take_piece(newcomer, self._get_video(group.layer)))

    def repeat(self, viewer: ViewerSession, ssrc: int, seqs: Sequence[int], now_s: float) -> None:
        """Send again what a viewer lost, as far as the rings and the budgets go."""
        group = self._group_of.get(viewer.session_id)
        kind = next((kind for kind, track in self._tracks.items() if track.ssrc == ssrc), None)
        if group is None or kind is None or kind not in group.formats:
            return
        built: list[OutPacket] = []
        for fmt, packet in self._find_lost(group, viewer, kind, seqs):
            number = packet.index + fmt.shift
            if viewer.may_repeat(kind, number, now_s) and self._repeats.spend(now_s):
                built += build_packets(fmt, (packet,))
            else:
                self._counts.retransmits_refused += 1
        self._counts.retransmits += len(built)
        if viewer.rtx is not None and kind == "video":
            wrapped = [(packet, viewer.rtx.wrap(packet)) for packet in built]
            self._send(EgressJob((viewer,), [own for _, own in wrapped if own is not None]))
            built = [packet for packet, own in wrapped if own is None]
        self._send(EgressJob((viewer,), built))

    def list_passages(self, viewer: ViewerSession, report: ArrivalReport) -> list[Passage]:
        """Return the ways of packets that a viewer reports on, of those it got as they came."""
        group = self._group_of.get(viewer.session_id)
        if group is None or "video" not in group.formats:
            return []
        track = self._get_video(group.layer)
        first = group.get_index(track, report.first)
        skipped = max(0, viewer.measured_from - first)
        return track.list_passages(first + skipped, report.arrivals[skipped:])

    def _find_lost(
        self, group: FanoutGroup, viewer: ViewerSession, kind: str, seqs: Sequence[int]
    ) -> Iterator[tuple[StreamFormat, TrackPacket]]:
        """Yield the packets that a viewer names and the formats they were sent in."""
        fmt = group.formats[kind]
        track = self._get_video(fmt.layer) if kind == "video" else self._tracks[kind]
        past = self._past_legs.get(viewer.session_id, ()) if kind == "video" else ()
        first = viewer.first_index.get(kind, track.next_index)
        for seq in seqs:
            index = group.get_index(track, seq)
            packet = track.find_packet(index) if index >= first else None
            if packet is not None:
                yield fmt, packet
                continue
            number = index + fmt.shift
            leg = next((leg for leg in past if leg.first <= number < leg.end), None)
            packet = None if leg is None else leg.track.find_packet(number - leg.fmt.shift)
            if leg is not None and packet is not None:
                yield leg.fmt, packet

    def _start_video(self, group: FanoutGroup, viewer: ViewerSession) -> bool:
        """Begin to send a viewer what came since the last keyframe; False when that is too much."""
        if not viewer.is_connected:
            return False
        track = self._get_video(group.layer)
        run = track.list_keyframe_run()
        if not run:
            return False
        # A keyframe that comes late may be from before what this viewer has of the track.
        first = max(run[0].index, group.formats["video"].first)
        viewer.first_index["video"] = first
        viewer.measured_from = track.next_index
        self._catch_up.start(viewer, group, first)
        self._send_piece(self._catch_up.take_piece(viewer, track))
        return True

    def _send_piece(self, piece: Piece) -> None:
        """Send a newcomer a piece of the past; after the last one it is a viewer like others."""
        group, viewer = piece.group, piece.viewer
        if piece.is_last:
            group.start(viewer, "video", viewer.first_index["video"])
            # What came before went out at once, long after its time: it tells nothing of the link.
            viewer.measured_from = self._get_video(group.layer).next_index
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
            self._want_keyframe(group.layer)

        return await_keyframe

    def _send(self, job: EgressJob) -> None:
        datagrams = len(job.targets)
        size_bytes = sum(packet.size_bytes for packet in job.packets)
        self._counts.packets_out += datagrams * len(job.packets)
        self._counts.bytes_out += datagrams * size_bytes
        self._egress.send(job)

    # Groups

    def _get_video(self, layer: str) -> SourceTrack:
        return self._layers[layer] if layer != MAIN else self._tracks["video"]

    def _join(self, viewer: ViewerSession, key: GroupKey) -> FanoutGroup:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = FanoutGroup(key)
        group.add(viewer)
        self._group_of[viewer.session_id] = group
        return group

    def _leave(self, viewer: ViewerSession) -> FanoutGroup | None:
        group = self._group_of.pop(viewer.session_id, None)
        if group is not None:
            group.remove(viewer)
            if not len(group):
                del self._groups[group.key]
        return group

    def _switch(self, viewer: ViewerSession, layer: str) -> None:
        """Let a layer take over a viewer's stream from its last keyframe on."""
        track = self._get_video(layer)
        run = track.list_keyframe_run()
        if run:
            del self._switching[viewer.session_id]
            self._start_video(self._move(viewer, layer, track, run[0]), viewer)

    def _return_to_main(self, viewer: ViewerSession) -> None:
        """Let the main track continue a viewer's stream, at its next keyframe."""
        main = self._tracks["video"]
        first = TrackPacket(main.next_index, 0, main.newest_timestamp, b"", is_keyframe=False)
        self._move(viewer, MAIN, main, first)

    def _move(
        self, viewer: ViewerSession, layer: str, track: SourceTrack, first: TrackPacket
    ) -> FanoutGroup:
        """Put a viewer into the group that continues its stream with `first` of another track."""
        group = self._group_of[viewer.session_id]
        end = LegEnd(self._get_video(group.layer), group.formats["video"])
        start = viewer.first_index.pop("video", None)
        if start is not None:
            past = self._past_legs.setdefault(viewer.session_id, deque(maxlen=PAST_LEGS_MAX))
            past.append(PastLeg(end.track, end.fmt, start + end.fmt.shift, end.next_number))
        fmt = make_next_format(end, layer, first, track)
        formats = {**group.formats, "video": fmt}
        hears = "audio" in formats and viewer in group.get_targets("audio")
        self._leave(viewer)
        group = self._join(viewer, tuple(sorted(formats.items(), key=lambda item: item[0])))
        if hears:
            group.start(viewer, "audio", viewer.first_index["audio"])
        return group
