"""Low-latency HLS playlists of a live (draft-pantos-hls-rfc8216bis-17, sections in parentheses).

The edge asks for them; each text is made once per change of the window, whoever wants it. Names
are relative, so a playlist works below any path, a playback grant's included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from kit.shared_text import SharedText
from media.live.fragments import AUDIO, PART_TARGET_S, TARGET_DURATION_S, VIDEO
from media.live.window import Entry, LiveWindow

VERSION = 9
INDEX = "index.m3u8"
SKIP_UNTIL_S = 6 * TARGET_DURATION_S
PART_HOLD_BACK_S = 3 * PART_TARGET_S
HOLD_BACK_S = 3 * TARGET_DURATION_S
PARTS_LISTED_S = 3 * TARGET_DURATION_S
"""(4.4.4.9) parts further from the end than three target durations are not listed."""
AHEAD_MAX = 2
"""(6.2.5.2) a request for a segment further ahead than this is refused."""
FIRST_BITRATE_BPS = 3_000_000
"""What is said of a live before its first segment is whole."""
AUDIO_GROUP = "sound"
AAC = "aac"
"""The folder of the sound as AAC; its window is `aac_lane.py`'s."""
AAC_GROUP = "sound-aac"
AAC_CODEC = "mp4a.40.2"
AAC_BITRATE_BPS = 136_000
"""128 kbit/s and what the boxes take."""


@dataclass(frozen=True)
class Beside:
    """Another rendition: its folder, and where its segments are."""

    folder: str
    window: LiveWindow
    track: str


@dataclass(frozen=True)
class Variant:
    """One size of the picture in the list of variants; `bitrate_bps` is without sound."""

    folder: str
    bitrate_bps: int
    codec: str
    width: int
    height: int
    fps: float
    """0.0: not known."""


