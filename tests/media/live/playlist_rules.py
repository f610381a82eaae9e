"""Rules of RFC 8216 and its second edition that a live's playlists have to keep, over time."""

from __future__ import annotations

from collections.abc import Mapping

from media.live.fragments import AUDIO, VIDEO
from media.live.playlists import LivePlaylists
from tests.media.live.programme import Listing, read_playlist

PRECISION_S = 0.002
SOUND_AHEAD_S = 0.1
"""Where a picture was cut off, sound that had come already is kept."""


class PlaylistReader:
    """A player that reloads both playlists and complains."""

    def __init__(self, playlists: LivePlaylists) -> None:
        self._playlists = playlists
        self._before: dict[str, Listing] = {}

    def reload(self) -> Mapping[str, Listing]:
        """Fetch both playlists; each must keep the rules and go on from the one before."""
        found = {}
        for track in (VIDEO, AUDIO):
            text = self._playlists.render(track, is_delta=False).decode()
            found[track] = read_playlist(text)
            check_rules(found[track])
            if track in self._before:
                check_goes_on(self._before[track], found[track])
        check_tracks_agree(found)
        self._before = found
        return found


def check_rules(listing: Listing) -> None:
    """What every media playlist keeps by itself."""
    target_s = int(listing.tags["TARGETDURATION"])  # §4.4.3.1
    part_target_s = float(listing.attributes("PART-INF")["PART-TARGET"])
    control = listing.attributes("SERVER-CONTROL")  # §4.4.3.8
    assert float(control["CAN-SKIP-UNTIL"]) >= 6 * target_s
    assert float(control["HOLD-BACK"]) >= 3 * target_s
    assert float(control["PART-HOLD-BACK"]) >= 2 * part_target_s
    assert listing.segments[0].init is not None  # §4.4.4.5: fragmented MP4 needs one
    before = None
    for segment in listing.segments:
        assert round(segment.duration_s) <= target_s
        assert all(duration <= part_target_s + PRECISION_S for duration, _u, _i in segment.parts)
        if segment.address and segment.parts:
            total_s = sum(duration for duration, _u, _i in segment.parts)
            assert abs(total_s - segment.duration_s) < PRECISION_S
        assert segment.moment is not None
        if before is not None and before.moment is not None:  # time does not run backwards
            passed_s = (segment.moment - before.moment).total_seconds()
            overlap_s = SOUND_AHEAD_S if segment.is_discontinuous else PRECISION_S
            assert passed_s >= before.duration_s - overlap_s
            if not segment.is_discontinuous and not segment.is_gap:
                assert passed_s <= before.duration_s + PRECISION_S
                assert segment.init is None  # another one needs a discontinuity
        before = segment
    if "ENDLIST" in listing.tags:
        assert "PRELOAD-HINT" not in listing.tags


def check_goes_on(before: Listing, after: Listing) -> None:
    """§6.2.1: nothing that was listed changes; lines are only added at the end."""
    assert after.tags["MEDIA-SEQUENCE"] == before.tags["MEDIA-SEQUENCE"]
    assert after.tags.get("DISCONTINUITY-SEQUENCE") == before.tags.get("DISCONTINUITY-SEQUENCE")
    assert len(after.segments) >= len(before.segments)
    for known, segment in zip(before.segments, after.segments, strict=False):
        for name in ("is_discontinuous", "init", "moment"):
            assert getattr(known, name) == getattr(segment, name)
        if known.address:
            assert (known.address, known.duration_s) == (segment.address, segment.duration_s)
        if segment.parts:
            assert segment.parts[: len(known.parts)] == known.parts


def check_tracks_agree(found: Mapping[str, Listing]) -> None:
    """§6.2.4: renditions have the same discontinuities, so that players match them up."""
    picture, sound = ([s.is_discontinuous for s in found[t].segments] for t in (VIDEO, AUDIO))
    shared = min(len(picture), len(sound))
    assert abs(len(picture) - len(sound)) <= 1
    assert picture[:shared] == sound[:shared]
