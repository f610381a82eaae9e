"""The DASH manifest of a whole video, over the same segments as HLS (ISO/IEC 23009-1).

Pure text. Whoever publishes a video calls it once every track is there. Names are relative, so it
works below any path. The pictures for scrubbing follow DASH-IF IOP part 6, thumbnail tiles.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from kit.xml_text import drop_unwritable
from media.cenc import SCHEME
from media.vod.hls import Beside, Track
from media.vod.records import SUBTITLES, StoryboardRecord
from storage.subtitles import Subtitles

NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
PROFILE = "urn:mpeg:dash:profile:isoff-live:2011"
CHANNELS_SCHEME = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
TILES_SCHEME = "http://dashif.org/guidelines/thumbnail_tile"
MP4_PROTECTION_SCHEME = "urn:mpeg:dash:mp4protection:2011"
CLEARKEY_SCHEME = "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e"
CENC_NAMESPACE = "urn:mpeg:cenc:2013"
ROLE_SCHEME = "urn:mpeg:dash:role:2011"
PICTURE_SETS = {
    "avc1": ("0", "1"),
    "hvc1": ("101", "2"),
    "vp09": ("102", "3"),
    "av01": ("103", "4"),
}
"""Number and selection priority of each codec's set, by what its name begins with."""
SOUND_SETS = {"mp4a": ("1", "1"), "opus": ("104", "2")}
BUFFER_S_MIN = 4
TEXTS_FROM = 3
"""Numbers of the sets before are taken by picture, sound and tiles; those of other codecs are above
all languages'."""
KEYLESS_FROM = 200
"""Ids of sets with segments that begin without a keyframe."""
TEXT_BPS = 256
"""What a player should expect; nothing depends on it."""


@dataclass(frozen=True)
class _Span:
    """A period: from when on it plays, and what its media's clock shows then."""

    number: int = 0
    start_s: Fraction = Fraction(0)
    clock_s: Fraction = Fraction(0)


def build_manifest(
    rungs: Sequence[Track],
    sounds: Sequence[Track],
    beside: Beside,
    *,
    fps: Fraction,
    are_aligned: bool,
) -> str:
    """The manifest; tracks whose parameters change midway have no place in one period.

    `are_aligned` is about H.264, which may be the source's own; each codec is a set of its own, and
    what takes fewer bits is to be preferred where it can be played.
    """
    length_s = max(track.duration_s for track in [*rungs, *sounds])
    manifest, span = _open_manifest(length_s), _Span()
    if any(track.key_id for track in [*rungs, *sounds]):
        manifest.set("xmlns:cenc", CENC_NAMESPACE)
    period = SubElement(manifest, "Period", {"id": "0", "start": "PT0S"})
    for family in PICTURE_SETS:
        pictures = [it for it in rungs if it.family == family and _has_one_init(it)]
        if pictures:
            aligned = are_aligned or pictures[0].is_extra
            _add_pictures(period, pictures, span, fps=fps, are_aligned=aligned)
    for sound in sounds:
        if _has_one_init(sound):
            _add_sound(period, sound, span)
    _add_beside(period, beside, span)
    return _write(manifest)


def build_parted_manifest(
    pictures: Sequence[Track], sounds: Sequence[Track], beside: Beside
) -> str:
    """The manifest of a recording: each part is a period, where it was interrupted or changed.

    All have their parts at the same places, and pictures the same segments. A period is as long as
    its picture; sound that outlasts it ends there. Of sounds that have the same codec there, it has
    the first.
    """
    manifest, start_s = _open_manifest(pictures[0].duration_s), Fraction(0)
    seen_parts = zip(*(picture.parts for picture in pictures), strict=True)
    heard = zip(*(sound.parts for sound in sounds), strict=True)
    for number, (sizes, ways) in enumerate(zip(seen_parts, heard, strict=True)):
        seen = [Track((part,)) for part in sizes]
        shown, first = seen[0], sizes[0].segments[0]
        clock_s = Fraction(first.start_ticks, sizes[0].timescale)
        span = _Span(number, start_s, clock_s)
        times = {"start": _write_s(start_s), "duration": _write_s(shown.duration_s)}
        period = SubElement(manifest, "Period", {"id": str(number), **times})
        for family in PICTURE_SETS:
            for begins in (True, False):
                # Where segments begin without a keyframe, nobody can change to them.
                wanted = family, begins
                alike = [it for it in seen if (it.family, _begins_with_keys(it)) == wanted]
                if alike:
                    _add_pictures(period, alike, span, fps=None, are_aligned=len(alike) > 1)
        for place, way in enumerate(ways):
            if way.codec not in {earlier.codec for earlier in ways[:place]}:
                _add_sound(period, Track((way,)), span)
        _add_beside(period, beside, span)
        start_s += shown.duration_s
    return _write(manifest)


