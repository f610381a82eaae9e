"""Between the window and the rows of `live_segments`: what is stored, and what rows list.

The edge writes rows from its window while a live runs, and builds a window from rows when it has
none: after a crash, for another edge's live, when the live is over.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from media.live.fragments import TARGET_DURATION_S, TRACKS, VIDEO, InitSegment
from media.live.window import Entry, LiveWindow
from storage.live_segments import StoredSegment, StoredTrack

GAP_MIN_S = 1.0
"""A shorter interruption is a discontinuity and nothing more."""


def describe_segment(
    window: LiveWindow, number: int, live_id: uuid.UUID, origin_gen: int
) -> StoredSegment:
    """Describe a whole segment of the window as its row."""
    tracks: dict[str, StoredTrack] = {}
    for track in TRACKS:
        entry = window.find_entry(track, number)
        assert entry is not None, f"segment {number} of {track} is whole, so it is listed"
        tracks[track] = StoredTrack(
            init_name=entry.init.name,
            codec=entry.init.codec,
            timescale=entry.init.timescale,
            start_ticks=entry.start_ticks,
            duration_ticks=entry.duration_ticks,
            size_bytes=entry.size_bytes,
            width=entry.init.width,
            height=entry.init.height,
            channels=entry.init.channels,
            key_bytes=entry.key_bytes,
            is_slate=entry.is_slate,
        )
    picture = window.find_entry(VIDEO, number)
    assert picture is not None, "every track has the segment"
    return StoredSegment(
        live_id=live_id,
        number=number,
        origin_gen=origin_gen,
        started_at=window.get_moment(picture),
        duration_ms=round(picture.duration_s * 1000),
        is_discontinuous=picture.is_discontinuous,
        tracks=tracks,
    )


def list_stored(
    window: LiveWindow, rows: Sequence[StoredSegment], known: dict[str, InitSegment]
) -> None:
    """List rows in a window that ends before them; `known` keeps one init segment per address.

    Numbers that no row lists were never stored: they are gaps.
    """
    for row in rows:
        _list_missing(window, row)
        for track in TRACKS:
            stored = row.tracks.get(track)
            if stored is None:
                _list_gap(window, track, row)
                continue
            address = f"{track}/{row.origin_gen}/{stored.init_name}"
            init = known.setdefault(
                address,
                InitSegment(
                    stored.init_name,
                    b"",
                    stored.codec,
                    stored.timescale,
                    stored.width,
                    stored.height,
                    stored.channels,
                ),
            )
            entry = Entry(
                row.number,
                str(row.origin_gen),
                init,
                stored.start_ticks,
                row.is_discontinuous,
                stored.is_slate,
            )
            entry.duration_ticks = stored.duration_ticks
            entry.size_bytes = stored.size_bytes
            entry.key_bytes = stored.key_bytes
            entry.is_whole = entry.is_stored = True
            window.add_stored(track, entry)


def build_window(rows: Sequence[StoredSegment], on_change: Callable[[], None]) -> LiveWindow:
    """Build the window of a live from its rows, of which one at least is no gap."""
    begin = next(position for position, row in enumerate(rows) if row.tracks)
    first = rows[begin].tracks[VIDEO]
    epoch_at = rows[begin].started_at - timedelta(seconds=first.start_ticks / first.timescale)
    window = LiveWindow(epoch_at, on_change)
    list_stored(window, rows[begin:], {})
    return window


def ends_with(window: LiveWindow, rows: Sequence[StoredSegment]) -> bool:
    """Say whether the newest row is one that this window has, too."""
    if not rows:
        return window.get_last(VIDEO) is not None
    entry = window.find_entry(VIDEO, rows[-1].number)
    return entry is not None and (entry.is_gap or entry.folder == str(rows[-1].origin_gen))


def decide_gap(
    window: LiveWindow, live_id: uuid.UUID, origin_gen: int, resumed_at: datetime
) -> StoredSegment | None:
    """Return the gap between a window's end and a publisher who comes back; None: too short.

    It says no more than that something is missing: the wall clock tells how much.
    """
    last = window.get_last(VIDEO)
    if last is None:
        return None
    ended_at = window.get_moment(last) + timedelta(seconds=last.duration_s)
    missing_s = (resumed_at - ended_at).total_seconds()
    if missing_s < GAP_MIN_S:
        return None
    duration_ms = round(min(missing_s, TARGET_DURATION_S) * 1000)
    return StoredSegment(live_id, last.number + 1, origin_gen, ended_at, duration_ms, False, {})


def _list_missing(window: LiveWindow, row: StoredSegment) -> None:
    """List gaps in the place of segments between the window's end and a row."""
    last = window.get_last(VIDEO)
    if last is None:
        return
    count = row.number - last.number - 1
    passed_s = (row.started_at - window.get_moment(last)).total_seconds() - last.duration_s
    duration_ms = round(1000 * max(0.0, min(TARGET_DURATION_S, passed_s / max(1, count))))
    for number in range(last.number + 1, row.number):
        gap = StoredSegment(
            row.live_id, number, row.origin_gen, row.started_at, duration_ms, False, {}
        )
        for track in TRACKS:
            _list_gap(window, track, gap)


def _list_gap(window: LiveWindow, track: str, row: StoredSegment) -> None:
    before = window.get_last(track)
    assert before is not None, "a live does not begin with a gap"
    entry = Entry(
        row.number,
        before.folder,
        before.init,
        before.start_ticks + before.duration_ticks,
        is_discontinuous=False,
    )
    entry.duration_ticks = row.duration_ms * before.init.timescale // 1000
    entry.is_whole = entry.is_stored = entry.is_gap = True
    window.add_stored(track, entry)
