"""Rules of RFC 8216 and its second edition for every playlist: of videos, recordings and lives.

Sections are RFC 8216's (§) or, where a live needs more, draft-pantos-hls-rfc8216bis-17's (bis §).
Not looked at: how many bits per second subtitles take, which no bandwidth counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from media.live.fragments import AUDIO, VIDEO
from media.live.playlists import LivePlaylists
from media.vod.hls import DEARER_BPS
from media.vod.publish import Publication
from media.vod.records import STORYBOARD, SUBTITLES, segment_name, storyboard_name
from tests.media.playlist_reading import (
    Listed,
    Listing,
    Multivariant,
    read_multivariant,
    read_playlist,
)

MASTER = "master.m3u8"
PRECISION_S = 0.002
SOUND_AHEAD_S = 0.1
"""Where a picture was cut off, sound that had come already is kept."""
OVERSTATED_MAX = 1.001
"""Of bandwidths of a whole video; the fraction comes from lengths that were rounded to 1 µs."""

SizeOf = Callable[[str], int]
"""How many bytes lie at an address; raises where nothing does."""


class PlaylistReader:
    """A player that reloads both playlists of a live and complains."""

    def __init__(self, playlists: LivePlaylists) -> None:
        self._playlists = playlists
        self._before: dict[str, Listing] = {}

    def reload(self) -> Mapping[str, Listing]:
        """Fetch both playlists; each must keep the rules and go on from the one before."""
        found = {}
        for track in (VIDEO, AUDIO):
            text = self._playlists.render(track, is_delta=False).body.decode()
            found[track] = read_playlist(text)
            check_live(found[track])
            if track in self._before:
                check_goes_on(self._before[track], found[track])
        check_places_agree(found[VIDEO], found[AUDIO])
        self._before = found
        return found


def check_media(listing: Listing) -> None:
    """What every media playlist keeps by itself."""
    tags = listing.tags
    assert listing.target_s > 0  # §4.3.3.1
    assert int(tags.get("MEDIA-SEQUENCE", "0")) >= 0
    assert tags.get("PLAYLIST-TYPE", "VOD") in {"VOD", "EVENT"}  # §4.3.3.5
    if tags.get("PLAYLIST-TYPE") == "VOD":
        assert "ENDLIST" in tags
    assert int(tags.get("VERSION", "1")) >= decide_version(listing)  # §7
    whole = [segment for segment in listing.segments if segment.address]
    assert all(int(it.duration_s + 0.5) <= listing.target_s for it in whole)  # §4.3.3.1
    places = [(segment.address, segment.byte_range) for segment in whole]
    assert len(set(places)) == len(places), "a segment is listed twice"
    if whole and whole[0].address.endswith((".m4s", ".mp4")):
        assert whole[0].init is not None  # §3.3: fragmented MP4 needs one
    for segment in whole[1:]:
        assert segment.init is None or segment.is_discontinuous or segment.is_gap
    if "START" in tags:  # §4.3.5.2
        offset_s = float(listing.attributes("START")["TIME-OFFSET"])
        assert abs(offset_s) <= listing.duration_s
    if listing.key:
        assert listing.key["URI"]  # §4.3.2.4


def decide_version(listing: Listing) -> int:
    """What EXT-X-VERSION has to be at least (§7; bis §8)."""
    has_keys_alone = "I-FRAMES-ONLY" in listing.tags
    needed = [3]  # lengths are fractions
    if has_keys_alone or any(segment.byte_range for segment in listing.segments):
        needed.append(4)
    if any(segment.init for segment in listing.segments):
        needed.append(5 if has_keys_alone else 6)
    if listing.key:
        needed.append(5)
    if "SKIP" in listing.tags:
        needed.append(9)
    return max(needed)


def check_live(listing: Listing) -> None:
    """What a media playlist of a live keeps beside."""
    check_media(listing)
    target_s = listing.target_s
    part_target_s = float(listing.attributes("PART-INF")["PART-TARGET"])
    control = listing.attributes("SERVER-CONTROL")  # bis §4.4.3.8
    assert float(control["CAN-SKIP-UNTIL"]) >= 6 * target_s
    assert float(control["HOLD-BACK"]) >= 3 * target_s
    assert float(control["PART-HOLD-BACK"]) >= 2 * part_target_s
    assert listing.segments[0].init is not None  # bis §4.4.4.5: fragmented MP4 needs one
    before = None
    for segment in listing.segments:
        assert all(duration <= part_target_s + PRECISION_S for duration, _u, _i in segment.parts)
        if segment.address and segment.parts:
            total_s = sum(duration for duration, _u, _i in segment.parts)
            assert abs(total_s - segment.duration_s) < PRECISION_S
        assert segment.moment is not None
        if before is not None:
            _check_follows(before, segment)
        before = segment
    if "ENDLIST" in listing.tags:
        assert "PRELOAD-HINT" not in listing.tags


def _check_follows(before: Listed, segment: Listed) -> None:
    """Time does not run backwards, and only a discontinuity changes what is played."""
    assert before.moment is not None
    assert segment.moment is not None
    passed_s = (segment.moment - before.moment).total_seconds()
    overlap_s = SOUND_AHEAD_S if segment.is_discontinuous else PRECISION_S
    assert passed_s >= before.duration_s - overlap_s
    if not segment.is_discontinuous and not segment.is_gap:
        assert passed_s <= before.duration_s + PRECISION_S
        assert segment.init is None


def check_goes_on(before: Listing, after: Listing) -> None:
    """§6.2.1: nothing that was listed changes; lines are only added at the end.

    One change more is allowed here: an EVENT whose end has come may call itself VOD.
    """
    for name in ("TARGETDURATION", "MEDIA-SEQUENCE", "DISCONTINUITY-SEQUENCE", "VERSION"):
        assert after.tags.get(name) == before.tags.get(name), name
    kinds = (before.tags.get("PLAYLIST-TYPE"), after.tags.get("PLAYLIST-TYPE"))
    assert kinds[0] == kinds[1] or (kinds == ("EVENT", "VOD") and "ENDLIST" in after.tags)
    assert len(after.segments) >= len(before.segments)
    assert "ENDLIST" not in before.tags or len(after.segments) == len(before.segments)
    for known, segment in zip(before.segments, after.segments, strict=False):
        for name in ("is_discontinuous", "init", "moment", "byte_range"):
            assert getattr(known, name) == getattr(segment, name)
        if known.address:
            assert (known.address, known.duration_s) == (segment.address, segment.duration_s)
        if segment.parts:
            assert segment.parts[: len(known.parts)] == known.parts


def check_places_agree(one: Listing, other: Listing) -> None:
    """§6.2.4: renditions have the same discontinuities, so that players match them up."""
    places = [[segment.is_discontinuous for segment in it.segments] for it in (one, other)]
    shared = min(map(len, places))
    assert abs(len(places[0]) - len(places[1])) <= 1
    assert places[0][:shared] == places[1][:shared]


def check_multivariant(found: Multivariant) -> None:
    """What a list of variants keeps by itself (§4.3.4)."""
    assert found.variants
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for rendition in found.media:
        groups.setdefault((rendition["TYPE"], rendition["GROUP-ID"]), []).append(rendition)
    for (kind, _name), members in groups.items():
        _check_group(kind, members)
    asked = set()
    for attributes, address in found.variants:
        assert address
        assert int(attributes["BANDWIDTH"]) >= int(attributes.get("AVERAGE-BANDWIDTH", "0")) > -1
        assert attributes["CODECS"]
        assert ("RESOLUTION" in attributes) or "AUDIO" not in attributes
        asked |= {(it, attributes[it]) for it in ("AUDIO", "SUBTITLES") if it in attributes}
    assert asked == set(groups), "every group is there and belongs to a variant"
    for name in ("CLOSED-CAPTIONS", "SUBTITLES"):  # §4.3.4.2: of NONE, all or no variant
        assert len({attributes.get(name) for attributes, _address in found.variants}) == 1
    addresses = [address for _attributes, address in found.variants]
    together = [(address, it.get("AUDIO")) for it, address in found.variants]
    assert len(set(together)) == len(together)
    for keys in found.keys:  # §4.3.4.3
        assert {"BANDWIDTH", "CODECS", "RESOLUTION", "URI"} == set(keys)
        assert keys["URI"] not in addresses
    for images in found.images:
        assert {"BANDWIDTH", "CODECS", "RESOLUTION", "URI"} == set(images)
        assert images["URI"] not in addresses


def _check_group(kind: str, members: list[dict[str, str]]) -> None:
    """§4.3.4.1.1: names and choices within a group are distinct."""
    assert len({it["NAME"] for it in members}) == len(members)
    assert sum(it.get("DEFAULT") == "YES" for it in members) <= 1
    chosen = [it for it in members if it.get("AUTOSELECT") == "YES"]
    assert len({(it.get("LANGUAGE"), it.get("FORCED")) for it in chosen}) == len(chosen)
    for each in members:
        assert each.get("DEFAULT") != "YES" or each.get("AUTOSELECT") == "YES"
        assert ("FORCED" in each) is (kind == "SUBTITLES")
        assert ("CHANNELS" in each) is (kind == "AUDIO")
        assert each["URI"]


def check_publication(publication: Publication) -> dict[str, Listing]:
    """Check what is published of a video against its records."""
    sizes = dict.fromkeys((f"{SUBTITLES}/{name}" for name in publication.texts), 1)
    sheets = (f"{STORYBOARD}/{storyboard_name(n)}" for n in range(publication.sheets))
    sizes |= dict.fromkeys(sheets, 1)
    for name, track in publication.tracks.items():
        sizes |= {f"{name}/{part.init_name}": 1 for part in track.parts}
        sizes |= {f"{name}/{segment_name(it.number)}": it.size_bytes for it in track.segments}

    def size_of(address: str) -> int:
        assert address in sizes, f"{address} is named, and nothing is there"
        return sizes[address]

    return check_presentation(publication.files, size_of)


def check_presentation(files: Mapping[str, bytes], size_of: SizeOf) -> dict[str, Listing]:
    """Check a video's list of variants with all it names; return media playlists by file name."""
    master = read_multivariant(files[MASTER].decode())
    check_multivariant(master)
    streams = {address for _attributes, address in master.variants}
    sounds = {it["URI"] for it in master.media if it["TYPE"] == "AUDIO"}
    texts = {it["URI"] for it in master.media if it["TYPE"] == "SUBTITLES"}
    keys = {it["URI"] for it in master.keys}
    images = {it["URI"]: it for it in master.images}
    named = streams | sounds | texts | keys | set(images)
    written = {name for name in files if name.endswith(".m3u8")} - {MASTER}
    assert named == written, "every playlist is named, and none is missing"
    found = {name: read_playlist(files[name].decode()) for name in sorted(named)}
    for name, listing in found.items():
        check_media(listing)
        assert ("I-FRAMES-ONLY" in listing.tags) is (name in keys)
        assert ("IMAGES-ONLY" in listing.tags) is (name in images)
        _check_tiles(listing, images.get(name))
        assert int(master.tags["VERSION"]) >= int(listing.tags["VERSION"])
        _check_bytes(listing, size_of)
    _check_alike(found, beside=texts | keys | set(images))
    _check_bandwidths(master, found, size_of)
    return found