def _begins_with_keys(track: Track) -> bool:
    return all(segment.key_bytes for segment in track.segments)


def _open_manifest(length_s: Fraction) -> Element:
    return Element(
        "MPD",
        {
            "xmlns": NAMESPACE,
            "profiles": PROFILE,
            "type": "static",
            "mediaPresentationDuration": f"PT{float(length_s):.3f}S",
            "minBufferTime": f"PT{BUFFER_S_MIN}S",
        },
    )


def _write(manifest: Element) -> str:
    indent(manifest)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(manifest, encoding="unicode")}\n'


def _write_s(moment_s: Fraction) -> str:
    """A duration, exact enough that periods meet within a tick."""
    return f"PT{float(moment_s):.6f}S"


def _add_beside(period: Element, beside: Beside, span: _Span) -> None:
    """Pictures for scrubbing and texts: their files begin with the video, not with the period."""
    if beside.storyboard is not None:
        _add_tiles(period, beside.storyboard, span)
    for number, each in enumerate(beside.texts):
        _add_text(period, str(TEXTS_FROM + number), each, span)


def _add_pictures(
    period: Element,
    rungs: Sequence[Track],
    span: _Span,
    *,
    fps: Fraction | None,
    are_aligned: bool,
) -> None:
    aligned = "true" if are_aligned else "false"
    number, priority = PICTURE_SETS[rungs[0].family]
    attributes = {"segmentAlignment": aligned, "startWithSAP": "1", "selectionPriority": priority}
    if not all(_begins_with_keys(track) for track in rungs):
        # Not any segment can be begun with; and beside a set of the same family it is another one.
        del attributes["startWithSAP"]
        number = str(KEYLESS_FROM + int(number))
    group = _add_set(period, number, "video", attributes)
    _add_protection(group, rungs[0])
    for track in sorted(rungs, key=lambda track: track.pixels):
        first = track.parts[0]
        attributes = {
            "id": track.name,
            "bandwidth": str(track.heaviest_bps),
            "codecs": first.codec,
            "width": str(first.width),
            "height": str(first.height),
            "sar": "1:1",
            **({"frameRate": str(fps)} if fps else {}),
        }
        _add_timeline(SubElement(group, "Representation", attributes), track, span)


def _add_sound(period: Element, audio: Track, span: _Span) -> None:
    number, priority = SOUND_SETS[audio.family]
    attributes = {"segmentAlignment": "true", "startWithSAP": "1", "selectionPriority": priority}
    group = _add_set(period, number, "audio", attributes)
    _add_protection(group, audio)
    first = audio.parts[0]
    sound = SubElement(
        group,
        "Representation",
        {
            "id": audio.name,
            "bandwidth": str(audio.heaviest_bps),
            "codecs": first.codec,
            "audioSamplingRate": str(first.timescale),
        },
    )
    channels = {"schemeIdUri": CHANNELS_SCHEME, "value": str(first.channels)}
    SubElement(sound, "AudioChannelConfiguration", channels)
    _add_timeline(sound, audio, span)


