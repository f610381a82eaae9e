"""The encodings of one simulcast publisher (RFC 8853): a track for each, the best as the main one.

Owned by `room`, one per publisher that sends several. Packets find their layer by the RTP stream id
(RFC 8852), which publishers write into a stream's first packets only. The room's main track follows
the best layer that comes; it changes at keyframes, so it has no hole for whoever listens to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from media.sfu.layer_selector import LayerFact
from media.sfu.options import Kind
from media.sfu.picture_size import find_picture_size
from media.sfu.rtcp import SenderReport
from media.sfu.rtp import RtpFields, find_extension, signed_time_distance
from media.sfu.track import VIDEO_HZ, SourceTrack, TrackPacket

LAYERS_MAX = 4
SSRCS_MAX = 16
SILENT_S = 1.0
LEFT_S = 0.5
LEFT_FRAMES = 10
"""So many frames of other layers without one of its own: after a pause some come before it does."""
LOOK_EVERY_S = 0.25
MEASURE_EVERY_S = 1.0
VIDEO: Kind = "video"


class Layer:
    """One encoding: its track, its picture, its bit rate over the last second."""

    def __init__(self, rid: str, ssrc: int, codec: str) -> None:
        self.rid = rid
        self.track = SourceTrack(VIDEO, ssrc, first_index=1 << 15)
        self.track.begin_source(codec)
        self.size = (0, 0)
        self.bitrate_bps = 0
        self.report: SenderReport | None = None
        self.measured_bytes = 0
        self.frames_elsewhere = 0
        """Of the other layers since a packet of this one."""

    @property
    def rank(self) -> tuple[int, int]:
        """What makes one layer better than another: more pixels, else more bits."""
        return self.size[0] * self.size[1], self.bitrate_bps

    def is_active(self, now_s: float) -> bool:
        """Tell whether it comes: publishers stop layers their link or processor cannot carry.

        One that stops while the others go on is missed sooner than all are that stop together.
        """
        at_s = self.track.packet_at_s
        if at_s is None:
            return False
        patience_s = SILENT_S if self.frames_elsewhere < LEFT_FRAMES else LEFT_S
        return now_s - at_s < patience_s

    def describe(self, now_s: float) -> LayerFact:
        """Return what selectors and viewers may know."""
        width, height = self.size
        return LayerFact(self.rid, width, height, self.bitrate_bps, self.is_active(now_s))


class LayerSet:
    """All layers of one publisher; feeds `main` from the best of them."""

    def __init__(
        self, rids: Sequence[str], rid_extension: int, repaired_extension: int, main: SourceTrack
    ) -> None:
        self._rid_extension = rid_extension
        self._repaired_extension = repaired_extension
        self._main = main
        self._layers = {rid: Layer(rid, main.ssrc, main.codec) for rid in rids[:LAYERS_MAX]}
        self._rid_of: dict[int, str] = {}
        self._main_layer: Layer | None = None
        self._measured_at_s = float("-inf")

    @property
    def tracks(self) -> dict[str, SourceTrack]:
        """The layers' tracks by name."""
        return {rid: layer.track for rid, layer in self._layers.items()}

    @property
    def main_rid(self) -> str:
        """The layer that the main track carries now; empty before the first keyframe."""
        return "" if self._main_layer is None else self._main_layer.rid

    def __contains__(self, rid: str) -> bool:
        return rid in self._layers

    def list_received(self) -> list[SourceTrack]:
        """Return the tracks that are streams of the publisher's own."""
        return list(self.tracks.values())

    def find_rid(self, packet: bytes, ssrc: int) -> str | None:
        """Return the layer of a packet; None while its stream has not said."""
        return self._find_rid(packet, ssrc, self._rid_extension)

    def find_repeated(self, packet: bytes, ssrc: int) -> SourceTrack | None:
        """Return the track of what a stream of repeats repeats; None while it has not said."""
        rid = self._find_rid(packet, ssrc, self._repaired_extension)
        return None if rid is None else self._layers[rid].track

    def _find_rid(self, packet: bytes, ssrc: int, extension: int) -> str | None:
        rid = self._rid_of.get(ssrc)
        if rid is None:
            value = find_extension(packet, extension)
            name = "" if value is None else value.decode("ascii", errors="replace")
            if name in self._layers and len(self._rid_of) < SSRCS_MAX:
                rid = self._rid_of[ssrc] = name
        return rid

    def apply(
        self, rid: str, fields: RtpFields, now_s: float
    ) -> tuple[TrackPacket | None, TrackPacket | None]:
        """Take one packet of a layer; returns it as the layer's track and the main one have it."""
        layer = self._layers[rid]
        packet = layer.track.apply(fields, now_s)
        if packet is None:
            return None, None
        layer.frames_elsewhere = 0
        if packet.marker:
            for other in self._layers.values():
                other.frames_elsewhere += other is not layer
        if packet.is_keyframe:
            layer.size = find_picture_size(layer.track.codec, fields.payload) or layer.size
            if layer is not self._main_layer and self._is_better(layer, now_s):
                self._main_layer = layer
                self._main.begin_source(self._main.codec)
        if layer is not self._main_layer:
            return packet, None
        return packet, self._main.apply(fields, now_s)

    def find_source(self, name: str) -> SourceTrack | None:
        """Return the track to ask for a keyframe: of a layer, or of what feeds the main track."""
        layer = self._layers.get(name) if name else self._main_layer
        return None if layer is None else layer.track

    def find_replacement(self, now_s: float) -> SourceTrack | None:
        """Return the track whose keyframe is to feed the main one; None while that has a source."""
        if self._main_layer is not None and self._main_layer.is_active(now_s):
            return None
        active = [layer for layer in self._layers.values() if layer.is_active(now_s)]
        best = max(active, key=lambda layer: layer.rank, default=None)
        return None if best is None else best.track

    def list_facts(self, now_s: float) -> list[LayerFact]:
        """Return every layer that ever came, best first."""
        known = [layer for layer in self._layers.values() if layer.track.packets_in]
        ranked = sorted(known, key=lambda layer: layer.rank, reverse=True)
        return [layer.describe(now_s) for layer in ranked]

    def measure_rates(self, now_s: float) -> None:
        """Take the bit rates since the last call, once a second."""
        since_s = now_s - self._measured_at_s
        if since_s < MEASURE_EVERY_S:
            return
        for layer in self._layers.values():
            count = layer.track.bytes_in - layer.measured_bytes
            layer.measured_bytes = layer.track.bytes_in
            layer.bitrate_bps = round(count * 8 / since_s)
        self._measured_at_s = now_s

    def apply_report(self, report: SenderReport) -> SourceTrack | None:
        """Remember what a layer's clock says; returns the layer's track."""
        for layer in self._layers.values():
            if layer.track.source_ssrc == report.ssrc:
                layer.report = report
                return layer.track
        return None

    def align_clock(self, rid: str) -> None:
        """Bring a layer's timestamps to the main track's clock, before a viewer gets them.

        Publishers begin each layer at a timestamp of its own; sender reports say how they belong
        together (RFC 3550 §6.4.1), before the first ones the time of arrival does.
        """
        layer, main = self._layers[rid], self._main_layer
        if main is None:
            return
        theirs = layer.track.timestamp_offset
        if main is layer:
            shift = self._main.timestamp_offset - theirs
        elif main.report is not None and layer.report is not None:
            ticks = (layer.report.ntp_timestamp - main.report.ntp_timestamp) * VIDEO_HZ >> 32
            same = main.report.rtp_timestamp + self._main.timestamp_offset + ticks
            shift = same - layer.report.rtp_timestamp - theirs
        else:
            later_s = (layer.track.packet_at_s or 0.0) - (self._main.packet_at_s or 0.0)
            same = self._main.newest_timestamp + round(later_s * VIDEO_HZ)
            shift = signed_time_distance(same, layer.track.newest_timestamp)
        layer.track.clock_shift = shift & 0xFFFFFFFF

    def note_wanted(self, _rids: Iterable[str], _now_s: float) -> None:
        """Do nothing: the publisher sends all its layers, watched or not."""

    def _is_better(self, layer: Layer, now_s: float) -> bool:
        main = self._main_layer
        return main is None or not main.is_active(now_s) or layer.rank > main.rank
