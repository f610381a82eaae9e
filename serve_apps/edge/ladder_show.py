"""One live's ladder while it is watched: its process, its rungs, and what becomes of late ones.

`ladder_desk.py` makes it and calls `step` whenever the live changed, and once a second.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kit.logs import get_log
from kit.metrics import (
    LIVE_LADDER_LATENESS,
    LIVE_LADDER_RESTARTS,
    LIVE_LADDER_STILLS,
    LIVE_RUNGS,
    LIVE_RUNGS_RESUMED,
    LIVE_RUNGS_SHED,
)
from media.live.fragments import VIDEO
from media.live.ladder_lane import LadderLane, LaneTerms, RungTrack, measure_shape
from media.live.ladder_tap import TapRules
from media.live.playlists import Beside, Variant
from media.live.rungs import build_rung
from media.live.shedding import Shedding, SheddingTerms
from media.live.window import LiveWindow
from serve_apps.edge.node_slots import NodeSlot

LATE, PROCESS, LOST = "late", "process", "lost"
"""Why rungs are given up: the encoder is behind; its process died too often; so far behind that
the live's bytes are gone."""

log = get_log("edge.ladder")


@dataclass(frozen=True)
class ShownRung:
    """A rung as it is served."""

    track: RungTrack
    show: LadderShow

    @property
    def is_over(self) -> bool:
        """It is made no more, though the live may go on."""
        return self.track.is_over

    async def wait_change(self) -> None:
        """Return when a rung of the live changed."""
        await self.show.wait_change()


@dataclass(frozen=True)
class ShowTerms:
    """What a show works with."""

    room_id: uuid.UUID
    now_s: Callable[[], float]
    shedding: SheddingTerms
    slot: NodeSlot
    note_rungs: Callable[[Sequence[Beside]], None]
    """Other rungs are made from now on: playlists of the live name them."""


class LadderShow:
    """The rungs of one window; `close` ends them."""

    def __init__(self, window: LiveWindow, short_sides: Sequence[int], terms: ShowTerms) -> None:
        self.window = window
        self.is_over = False
        self.asked_s = terms.now_s()
        self._terms = terms
        self._sides = tuple(short_sides)
        self._shedding = Shedding(short_sides, terms.now_s(), terms.shedding)
        self._tracks: dict[int, RungTrack] = {}
        self._ended: dict[int, RungTrack] = {}
        """Given up: players still fetch what was listed. One per size."""
        self.lane: LadderLane | None = None
        self._restarts = 0
        self._changed = asyncio.Event()
        for side in self._sides:
            self._add(side)

    # For whoever serves it

    def find(self, name: str, folder: str | None = None) -> ShownRung | None:
        """Return a rung that is made now, or will be in a moment.

        With a folder: that one alone, even if it was given up and is not made again yet.
        """
        tracks = [t for t in (*self._tracks.values(), *self._ended.values()) if t.name == name]
        fitting = (t for t in tracks if t.folder == folder or (folder is None and not t.is_over))
        track = next(fitting, None)
        return None if track is None else ShownRung(track, self)

    def list_variants(self) -> list[Variant]:
        """Describe the rungs that are made now, the largest first."""
        picture = self.window.get_last_sent(VIDEO)
        if picture is None:
            return []
        shape = measure_shape(self.window, picture)
        variants = []
        for side in sorted(self._tracks, reverse=True):
            rung, track = build_rung(side, shape), self._tracks[side]
            most_bps = max(rung.bitrate_bps, track.window.measure_bitrate(VIDEO))
            variants.append(
                Variant(
                    track.name,
                    most_bps,
                    rung.codec_name,
                    rung.width,
                    rung.height,
                    shape.fps / shape.every,
                )
            )
        return variants

    async def wait_change(self) -> None:
        """Return when a rung changed."""
        await self._changed.wait()

    # For the desk

    async def step(self) -> None:
        """Hand over what the live has got; give up rungs that are late, try others again."""
        now_s = self._terms.now_s()
        lane = self.lane
        if lane is not None:
            lane.follow()
            if lane.tap.restarts != self._restarts:
                LIVE_LADDER_RESTARTS.inc(lane.tap.restarts - self._restarts)
                self._restarts = lane.tap.restarts
                self._shedding.be_patient(now_s)
            if lane.tap.is_given_up or lane.is_lost:
                reason = PROCESS if lane.tap.is_given_up else LOST
                for side in sorted(self._tracks, reverse=True):
                    self._shedding.shed(side, now_s)
                    await self._drop(side, reason)
            elif (late := self._shedding.decide_shed(lane.lateness_s, now_s)) is not None:
                await self._drop(late, LATE)
        again = self._shedding.decide_retry(now_s)
        if again is not None:
            LIVE_RUNGS_RESUMED.inc()
            log.info("ladder.rung_resumed", room_id=str(self._terms.room_id), rung=again)
            self._add(again)

    async def close(self) -> None:
        """End the process and all rungs; closing twice does nothing."""
        self.is_over = True
        for track in self._tracks.values():
            track.end()
        LIVE_RUNGS.dec(len(self._tracks))
        self._tracks.clear()
        self._ended.clear()
        self._tell()
        self._terms.slot.give_back()
        await self._end_process()

    # Within

    def _add(self, side: int) -> None:
        lane = self.lane or self._begin()
        track = RungTrack(side, secrets.token_hex(8), self.window, self._note_change)
        self._tracks[side] = track
        lane.add(track)
        LIVE_RUNGS.inc()
        self._tell()

    async def _drop(self, side: int, reason: str) -> None:
        """Make a rung no more; the process ends with the last."""
        assert self.lane is not None, "a rung has a lane"
        log.warning(
            "ladder.rung_shed",
            room_id=str(self._terms.room_id),
            rung=side,
            reason=reason,
            lateness_s=round(self.lane.lateness_s, 2),
        )
        LIVE_RUNGS_SHED.labels(reason).inc()
        LIVE_RUNGS.dec()
        del self._tracks[side]
        self._ended[side] = self.lane.drop(side)
        self._tell()
        if not self._tracks:
            await self._end_process()

    def _begin(self) -> LadderLane:
        """Start a process, and follow the live from its newest whole segment on."""
        terms = LaneTerms(
            self._terms.now_s,
            LIVE_LADDER_STILLS.inc,
            LIVE_LADDER_LATENESS.observe,
            TapRules(niceness=self._terms.shedding.niceness),
        )
        self._restarts = 0
        self.lane = LadderLane(self.window, terms)
        return self.lane

    async def _end_process(self) -> None:
        lane, self.lane = self.lane, None
        if lane is not None:
            await lane.tap.close()

    def _tell(self) -> None:
        """Say which rungs there are, to the playlists of all of them."""
        beside = [Beside(t.name, t.window, VIDEO) for t in self._tracks.values()]
        for track in self._tracks.values():
            track.playlists.rungs = beside
        self._terms.note_rungs(beside)
        self._note_change()

    def _note_change(self) -> None:
        """Wake everybody who waits."""
        self._changed.set()
        self._changed = asyncio.Event()
