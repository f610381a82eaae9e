"""A room's side of its publisher's encodings: their batches, who gets which, who listens to them.

Owned by `room`, which hands in packets and viewers. Every method answers for a publisher of one
encoding alone, too: there is nothing to choose then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from media.sfu.delivery import MAIN, Delivery
from media.sfu.layer_selector import LayerFact
from media.sfu.layer_taps import LayerListener, LayerTaps
from media.sfu.layers import LayerSet
from media.sfu.reception import NACK_AGE_MAX_S
from media.sfu.relayed_layers import RelayedLayers
from media.sfu.rtcp import SenderReport
from media.sfu.rtp import RtpFields
from media.sfu.session import LocalPublisher, Publisher, ViewerSession
from media.sfu.track import SourceTrack, TrackPacket


class RoomLayers:
    """The present publisher's encodings; `delivery` switches viewers between them."""

    def __init__(
        self,
        room_id: str,
        main: SourceTrack,
        delivery: Delivery,
        request_keyframe: Callable[[SourceTrack], None],
    ) -> None:
        self._main = main
        self._delivery = delivery
        self._request_keyframe = request_keyframe
        self._layers: LayerSet | RelayedLayers | None = None
        self._batch: dict[str, list[TrackPacket]] = {}
        self._taps = LayerTaps(room_id)

    @property
    def are_several(self) -> bool:
        """Tell whether the publisher announced more than one encoding."""
        return self._layers is not None

    def begin(self, session: Publisher) -> None:
        """Take another publisher's encodings: everybody awaits a keyframe of the main track."""
        self._layers = _open_layers(session, self._main)
        layers = {} if self._layers is None else self._layers.tracks
        self._batch = {rid: [] for rid in layers}
        self._taps.clear()
        self._delivery.use_layers(layers)

    # What viewers get

    def list_rids(self) -> tuple[str, ...]:
        """Return the encodings' names as announced; nothing when there is one alone."""
        return tuple(self._batch)

    def list_facts(self, now_s: float) -> list[LayerFact]:
        """Return the encodings, best first; nothing when there is one alone."""
        return [] if self._layers is None else self._layers.list_facts(now_s)

    def find_playing(self, viewer: ViewerSession) -> str | None:
        """Return the encoding that a viewer gets; None when there is no choice."""
        if self._layers is None:
            return None
        return self._delivery.get_layer(viewer) or self._layers.main_rid or None

    def look(self, viewers: Iterable[ViewerSession], now_s: float) -> None:
        """Do what is due some times a second: choose, and tell listeners."""
        self.choose(viewers, now_s)
        if self._layers is not None:
            self._taps.tell_facts(self._layers.main_rid, self._layers.list_facts(now_s))

    def choose(self, viewers: Iterable[ViewerSession], now_s: float) -> None:
        """Give every viewer the encoding that its link or its wish calls for."""
        if self._layers is None:
            return
        silent = self._layers.find_replacement(now_s)
        if silent is not None:
            self._request_keyframe(silent)
        facts = self._layers.list_facts(now_s)
        active = [fact for fact in facts if fact.is_active]
        if len(facts) > 1 and active:
            for viewer in viewers:
                if viewer.is_connected and viewer.video_codec:
                    self._choose_for(viewer, (facts[0].rid, active), now_s)
        self._note_wanted(now_s)

    def _choose_for(
        self, viewer: ViewerSession, choice: tuple[str, Sequence[LayerFact]], now_s: float
    ) -> None:
        """Choose for one viewer between the encodings that come; `choice` begins with the best."""
        best, active = choice
        rid = viewer.selector.decide(active, now_s)
        # The main track carries the best there is: whoever wants that stays on it.
        is_wish = rid == viewer.selector.pinned and rid != best
        layer = MAIN if rid in (best, active[0].rid) and not is_wish else rid
        self._delivery.want_layer(viewer, layer)

    def _note_wanted(self, now_s: float) -> None:
        """Let a relay have from its origin what viewers and relays want here."""
        if self._layers is not None:
            wanted = self._delivery.list_wanted_layers() | self._taps.list_wanted()
            self._layers.note_wanted(wanted, now_s)

    # Who listens

    def add_listener(self, listener: LayerListener) -> None:
        """Tell a listener which encodings there are; `remove_listener` ends it."""
        self._taps.add(listener)

    def remove_listener(self, listener: LayerListener) -> None:
        """Tell a listener nothing more."""
        self._taps.remove(listener)

    def want(self, listener: LayerListener, rids: Iterable[str], now_s: float) -> None:
        """Give a listener these encodings alone, new ones from their last keyframe on."""
        if self._layers is None:
            return
        tracks = self._layers.tracks
        for rid in self._taps.want(listener, (rid for rid in rids if rid in tracks)):
            self._layers.align_clock(rid)
            run, shift = tracks[rid].list_keyframe_run(), tracks[rid].clock_shift
            self._taps.tell_one(listener, rid, run, shift)
        self._note_wanted(now_s)

    # Packets

    def apply(
        self, packet: bytes, fields: RtpFields, now_s: float
    ) -> tuple[bool, TrackPacket | None]:
        """Take one packet of video; tells whether it counts, and how the main track has it."""
        assert self._layers is not None, "there are several"
        rid = self._layers.find_rid(packet, fields.ssrc)
        if rid is None:
            return False, None
        own, main = self._layers.apply(rid, fields, now_s)
        if own is not None:
            self._batch[rid].append(own)
        return True, main

    def find_repeated(self, packet: bytes, ssrc: int) -> SourceTrack | None:
        """Return the track of what a stream of repeats repeats; None while that is not known."""
        if isinstance(self._layers, LayerSet):
            return self._layers.find_repeated(packet, ssrc)
        return self._main if self._layers is None else None

    def flush(self, now_s: float) -> list[str]:
        """Send what came to everybody who gets it; returns the layers whose keyframe came."""
        with_keyframe = []
        for rid, packets in self._batch.items():
            if packets:
                self._batch[rid] = []
                assert self._layers is not None, "what came is of a publisher with layers"
                self._layers.tracks[rid].note_forwarded(packets, now_s)
                self._delivery.forward("video", rid, packets)
                if any(packet.is_keyframe for packet in packets):
                    self._layers.align_clock(rid)
                    with_keyframe.append(rid)
                self._taps.tell_packets(rid, packets, self._layers.tracks[rid].clock_shift)
        return with_keyframe

    def list_received(self) -> list[SourceTrack]:
        """Return the tracks of video that come as streams of their own."""
        return [self._main] if self._layers is None else self._layers.list_received()

    def get_repair_wait_s(self, index: int) -> float:
        """Return how long after it was missed the main track's packet may still come.

        0.0: it will not, since its publisher is not asked for it any more.
        """
        if self._main.find_packet(index) is not None:
            return NACK_AGE_MAX_S  # it came, and whoever listens is told in a moment
        source = self.find_source(MAIN)
        if source is None or index not in self._main.missing:
            return 0.0
        seq = self._main.get_source_seq(index)
        return source.missing.get_wait_s(source.get_source_index(seq))

    def find_source(self, layer: str) -> SourceTrack | None:
        """Return the track whose keyframes a layer's are, or those of what feeds the main track."""
        if self._layers is None:
            return self._main if layer == MAIN else None
        return self._layers.find_source(layer)

    def apply_report(self, report: SenderReport, now_s: float) -> None:
        """Learn what an encoding's clock says."""
        track = None if self._layers is None else self._layers.apply_report(report)
        if track is not None and track.reception is not None:
            track.reception.apply_sender_report(report.ntp_timestamp, now_s)

    def measure_rates(self, now_s: float) -> None:
        """Take the encodings' bit rates, once a second."""
        if self._layers is not None:
            self._layers.measure_rates(now_s)


def _open_layers(session: Publisher, main: SourceTrack) -> LayerSet | RelayedLayers | None:
    """Return a publisher's encodings, None when it sends one alone."""
    if isinstance(session, LocalPublisher):
        if session.layers is not None:
            session.layers.use(main)
        return session.layers
    if not session.rids:
        return None
    return LayerSet(session.rids, session.rid_extension, session.repaired_extension, main)
