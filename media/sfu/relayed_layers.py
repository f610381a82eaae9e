"""The encodings of a publisher at another edge: all are known here, those come that are wanted.

Made by a relay, used by `room` as `layers.LayerSet` is. The origin feeds the main track and says
what the encodings are; viewers and relays of this edge together decide which are had besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from media.sfu.layer_selector import LayerFact
from media.sfu.layers import LAYERS_MAX, VIDEO
from media.sfu.rtcp import SenderReport
from media.sfu.rtp import RtpFields
from media.sfu.track import TIMESTAMP_MASK, SourceTrack, TrackPacket

MAIN = ""
FIRST_SSRC = 16
"""Of the first encoding, within a relay alone; the others follow in order."""
UNWANTED_S = 1.0
"""An encoding is had so long after the last wish for it: viewers who try one out do not thrash."""

WantLayers = Callable[[Sequence[str]], None]


class RelayedLayers:
    """A track for each encoding, empty while nobody here wants it."""

    def __init__(self, rids: Sequence[str], want_layers: WantLayers) -> None:
        self.tracks: dict[str, SourceTrack] = {}
        self.main_rid = ""
        self._rids = tuple(rids[:LAYERS_MAX])
        self._want_layers = want_layers
        self._rid_of = {FIRST_SSRC + at: rid for at, rid in enumerate(self._rids)}
        self._main: SourceTrack | None = None
        self._facts: list[LayerFact] = []
        self._shifts: dict[str, int] = {}
        self._wanted: frozenset[str] = frozenset()
        self._wanted_at_s: dict[str, float] = {}

    # For the relay

    def begin(self, rid: str) -> None:
        """Expect an encoding from a keyframe on, whatever came of it before."""
        if self._main is not None and rid in self.tracks:
            self.tracks[rid].begin_source(self._main.codec)

    def note_clock(self, rid: str, shift: int) -> None:
        """Learn what brings an encoding's timestamps, as they come, to those of the main track."""
        self._shifts[rid] = shift

    def apply_facts(self, main_rid: str, facts: Iterable[LayerFact]) -> None:
        """Take what the origin says of the encodings, best first."""
        self.main_rid = main_rid
        self._facts = [fact for fact in facts if fact.rid in self.tracks]

    def find_rid_of(self, ssrc: int) -> str:
        """Return the encoding of an SSRC; `MAIN` for that of the main track."""
        return self._rid_of.get(ssrc, MAIN)

    # For the room

    def use(self, main: SourceTrack) -> None:
        """Learn the main track; called once, before anything else."""
        self._main = main
        for rid in self._rids:
            track = self.tracks[rid] = SourceTrack(VIDEO, main.ssrc, first_index=1 << 15)
            track.begin_source(main.codec)

    def list_received(self) -> list[SourceTrack]:
        """Return the tracks that come as streams of their own."""
        return [self._get_main(), *self.tracks.values()]

    def find_rid(self, _packet: bytes, ssrc: int) -> str | None:
        """Return the encoding of a packet."""
        return self.find_rid_of(ssrc)

    def apply(
        self, rid: str, fields: RtpFields, now_s: float
    ) -> tuple[TrackPacket | None, TrackPacket | None]:
        """Take one packet; returns it as the encoding's track and as the main one has it."""
        if rid == MAIN:
            return None, self._get_main().apply(fields, now_s)
        if rid not in self._wanted:  # still on its way when the last viewer left it
            return None, None
        return self.tracks[rid].apply(fields, now_s), None

    def find_source(self, name: str) -> SourceTrack | None:
        """Return the track to ask for a keyframe."""
        return self.tracks.get(name) if name else self._get_main()

    def find_replacement(self, _now_s: float) -> SourceTrack | None:
        """Return None: what the main track carries is decided at the origin."""
        return None

    def list_facts(self, _now_s: float) -> list[LayerFact]:
        """Return every encoding that ever came to the origin, best first."""
        return self._facts

    def measure_rates(self, _now_s: float) -> None:
        """Do nothing: the origin measures."""

    def apply_report(self, _report: SenderReport) -> SourceTrack | None:
        """Return None: only the main track's clock is relayed, the others are on it already."""
        return None

    def align_clock(self, rid: str) -> None:
        """Bring an encoding's timestamps to the main track's clock, before a viewer gets them."""
        track = self.tracks[rid]
        shift = self._shifts.get(rid, 0) + self._get_main().timestamp_offset
        track.clock_shift = (shift - track.timestamp_offset) & TIMESTAMP_MASK

    def note_wanted(self, rids: Iterable[str], now_s: float) -> None:
        """Say upstream what is wanted here when that changed."""
        self._wanted_at_s.update(dict.fromkeys(rids, now_s))
        wanted = frozenset(
            rid for rid, at_s in self._wanted_at_s.items() if now_s - at_s < UNWANTED_S
        )
        if wanted != self._wanted:
            self._wanted = wanted
            self._want_layers(sorted(wanted))

    def _get_main(self) -> SourceTrack:
        assert self._main is not None, "use() comes first"
        return self._main
