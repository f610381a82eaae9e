"""`RelayIn`: a live from another edge, as a publisher of this edge's own room.

Made by the edge that shows it. Viewers here are served from this edge's ring and keyframe cache.
Back go the encodings that they want besides the main stream, and wishes for keyframes, as often as
a room may utter one: once a second for each encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from kit.metrics import RELAY_BYTES, RELAY_PACKETS
from media.relay.outward import STREAM_SSRCS, RelayCounts
from media.sfu.layer_selector import LayerFact
from media.sfu.relayed_layers import RelayedLayers
from media.sfu.rtcp import SenderReport, build_sender_report, parse_rtcp
from media.sfu.sdp import OfferedCodec
from media.sfu.session import LocalPublisher

CNAME = "relay"


class RelayPlane(Protocol):
    """What a relay uses of `media.sfu.server.Sfu`."""

    def publish_local(
        self,
        room_id: str,
        codecs: Mapping[str, OfferedCodec],
        on_feedback: Callable[[bytes], None] | None = None,
        layers: RelayedLayers | None = None,
    ) -> LocalPublisher:
        """Admit a publisher of this process."""
        ...

    def feed(self, session: LocalPublisher, rtp: Sequence[bytes], rtcp: bytes = b"") -> None:
        """Forward its packets."""
        ...

    def close_session(self, session_id: str) -> bool:
        """End a session."""
        ...

    def get_publisher_id(self, room_id: str) -> str | None:
        """Return the session whose packets a room takes now."""
        ...


class RelayIn:
    """One live on its way into this edge's plane."""

    def __init__(
        self,
        room_id: str,
        plane: RelayPlane,
        request_keyframe: Callable[[str], None],
        want_layers: Callable[[str, Sequence[str]], None],
    ) -> None:
        self.publisher = ""
        """The session at the origin whose packets these are; empty while there are none."""
        self.counts = RelayCounts()
        self._room_id = room_id
        self._plane = plane
        self._request_keyframe = request_keyframe
        self._want_layers = want_layers
        self._layers: RelayedLayers | None = None
        self._session: LocalPublisher | None = None
        self._codecs: dict[str, OfferedCodec] = {}

    @property
    def session_id(self) -> str | None:
        """The session by which this edge's own plane knows the live."""
        return None if self._session is None else self._session.session_id

    @property
    def is_running(self) -> bool:
        """Whether the room takes its packets from here."""
        return self._session is not None and self._session.is_open

    def begin(
        self, publisher: str, codecs: Mapping[str, OfferedCodec], rids: Sequence[str] = ()
    ) -> bool:
        """Take a publisher's packets from now on; False when the room has a nearer one.

        Another publisher with the same codecs goes on in the same session: its stream continues
        the last one's. Where one of them sends several encodings it is another session. Raises
        SfuFull, NoSupportedCodec (a live has pictures).
        """
        is_plain = self._layers is None and not rids
        if self.is_running and self._codecs == dict(codecs) and is_plain:
            self.publisher = publisher
            return True
        if self._plane.get_publisher_id(self._room_id) not in (None, self.session_id):
            return False

        def want(wanted: Sequence[str]) -> None:
            self._want_layers(publisher, wanted)

        layers = RelayedLayers(rids, want) if rids else None
        self._session = self._plane.publish_local(
            self._room_id, codecs, self._take_feedback, layers
        )
        self._codecs, self.publisher, self._layers = dict(codecs), publisher, layers
        return True

    def add_packets(self, packets: Sequence[bytes]) -> None:
        """Forward a batch."""
        if self._session is None:
            return
        size_bytes = sum(map(len, packets))
        self.counts.packets += len(packets)
        self.counts.bytes += size_bytes
        RELAY_PACKETS.labels("in").inc(len(packets))
        RELAY_BYTES.labels("in").inc(size_bytes)
        self._plane.feed(self._session, packets)

    def add_layer_packets(
        self, rid: str, packets: Sequence[bytes], clock_shift: int, *, is_first: bool
    ) -> None:
        """Forward a batch of an encoding that is wanted here."""
        if self._layers is not None:
            if is_first:
                self._layers.begin(rid)
            self._layers.note_clock(rid, clock_shift)
            self.add_packets(packets)

    def apply_layers(self, main_rid: str, facts: Sequence[LayerFact]) -> None:
        """Let viewers know and choose from what the publisher sends."""
        if self._layers is not None:
            self._layers.apply_facts(main_rid, facts)

    def apply_report(self, stream: str, ntp_timestamp: int, timestamp: int) -> None:
        """Tell viewers the publisher's clock; streams that we do not know have none."""
        ssrc = STREAM_SSRCS.get(stream)
        if self._session is not None and ssrc is not None:
            report = SenderReport(ssrc, ntp_timestamp, timestamp)
            self._plane.feed(self._session, (), build_sender_report(report, (0, 0), CNAME))

    def end(self) -> None:
        """Leave the room: its viewers wait for whoever comes next."""
        session, self._session = self._session, None
        self.publisher, self._layers = "", None
        if session is not None:
            self._plane.close_session(session.session_id)

    def _take_feedback(self, packet: bytes) -> None:
        """Pass wishes for a keyframe on; what is lost between edges is sent again by the link."""
        facts = parse_rtcp(packet)
        for ssrc in () if facts is None else facts.keyframe_ssrcs:
            self._request_keyframe("" if self._layers is None else self._layers.find_rid_of(ssrc))
