"""Chapters of a video: its owner's own, else those that its description lists. Pure.

A description lists chapters as YouTube reads them (support.google.com/youtube/answer/9884579):
lines that begin with a time, the first 0:00, at least three, in order, each ten seconds or longer.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import msgspec

from kit.errors import MalformedRequest

CHAPTERS_MAX = 100
CHAPTERS_MIN = 3
LENGTH_MS_MIN = 10_000
TITLE_CHARS_MAX = 100
LINE = re.compile(
    r"^\W{0,3}(?:(\d{1,2}):)?(\d{1,2}):([0-5]\d)\b[\s\-–—:.)\]]*(\S.*)$",  # noqa: RUF001 - dashes
    re.MULTILINE,
)


class ChaptersMalformed(MalformedRequest):
    """Chapters are in order, begin at 0 and within the video."""

    code = "chapters_malformed"
    message = "Chapters begin at 0, follow one another, and begin within the video."


class Chapter(msgspec.Struct, frozen=True):
    """A named part of a video; it ends where the next begins."""

    start_ms: int
    title: str


def list_chapters(
    own: Sequence[Chapter] | None, description: str, duration_ms: int | None
) -> list[Chapter]:
    """Return the chapters to show: the owner's own where there are any."""
    if own:
        return list(own)
    return parse_chapters(description, duration_ms)


def parse_chapters(description: str, duration_ms: int | None) -> list[Chapter]:
    """Return the chapters that a description lists, none when they do not hold together."""
    found = [_read_line(match) for match in LINE.finditer(description)][:CHAPTERS_MAX]
    end_ms = duration_ms if duration_ms is not None else (found[-1].start_ms if found else 0)
    found = [chapter for chapter in found if chapter.start_ms < end_ms or duration_ms is None]
    if len(found) < CHAPTERS_MIN or found[0].start_ms != 0:
        return []
    starts = [chapter.start_ms for chapter in found]
    if any(later - start < LENGTH_MS_MIN for start, later in itertools.pairwise(starts)):
        return []
    return found


def check_chapters(chapters: Sequence[Chapter], duration_ms: int | None) -> None:
    """Refuse an owner's chapters that are out of order or beyond the end: ChaptersMalformed."""
    starts = [chapter.start_ms for chapter in chapters]
    is_ordered = all(start < later for start, later in itertools.pairwise(starts))
    if starts and (starts[0] != 0 or not is_ordered):
        raise ChaptersMalformed
    if duration_ms is not None and starts and starts[-1] >= max(duration_ms, 1):
        raise ChaptersMalformed(duration_ms=duration_ms)


def _read_line(match: re.Match[str]) -> Chapter:
    hours, minutes, seconds, title = match.groups()
    start_s = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return Chapter(start_s * 1000, title.strip()[:TITLE_CHARS_MAX])