def _add_tiles(period: Element, storyboard: StoryboardRecord, span: _Span) -> None:
    tiles = storyboard.columns * storyboard.rows
    group = SubElement(period, "AdaptationSet", {"id": "2", "mimeType": "image/jpeg"})
    sheet_ms = storyboard.interval_ms * tiles
    first, passed_ms = divmod(round(span.start_s * 1000), sheet_ms)
    template = {
        "media": "storyboard/$Number%05d$.jpg",
        "startNumber": str(first),
        **({"presentationTimeOffset": str(passed_ms)} if passed_ms else {}),
        "timescale": "1000",
        "duration": str(sheet_ms),
    }
    SubElement(group, "SegmentTemplate", template)
    sheet = SubElement(
        group,
        "Representation",
        {
            "id": "storyboard",
            "bandwidth": str(storyboard.expected_bps),
            "width": str(storyboard.width * storyboard.columns),
            "height": str(storyboard.height * storyboard.rows),
        },
    )
    layout = f"{storyboard.columns}x{storyboard.rows}"
    SubElement(sheet, "EssentialProperty", {"schemeIdUri": TILES_SCHEME, "value": layout})


def _add_text(period: Element, number: str, texts: Subtitles, span: _Span) -> None:
    attributes = {"contentType": "text", "mimeType": "text/vtt", "lang": texts.language}
    group = SubElement(period, "AdaptationSet", {"id": number, **attributes})
    SubElement(group, "Role", {"schemeIdUri": ROLE_SCHEME, "value": "subtitle"})
    SubElement(group, "Label").text = drop_unwritable(texts.label)
    bandwidth = str(TEXT_BPS)
    text = SubElement(
        group, "Representation", {"id": f"{SUBTITLES}-{texts.language}", "bandwidth": bandwidth}
    )
    SubElement(text, "BaseURL").text = f"{SUBTITLES}/{texts.file}"
    if span.start_s:
        passed = {"timescale": "1000", "presentationTimeOffset": str(round(span.start_s * 1000))}
        SubElement(text, "SegmentBase", passed)


def _add_set(period: Element, number: str, kind: str, attributes: dict[str, str]) -> Element:
    plain = {"id": number, "contentType": kind, "mimeType": f"{kind}/mp4"}
    return SubElement(period, "AdaptationSet", {**plain, **attributes})


def _add_protection(group: Element, track: Track) -> None:
    """How a set is encrypted and with which key (ISO/IEC 23009-1 §5.8.4.1, DASH-IF IOP 7.5).

    A right is part of the address, so the manifest names no absolute one to ask for keys at.
    """
    if not track.key_id:
        return
    known = {"cenc:default_KID": str(uuid.UUID(track.key_id))}
    general = {"schemeIdUri": MP4_PROTECTION_SCHEME, "value": SCHEME, **known}
    SubElement(group, "ContentProtection", general)
    system = {"schemeIdUri": CLEARKEY_SCHEME, "value": "ClearKey1.0", **known}
    SubElement(group, "ContentProtection", system)


def _add_timeline(representation: Element, track: Track, span: _Span) -> None:
    """Numbered segments with their exact times; runs of the same length are written once."""
    timescale = track.parts[0].timescale
    clock_ticks = int(span.clock_s * timescale)
    template = SubElement(
        representation,
        "SegmentTemplate",
        {
            "timescale": str(timescale),
            "initialization": f"{track.name}/{track.parts[0].init_name}",
            "media": f"{track.name}/$Number%05d$.m4s",
            "startNumber": str(track.segments[0].number),
            **({"presentationTimeOffset": str(clock_ticks)} if clock_ticks else {}),
        },
    )
    timeline = SubElement(template, "SegmentTimeline")
    run: Element | None = None
    for segment in track.segments:
        length = str(segment.duration_ticks)
        if run is not None and run.get("d") == length:
            run.set("r", str(int(run.get("r", "0")) + 1))
        else:
            run = SubElement(timeline, "S", {"t": str(segment.start_ticks), "d": length})


def _has_one_init(track: Track) -> bool:
    return len({part.init_name for part in track.parts}) == 1
