"""HLS playlists from task records (RFC 8216; multi-track CMAF with separate sound).

Pure text. `publish.py` decides what is named. Names are relative, so a playlist works below any
path, a playback grant's included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from media.vod.ladder import name_quality
from media.vod.records import (
    KEYS_NAME,
    SUBTITLES,
    SegmentRecord,
    StoryboardRecord,
    TrackRecord,
    keys_playlist_name,
    playlist_name,
    segment_name,
    subtitles_playlist_name,
)
from media.vod.tiles import describe_tiles
from storage.subtitles import Subtitles

VERSION = 7
AUDIO_GROUP = "sound"
KEY_SYSTEM = "org.w3.clearkey"
OPUS_FAMILIES = ("av01", "vp09")
"""Pictures that go with Opus where there is some: whoever plays them plays it."""
DEARER_BPS = 1000
EXTRA_FAMILIES = frozenset({*OPUS_FAMILIES, "hvc1", "opus"})
"""What some players cannot play."""


@dataclass(frozen=True)
class Track:
    """One track from its beginning: the records of its tasks, in order, without a gap."""

    parts: tuple[TrackRecord, ...]
    is_whole: bool = True
    """False while its end is still being made."""
    key_id: str = ""
    """Of the key it is encrypted with, in hex; empty: it is not."""

    @property
    def name(self) -> str:
        """The rung's name, or "audio"."""
        return self.parts[0].track

    @property
    def is_sound(self) -> bool:
        """Whether it is heard, not seen."""
        return self.parts[0].channels > 0

    @property
    def codecs(self) -> tuple[str, ...]:
        """Every codec that one of its parts has, as in CODECS attributes."""
        return tuple(dict.fromkeys(part.codec for part in self.parts))

    @property
    def family(self) -> str:
        """What its codec's name begins with, such as avc1."""
        return _name_family(self.parts[0].codec)

    @property
    def is_extra(self) -> bool:
        """Whether it is beside what every player can play."""
        return any(_name_family(codec) in EXTRA_FAMILIES for codec in self.codecs)

    @property
    def size(self) -> tuple[int, int]:
        """That shows all of it: of its largest part (RFC 8216 §4.3.4.2)."""
        largest = max(self.parts, key=lambda part: part.width * part.height)
        return largest.width, largest.height

    @property
    def quality(self) -> str:
        """What people call its size, such as 720p."""
        return name_quality(*self.size)

    @property
    def pixels(self) -> int:
        """Size of its picture."""
        width, height = self.size
        return width * height

    @property
    def segments(self) -> tuple[SegmentRecord, ...]:
        """All segments in order."""
        return tuple(segment for part in self.parts for segment in part.segments)

    @property
    def duration_s(self) -> Fraction:
        """How long it lasts."""
        lengths = [
            (part.timescale, sum(it.duration_ticks for it in part.segments)) for part in self.parts
        ]
        return sum((Fraction(ticks, timescale) for timescale, ticks in lengths), Fraction(0))

    @property
    def has_keys(self) -> bool:
        """Whether it says where keyframes end: one at least begins each part."""
        return all(part.segments[0].key_bytes for part in self.parts)

    @property
    def target_s(self) -> int:
        """Its longest segment in whole seconds, halves up (RFC 8216 §4.3.3.1)."""
        return max(
            _round_s(segment.duration_ticks, part.timescale)
            for part in self.parts
            for segment in part.segments
        )

    @property
    def heaviest_bps(self) -> int:
        """Bits per second of its heaviest segment."""
        return max(
            math.ceil(segment.size_bytes * 8 * part.timescale / segment.duration_ticks)
            for part in self.parts
            for segment in part.segments
        )

    def measure_peak_bps(self, target_s: int) -> int:
        """Bits per second of its heaviest run of half to one and a half targets (RFC 8216 §4.1).

        Of a track without such a run, that of its heaviest segment.
        """
        timescale = math.lcm(*(part.timescale for part in self.parts))
        segments = [
            (it.size_bytes, it.duration_ticks * (timescale // part.timescale))
            for part in self.parts
            for it in part.segments
        ]
        shortest, longest = target_s * timescale / 2, target_s * timescale * 3 / 2
        peak_bps = 0
        for first in range(len(segments)):
            run_bytes = run_ticks = 0
            for later in range(first, len(segments)):
                run_bytes += segments[later][0]
                run_ticks += segments[later][1]
                if run_ticks > longest:
                    break
                if run_ticks >= shortest:
                    peak_bps = max(peak_bps, math.ceil(run_bytes * 8 * timescale / run_ticks))
        return peak_bps or self.heaviest_bps

    @property
    def average_bps(self) -> int:
        """Bits per second over all of it."""
        size_bytes = sum(segment.size_bytes for segment in self.segments)
        return math.ceil(size_bytes * 8 / self.duration_s)


@dataclass(frozen=True)
class Beside:
    """What is shown beside picture and sound."""

    storyboard: StoryboardRecord | None = None
    texts: Sequence[Subtitles] = ()


@dataclass(frozen=True)
class _Rates:
    """What a variant takes, picture and sound together."""

    peak_bps: int
    average_bps: int


def join_track(records: Sequence[TrackRecord], *, is_whole: bool = True) -> Track:
    """Order the parts of one track and insist that no segment is missing or doubled."""
    parts = tuple(sorted(records, key=lambda part: part.segments[0].number))
    track = Track(parts, is_whole)
    assert {part.track for part in parts} == {track.name}, "parts of different tracks"
    assert [segment.number for segment in track.segments] == list(range(len(track.segments))), (
        f"track {track.name} has a hole in its segment numbers"
    )
    for earlier, later in pairwise(track.segments):
        assert earlier.start_ticks + earlier.duration_ticks == later.start_ticks, (
            f"track {track.name}: segment {later.number} does not start where the last one ended"
        )
    return track


def build_media_playlist(track: Track, target_s: int) -> str:
    """The playlist of one track; one that still grows says so, and to begin at its start."""
    assert track.target_s <= target_s, f"{track.name}: a segment above the target"
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{target_s}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{'VOD' if track.is_whole else 'EVENT'}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        *([] if track.is_whole else ["#EXT-X-START:TIME-OFFSET=0,PRECISE=YES"]),
    ]
    lines += _list_segments(track, lambda _segment: [])
    lines += ["#EXT-X-ENDLIST"] if track.is_whole else []
    return "\n".join(lines) + "\n"


def build_keys_playlist(track: Track, target_s: int) -> str:
    """The keyframe of every segment alone, for fast forward (RFC 8216 §4.3.3.6).

    A segment that begins without one shows the keyframe before it.
    """
    shown = keep_keys(track)
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{max(target_s, shown.target_s)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-I-FRAMES-ONLY",
    ]
    lines += _list_segments(shown, lambda segment: [f"#EXT-X-BYTERANGE:{segment.size_bytes}@0"])
    return "\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n"


def keep_keys(track: Track) -> Track:
    """The track as its keyframes alone: so many bytes of each segment that begins with one."""
    return replace(track, parts=tuple(_keep_keys(part) for part in track.parts))


def _keep_keys(part: TrackRecord) -> TrackRecord:
    """Leave out the segments without a keyframe; those before them last so much longer."""
    kept: list[SegmentRecord] = []
    for segment in part.segments:
        if segment.key_bytes or not kept:
            kept.append(replace(segment, size_bytes=segment.key_bytes))
        else:
            longer = kept[-1].duration_ticks + segment.duration_ticks
            kept[-1] = replace(kept[-1], duration_ticks=longer)
    return replace(part, segments=tuple(kept))


def _list_segments(track: Track, describe: Callable[[SegmentRecord], list[str]]) -> Iterator[str]:
    """Yield the lines of all segments, what `describe` says of each before its address."""
    init_name = ""
    if track.key_id:
        yield (
            f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="{KEYS_NAME}",KEYID=0x{track.key_id},'
            f'KEYFORMAT="{KEY_SYSTEM}",KEYFORMATVERSIONS="1"'
        )
    for part in track.parts:
        if part.init_name != init_name:
            # Another build of the encoder made this part: its parameters differ.
            if init_name:
                yield "#EXT-X-DISCONTINUITY"
            yield f'#EXT-X-MAP:URI="{track.name}/{part.init_name}"'
            init_name = part.init_name
        for segment in part.segments:
            yield f"#EXTINF:{segment.duration_ticks / part.timescale:.6f},"
            yield from describe(segment)
            yield f"{track.name}/{segment_name(segment.number)}"


def build_subtitles_playlist(texts: Subtitles, duration_s: Fraction) -> str:
    """The playlist of one language: a single WebVTT file as long as the video."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{max(1, math.ceil(duration_s))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        f"#EXTINF:{float(duration_s):.6f},",
        f"{SUBTITLES}/{texts.file}",
        "#EXT-X-ENDLIST",
    ]
    return "\n".join(lines) + "\n"


def build_master_playlist(
    rungs: Sequence[Track],
    sounds: Sequence[Track],
    fps: Fraction | None,
    beside: Beside = Beside(),
    *,
    has_every_sound: bool = False,
) -> str:
    """The list of variants, smallest first, each with its sound added to its bandwidth.

    Of one size H.264 comes first, as some players begin with the first they see. Sound without a
    picture is a variant itself. `has_every_sound`: each picture is listed with every sound, the one
    to be preferred first.
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if rungs:
        lines += [_describe_group(sound) for sound in sounds]
    texts = beside.texts
    lines += [_describe_text(*named) for named in zip(texts, _name_texts(texts), strict=True)]
    target_s = max(track.target_s for track in [*rungs, *sounds])
    reads = [f'SUBTITLES="{SUBTITLES}"'] if texts else []
    for rung in sorted(rungs, key=lambda track: (track.pixels, track.is_extra)):
        least_bps = 0
        for sound in sounds if has_every_sound else [choose_sound(rung, sounds)]:
            # Never cheaper than the one before: players take the cheapest of those they can play.
            tracks = [rung, *([sound] if sound else [])]
            peak_bps = max(least_bps, sum(track.measure_peak_bps(target_s) for track in tracks))
            rates = _Rates(peak_bps, sum(track.average_bps for track in tracks))
            lines += [_describe_rung(rung, sound, rates, fps, reads), playlist_name(rung.name)]
            least_bps = peak_bps + DEARER_BPS
    if sounds and not rungs:
        described = _describe_sound(sounds[0], target_s)
        lines += [",".join([described, *reads]), playlist_name(sounds[0].name)]
    lines += [_describe_keys(it, target_s) for it in rungs if it.is_whole and it.has_keys]
    lines += [describe_tiles(beside.storyboard)] if beside.storyboard else []
    return "\n".join(lines) + "\n"


def choose_sound(rung: Track, sounds: Sequence[Track]) -> Track | None:
    """The sound that whoever plays this picture can play, for the fewest bits."""
    plain = next((sound for sound in sounds if not sound.is_extra), None)
    if rung.family not in OPUS_FAMILIES and plain is not None:
        return plain
    return next((sound for sound in sounds if sound.is_extra), plain)


def _name_group(sound: Track) -> str:
    return f"{AUDIO_GROUP}-{sound.family}" if sound.is_extra else AUDIO_GROUP


def _describe_group(sound: Track) -> str:
    channels = max(part.channels for part in sound.parts)
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{_name_group(sound)}",NAME="main",DEFAULT=YES,'
        f'AUTOSELECT=YES,CHANNELS="{channels}",URI="{playlist_name(sound.name)}"'
    )