class LivePlaylists:
    """The playlists of one window, each rendered once per version."""

    def __init__(
        self, window: LiveWindow, beside: LiveWindow | None = None, folder: str | None = None
    ) -> None:
        """`beside` has the other track, where `window` has one alone; `folder`: of its picture."""
        self.rungs: Sequence[Beside] = ()
        """The smaller pictures that are made of this live."""
        self._window = window
        self._folder = folder or VIDEO
        source = beside or window
        self._tracks = (Beside(VIDEO, source, VIDEO), Beside(AUDIO, source, AUDIO))
        self._version = -1
        self._texts: dict[tuple[str, bool], SharedText] = {}
        self.rendered = 0

    def render_master(self, *, with_aac: bool = False, rungs: Sequence[Variant] = ()) -> bytes:
        """The list of variants: the publisher's picture and smaller ones, each with its sound.

        `with_aac`: and each with that as AAC.
        """
        window = self._window
        # What a slate looks like is no reason to choose another variant.
        picture, sound = window.get_last_sent(VIDEO), window.get_last_sent(AUDIO)
        assert picture is not None, "a playable live has a picture"
        assert sound is not None, "a playable live has sound"
        bitrate_bps = window.measure_bitrate(VIDEO) or FIRST_BITRATE_BPS
        init, fps = picture.init, window.measure_fps(VIDEO)
        source = Variant(VIDEO, bitrate_bps, init.codec, init.width, init.height, fps)
        sound_bps = window.measure_bitrate(AUDIO)
        ways = [(AUDIO_GROUP, AUDIO, sound.init.codec, sound_bps)]
        if with_aac:
            # Never the cheaper one: players that can play both take the sound as it came.
            ways.append((AAC_GROUP, AAC, AAC_CODEC, max(AAC_BITRATE_BPS, sound_bps + 1000)))
        lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}"]
        lines += [
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{group}",NAME="main",DEFAULT=YES,'
            f'AUTOSELECT=YES,CHANNELS="{sound.init.channels}",URI="{folder}/{INDEX}"'
            for group, folder, _codec, _rate_bps in ways
        ]
        for variant in (source, *rungs):
            for group, _folder, codec, rate_bps in ways:
                attributes = [
                    f"BANDWIDTH={variant.bitrate_bps + rate_bps}",
                    f'CODECS="{variant.codec},{codec}"',
                    f"RESOLUTION={variant.width}x{variant.height}",
                    *([f"FRAME-RATE={variant.fps:.3f}"] if variant.fps else []),
                    f'AUDIO="{group}"',
                    "CLOSED-CAPTIONS=NONE",
                ]
                line = f"#EXT-X-STREAM-INF:{','.join(attributes)}"
                lines += [line, f"{variant.folder}/{INDEX}"]
        return _join(lines)

    def render(self, track: str, *, is_delta: bool) -> SharedText:
        """A track's playlist; `is_delta` leaves out what a player surely has (6.2.5.1)."""
        if self._version != self._window.version:
            self._version = self._window.version
            self._texts.clear()
        key = (track, is_delta)
        text = self._texts.get(key)
        if text is None:
            self.rendered += 1
            text = SharedText(self._render(track, is_delta=is_delta))
            self._texts[key] = text
        return text

    def _render(self, track: str, *, is_delta: bool) -> bytes:
        window = self._window
        entries = window.list_entries(track)
        end_s = entries[-1].start_s + entries[-1].duration_s if entries else 0.0
        skipped = _count_before(entries, end_s - SKIP_UNTIL_S) if is_delta else 0
        lines = self._head(track, entries)
        if skipped:
            lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
        for position in range(skipped, len(entries)):
            entry = entries[position]
            before = entries[position - 1] if position else None
            with_parts = end_s - entry.start_s <= PARTS_LISTED_S and bool(entry.parts)
            if with_parts or not entry.is_whole:
                lines.append(self._describe(entry, before, with_parts=with_parts))
                continue
            if not entry.text:
                entry.text = self._describe(entry, before, with_parts=False)
            lines.append(entry.text)
        lines += ["#EXT-X-ENDLIST"] if window.is_ended else self._tail(track)
        return _join(lines)

    def _head(self, track: str, entries: Sequence[Entry]) -> list[str]:
        dropped = self._window.dropped_discontinuities[track]
        control = (
            f"CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={PART_HOLD_BACK_S:.2f},"
            f"HOLD-BACK={HOLD_BACK_S:.1f},CAN-SKIP-UNTIL={SKIP_UNTIL_S:.1f}"
        )
        return [
            "#EXTM3U",
            f"#EXT-X-VERSION:{VERSION}",
            f"#EXT-X-TARGETDURATION:{TARGET_DURATION_S}",
            f"#EXT-X-SERVER-CONTROL:{control}",
            f"#EXT-X-PART-INF:PART-TARGET={PART_TARGET_S}",
            f"#EXT-X-MEDIA-SEQUENCE:{entries[0].number if entries else 0}",
            *([f"#EXT-X-DISCONTINUITY-SEQUENCE:{dropped}"] if dropped else []),
        ]

    def _describe(self, entry: Entry, before: Entry | None, *, with_parts: bool) -> str:
        """A segment's lines; an open one has parts alone."""
        lines = ["#EXT-X-DISCONTINUITY"] if entry.is_discontinuous and before else []
        if before is None or before.init_name != entry.init_name:
            lines.append(f'#EXT-X-MAP:URI="{entry.init_name}"')
        moment = self._window.get_moment(entry).astimezone(UTC).isoformat(timespec="milliseconds")
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{moment.replace('+00:00', 'Z')}")
        if with_parts:
            lines += [
                f"#EXT-X-PART:DURATION={part.duration_ticks / entry.init.timescale:.5f},"
                f'URI="{entry.name_part(position)}"'
                + (",INDEPENDENT=YES" if part.is_independent else "")
                for position, part in enumerate(entry.parts)
            ]
        if entry.is_gap:
            lines.append("#EXT-X-GAP")
        if entry.is_whole:
            lines += [f"#EXTINF:{entry.duration_s:.5f},", entry.name]
        return "\n".join(lines)

    def _tail(self, track: str) -> list[str]:
        """What comes next, and how far the other renditions are."""
        last = self._window.get_last(track)
        lines = []
        if last is not None and not last.is_whole:
            name = last.name_part(len(last.parts))
            lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{name}"')
        own = AUDIO if track == AUDIO else self._folder
        for other in (*self._tracks, *self.rungs):
            newest = other.window.find_newest_part(other.track)
            if other.folder != own and newest is not None:
                lines.append(
                    f'#EXT-X-RENDITION-REPORT:URI="../{other.folder}/{INDEX}",'
                    f"LAST-MSN={newest[0]},LAST-PART={newest[1]}"
                )
        return lines


def _count_before(entries: Sequence[Entry], moment_s: float) -> int:
    """How many of the entries end before a moment; looks from the end."""
    count = len(entries)
    while count and entries[count - 1].start_s + entries[count - 1].duration_s >= moment_s:
        count -= 1
    return count


def _join(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
