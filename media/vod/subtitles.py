"""Subtitles: SRT and WebVTT read strictly, and written anew as plain WebVTT.

Pure text; the videos feature calls it with what an owner sent. Nothing of the file survives but
times, text, a few known settings and the tags for bold, italic and underlined: no styles, no
notes, no markup a player could stumble over (W3C WebVTT; SubRip as players take it).
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from kit.errors import AppError
from media.vod.webvtt import format_moment

CUES_MAX = 20_000
CUE_CHARS_MAX = 1_000
HOURS_MAX = 24
MOMENT = r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]\d)[.,](\d{3})"
TIMING = re.compile(rf"^{MOMENT}[ \t]+-->[ \t]+{MOMENT}(?:[ \t]+(.*))?$")
SETTING = re.compile(
    r"(?:align:(?:start|center|end|left|right)|line:-?\d{1,3}%?|position:\d{1,3}%|size:\d{1,3}%"
    r"|vertical:(?:rl|lr))"
)
TAG = re.compile(r"<(/?)([A-Za-z0-9]*)[^<>]*>")
KEPT_TAGS = ("b", "i", "u")
BLOCKS_LEFT_OUT = ("NOTE", "STYLE", "REGION")


class SubtitlesMalformed(AppError):
    """The text is neither SRT nor WebVTT; `details` names the line."""

    code, status = "subtitles_malformed", 422
    message = "This is neither SRT nor WebVTT."


@dataclass(frozen=True)
class Cue:
    """What is shown from one moment to another; `text` is escaped for WebVTT."""

    start_ms: int
    end_ms: int
    text: str
    settings: str = ""


def parse_subtitles(text: str) -> tuple[Cue, ...]:
    """Read SRT or WebVTT; cues by time. Raises SubtitlesMalformed with the line."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = 0
    if lines[0].startswith("WEBVTT"):
        if lines[0] != "WEBVTT" and lines[0][6] not in " \t":
            raise SubtitlesMalformed(line=1)
        while first < len(lines) and lines[first]:
            first += 1
    cues = [cue for number, block in _iter_blocks(lines, first) if (cue := _read(number, block))]
    if not cues:
        raise SubtitlesMalformed("There is not one line to show in it.", line=len(lines))
    if len(cues) > CUES_MAX:
        raise SubtitlesMalformed(f"More than {CUES_MAX} lines are too many.", line=len(lines))
    return tuple(sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms)))


def write_webvtt(cues: tuple[Cue, ...]) -> str:
    """The cues as a WebVTT file whose clock starts with the video's."""
    blocks = [
        f"{format_moment(cue.start_ms)} --> {format_moment(cue.end_ms)}"
        f"{f' {cue.settings}' if cue.settings else ''}\n{cue.text}\n"
        for cue in cues
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _iter_blocks(lines: list[str], first: int) -> list[tuple[int, list[str]]]:
    """Runs of lines without an empty one, each with the number of its first line."""
    blocks: list[tuple[int, list[str]]] = []
    is_open = False
    for number, line in enumerate(lines[first:], first + 1):
        if not line.strip():
            is_open = False
        elif is_open:
            blocks[-1][1].append(line)
        else:
            blocks.append((number, [line]))
            is_open = True
    return blocks


def _read(number: int, block: list[str]) -> Cue | None:
    """One block as a cue; None for a note, a style, or a cue without words."""
    if block[0].split(maxsplit=1)[0] in BLOCKS_LEFT_OUT:
        return None
    # A line before the times is the cue's number or name.
    at = 0 if "-->" in block[0] else 1
    timing = TIMING.match(block[at].strip()) if at < len(block) else None
    if timing is None:
        raise SubtitlesMalformed(f"Line {number + at} holds no times.", line=number + at)
    start_ms, end_ms = _moment(timing.groups()[:4]), _moment(timing.groups()[4:8])
    if end_ms <= start_ms or end_ms > HOURS_MAX * 3_600_000:
        raise SubtitlesMalformed(f"Line {number + at}: it ends before it begins.", line=number + at)
    text = _clean("\n".join(block[at + 1 :]))
    if len(text) > CUE_CHARS_MAX:
        raise SubtitlesMalformed(f"Line {number + at}: the text is too long.", line=number + at)
    kept = [part for part in (timing[9] or "").split() if SETTING.fullmatch(part)]
    has_words = bool(TAG.sub("", text).strip())
    return Cue(start_ms, end_ms, text, " ".join(kept)) if has_words else None


def _moment(parts: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, millis = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis


def _clean(text: str) -> str:
    """Escape everything, keep the known tags, each closed in its order."""
    out, open_tags, at = [], list[str](), 0
    for tag in TAG.finditer(text):
        out.append(_escape(text[at : tag.start()]))
        at = tag.end()
        name = tag[2].lower()
        if name not in KEPT_TAGS:
            continue
        if not tag[1]:
            out.append(f"<{name}>")
            open_tags.append(name)
        elif name in open_tags:
            while open_tags:
                closed = open_tags.pop()
                out.append(f"</{closed}>")
                if closed == name:
                    break
    out.append(_escape(text[at:]))
    out += [f"</{name}>" for name in reversed(open_tags)]
    lines = (line.strip() for line in "".join(out).split("\n"))
    return "\n".join(line for line in lines if line)


def _escape(text: str) -> str:
    """Plain words: entities resolved once, control characters dropped, then escaped."""
    plain = "".join(c for c in html.unescape(text) if c == "\n" or c.isprintable())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