def _check_bytes(listing: Listing, size_of: SizeOf) -> None:
    """Everything that is named is there."""
    for segment in listing.segments:
        if segment.init is not None:
            size_of(segment.init)
        size_bytes = size_of(segment.address)
        length, at = segment.byte_range or (size_bytes, 0)
        assert 0 < length <= size_bytes - at


def _check_tiles(listing: Listing, listed: dict[str, str] | None) -> None:
    """Every sheet says how its pictures lie, and they fill its time without a row to spare."""
    for segment in listing.segments:
        assert bool(segment.tiles) is (listed is not None)
        if listed is not None:
            assert segment.tiles["RESOLUTION"] == listed["RESOLUTION"]
            columns, rows = map(int, segment.tiles["LAYOUT"].split("x"))
            row_s = columns * float(segment.tiles["DURATION"])
            assert row_s * (rows - 1) < segment.duration_s <= row_s * rows


def _check_alike(found: Mapping[str, Listing], beside: set[str]) -> None:
    """§6.2.4: what media playlists of one video have in common."""
    assert len({listing.tags.get("PLAYLIST-TYPE") for listing in found.values()}) == 1
    assert len({"ENDLIST" in listing.tags for listing in found.values()}) == 1
    alike = [listing for name, listing in found.items() if name not in beside]
    assert len({listing.target_s for listing in alike}) == 1
    if len(alike) < len(found):  # others may have another target, of type VOD
        assert {listing.tags["PLAYLIST-TYPE"] for listing in found.values()} == {"VOD"}
    lengths_s = [listing.duration_s for listing in found.values()]
    assert max(lengths_s) - min(lengths_s) <= alike[0].target_s + PRECISION_S
    places = {sum(segment.is_discontinuous for segment in listing.segments) for listing in alike}
    assert len(places) == 1