def _describe_rung(
    rung: Track, sound: Track | None, rates: _Rates, fps: Fraction | None, reads: Sequence[str]
) -> str:
    codecs = ",".join([*rung.codecs, *(sound.codecs if sound else ())])
    attributes = [
        f"BANDWIDTH={rates.peak_bps}",
        f"AVERAGE-BANDWIDTH={rates.average_bps}",
        f'CODECS="{codecs}"',
        f"RESOLUTION={_describe_size(rung)}",
        *([f"FRAME-RATE={float(fps):.3f}"] if fps else []),
        *([f'AUDIO="{_name_group(sound)}"'] if sound else []),
        *reads,
        "CLOSED-CAPTIONS=NONE",
    ]
    return f"#EXT-X-STREAM-INF:{','.join(attributes)}"


def _name_texts(texts: Sequence[Subtitles]) -> list[str]:
    """What each language is called: no two of a group alike (RFC 8216 §4.3.4.1.1)."""
    names = [f"{it.label}{'' if it.origin == 'uploaded' else ' (automatic)'}" for it in texts]
    return [
        f"{name} ({each.language})" if names.count(name) > 1 else name
        for name, each in zip(names, texts, strict=True)
    ]


def _describe_text(texts: Subtitles, name: str) -> str:
    return (
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="{SUBTITLES}",NAME="{name}",'
        f'LANGUAGE="{texts.language}",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,'
        f'URI="{subtitles_playlist_name(texts.language)}"'
    )


def _describe_sound(audio: Track, target_s: int) -> str:
    """The one variant of sound without a picture."""
    return (
        f"#EXT-X-STREAM-INF:BANDWIDTH={audio.measure_peak_bps(target_s)}"
        f",AVERAGE-BANDWIDTH={audio.average_bps}"
        f',CODECS="{",".join(audio.codecs)}",CLOSED-CAPTIONS=NONE'
    )


def _describe_keys(rung: Track, target_s: int) -> str:
    keys = keep_keys(rung)
    peak_bps = keys.measure_peak_bps(max(target_s, keys.target_s))
    return (
        f'#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={peak_bps},CODECS="{",".join(rung.codecs)}"'
        f',RESOLUTION={_describe_size(rung)},URI="{keys_playlist_name(rung.name)}"'
    )


def _describe_size(rung: Track) -> str:
    width, height = rung.size
    return f"{width}x{height}"


def _name_family(codec: str) -> str:
    return codec.partition(".")[0]


def _round_s(ticks: int, timescale: int) -> int:
    """Whole seconds, halves up."""
    return (2 * ticks + timescale) // (2 * timescale)