def _check_bandwidths(master: Multivariant, found: Mapping[str, Listing], size_of: SizeOf) -> None:
    """§4.3.4.2: the peak and the average of the costliest renditions that play together.

    While a video grows both are guesses; the peak is not to be too low.
    """
    least_bps: dict[str, int] = {}
    for attributes, address in master.variants:
        sounds = [
            it["URI"]
            for it in master.media
            if it["TYPE"] == "AUDIO" and it["GROUP-ID"] == attributes.get("AUDIO")
        ]
        rated = [_measure(found[name], size_of) for name in (address, *sounds)]
        peak_bps, average_bps = map(sum, zip(*rated, strict=True))
        assert int(attributes["BANDWIDTH"]) >= peak_bps / OVERSTATED_MAX
        if "ENDLIST" in found[address].tags:
            # Of several sounds the one to be preferred is never said to be dearer.
            dearer_bps = least_bps.get(address, 0)
            said_bps = int(attributes["BANDWIDTH"])
            assert said_bps <= max(peak_bps * OVERSTATED_MAX + len(rated), dearer_bps)
            least_bps[address] = said_bps + DEARER_BPS
            said_bps = int(attributes["AVERAGE-BANDWIDTH"])
            assert said_bps == pytest.approx(average_bps, rel=OVERSTATED_MAX - 1, abs=len(rated))
    for keys in master.keys:
        peak_bps, _average_bps = _measure(found[keys["URI"]], size_of)
        assert int(keys["BANDWIDTH"]) >= peak_bps / OVERSTATED_MAX
        assert int(keys["BANDWIDTH"]) <= peak_bps * OVERSTATED_MAX + 1


def _measure(listing: Listing, size_of: SizeOf) -> tuple[float, float]:
    """Peak and average of a media playlist in bits per second (§4.1).

    The peak is that of any run of segments between half and one and a half targets long; of a video
    too short to have one, that of its heaviest segment.
    """
    rows = [
        (8 * (it.byte_range[0] if it.byte_range else size_of(it.address)), it.duration_s)
        for it in listing.segments
    ]
    peaks = []
    for first in range(len(rows)):
        bits = length_s = 0.0
        for more_bits, more_s in rows[first:]:
            bits, length_s = bits + more_bits, length_s + more_s
            if length_s > 1.5 * listing.target_s + 1e-5:
                break
            if length_s >= 0.5 * listing.target_s - 1e-5:
                peaks.append(bits / length_s)
    average_bps = sum(bits for bits, _s in rows) / sum(length_s for _bits, length_s in rows)
    return max(peaks or [bits / length_s for bits, length_s in rows]), average_bps
