"""A live and its smaller pictures by the real process: the same times, parts, segments, marks."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
from collections.abc import AsyncIterator

import pytest
import uvloop

from media.live.fragments import VIDEO
from media.live.ladder_lane import STILL_AFTER_S
from media.live.ladder_tap import RESTARTS_MAX, TapCalls
from media.live.ladder_words import MADE, MADE_KEY, Word
from media.live.packager import PackagerTerms
from media.live.shedding import NICENESS
from media.live.window import LiveWindow
from tests.media.live.ladder_stage import Film, LadderStage, decode, level_of, read_pictures
from tests.media.live.programme import check_contiguous, iterate_fragments
from tests.media.playlist_reading import Listing, read_playlist
from tests.media.playlist_rules import check_goes_on, check_live

pytestmark = pytest.mark.media

LONGEST = 480
"""Pictures of the longest film here: it is encoded first, and the shorter ones are cut from it."""
TOLERANCE = 9
"""How far brightness may be off after two encoders."""


@pytest.fixture
async def stage() -> AsyncIterator[LadderStage]:
    Film().encode(LONGEST)
    made = LadderStage()
    made.open()
    yield made
    await made.lane.tap.close()
    await made.lane.tap.close()


def list_times(window: LiveWindow, first: int = 0) -> list[object]:
    """Return number, beginning, mark, and each part's beginning, length and count of pictures."""
    rows: list[object] = []
    for entry in window.list_entries(VIDEO):
        if entry.number < first:
            continue
        parts = [next(iterate_fragments(part.data)) for part in entry.parts]
        shape = [(base, length, len(keys)) for base, length, keys in parts]
        rows.append((entry.number, entry.start_ticks, entry.is_discontinuous, shape))
    return rows


def read(stage: LadderStage, side: int) -> Listing:
    track = stage.tracks[side]
    return read_playlist(track.playlists.render(VIDEO, is_delta=False).body.decode())


def check_like_the_live(stage: LadderStage, *, first: int = 0) -> None:
    """Every rung has what the live has from a segment on, picture for picture."""
    for side, track in stage.tracks.items():
        assert list_times(track.window, first) == list_times(stage.window, first)
        check_contiguous(track.window, VIDEO)
        check_live(read(stage, side))
        live, rung = read_pictures(stage.window), read_pictures(track.window)
        assert [pts for pts, _level in rung] == [pts for pts, _level in live]
        apart = [abs(a - b) for (_, a), (_, b) in zip(live, rung, strict=True)]
        assert max(apart) <= TOLERANCE


@pytest.mark.parametrize(
    "film",
    [
        pytest.param(Film(), id="in-order"),
        pytest.param(Film(b_frames=2), id="b-frames"),
        pytest.param(Film(codec="hevc", b_frames=2), id="hevc"),
        pytest.param(Film(codec="av1"), id="av1"),
    ],
)
async def test_rungs_have_the_lives_own_times_however_it_is_coded(
    stage: LadderStage, film: Film
) -> None:
    _form, samples = film.encode(180)
    await stage.send(samples)
    await stage.finish()
    assert [t.window.list_entries(VIDEO)[0].init.height for t in stage.tracks.values()] == [
        240,
        144,
    ]
    check_like_the_live(stage)
    listing = read(stage, 240)
    assert "ENDLIST" in listing.tags
    assert [level for _pts, level in read_pictures(stage.tracks[144].window)][:3] == [
        pytest.approx(level_of(n), abs=TOLERANCE) for n in range(3)
    ]
    assert stage.stills == 0


async def test_of_a_fast_picture_rungs_have_every_second_frame(stage: LadderStage) -> None:
    _form, samples = Film(fps=60, key_every=120).encode(300)
    await stage.send(samples)
    await stage.finish()
    for track in stage.tracks.values():
        check_contiguous(track.window, VIDEO)
        for entry in track.window.list_entries(VIDEO):
            known = stage.window.find_entry(VIDEO, entry.number)
            assert known is not None
            assert entry.duration_ticks == known.duration_ticks
            assert [part.pictures for part in entry.parts] == [
                -(-part.pictures // 2) for part in known.parts
            ]
            assert len(list(decode([entry]))) == entry.pictures


async def test_another_publisher_a_slate_and_another_size_appear_in_every_rung(
    stage: LadderStage,
) -> None:
    _form, samples = Film().encode(120)
    await stage.send(samples)
    stage.packager.break_off()
    last = stage.window.get_last(VIDEO)
    assert last is not None
    stage.begin(PackagerTerms(last.number + 1, 20_000, has_sound=False, is_resumed=True))
    # Smaller than the rung of 240 lines: it is not made larger. And in another codec.
    form, small = Film(width=320, height=180, codec="hevc").encode(120)
    await stage.send(small)
    slate = dataclasses.replace(form, is_slate=True)
    await stage.send(
        [
            dataclasses.replace(
                s, format=slate, dts_ticks=s.dts_ticks + 360_000, pts_ticks=s.pts_ticks + 360_000
            )
            for s in small[:60]
        ]
    )
    await stage.finish()
    check_like_the_live(stage)
    track = stage.tracks[240]
    entries = track.window.list_entries(VIDEO)
    assert [(e.init.width, e.init.height) for e in entries][-1] == (320, 180)
    assert [e.number for e in entries if e.is_discontinuous] == [
        e.number for e in stage.window.list_entries(VIDEO) if e.is_discontinuous
    ]
    assert [e.is_slate for e in entries] == [e.is_slate for e in stage.window.list_entries(VIDEO)]


async def test_pictures_that_cannot_be_decoded_are_stood_in_for(stage: LadderStage) -> None:
    _form, samples = Film().encode(240)
    broken = [
        dataclasses.replace(s, data=b"\0\0\0\x08\x41" + b"\xff" * 7) if 70 <= n < 75 else s
        for n, s in enumerate(samples)
    ]
    await stage.send(broken)
    await stage.finish()
    for track in stage.tracks.values():
        assert list_times(track.window) == list_times(stage.window)
        assert len(read_pictures(track.window)) == 240


async def test_a_killed_process_costs_nothing_that_players_see(stage: LadderStage) -> None:
    await check_killed(stage)


async def check_killed(stage: LadderStage) -> None:
    _form, samples = Film().encode(240)
    await stage.send(samples[:100])
    await stage.settle(2)
    before = read(stage, 240)
    kill(stage, signal.SIGKILL)
    for sample in samples[100:130]:
        stage.packager.add_video(sample)
        stage.lane.follow()  # the process is dead, and nobody knows yet
        await asyncio.sleep(0)
    await stage.send(samples[130:])
    await stage.finish()
    assert stage.lane.tap.restarts == 1
    check_like_the_live(stage)
    check_goes_on(before, read(stage, 240))


async def test_a_part_that_a_dying_process_made_in_one_rung_is_made_again_in_all(
    stage: LadderStage,
) -> None:
    lane, cut_at, has_died = stage.lane, (1, 2), asyncio.Event()
    heard: list[tuple[int, int]] = []

    def hear(word: Word, body: bytes) -> None:
        """Hear of the larger rung of one part, and nothing more of that process."""
        if heard[-1:] == [cut_at] and not has_died.is_set():
            return
        heard.append((word.number, word.position) if word.kind in (MADE, MADE_KEY) else (0, 0))
        lane.hear(word, body)
        if heard[-1] == cut_at and not has_died.is_set():
            kill(stage, signal.SIGKILL)

    def note_death() -> None:
        has_died.set()
        lane.note_death()

    lane.tap._calls = TapCalls(hear, note_death)
    lane.tap._child._rules = dataclasses.replace(lane.tap._child._rules, note_death=note_death)
    _form, samples = Film().encode(240)
    await stage.send(samples)
    await stage.finish()
    assert heard.count(cut_at) == 3, "once in one rung, again in both"
    assert lane.tap.restarts == 1
    check_like_the_live(stage)
    larger, smaller = (list_key_parts(stage.tracks[side].window) for side in (240, 144))
    assert larger == smaller
    assert cut_at in larger, "a process begins with a keyframe"


def list_key_parts(window: LiveWindow) -> list[tuple[int, int]]:
    return [
        (entry.number, at)
        for entry in window.list_entries(VIDEO)
        for at, part in enumerate(entry.parts)
        if part.is_independent
    ]


async def test_what_comes_too_late_is_the_last_picture_until_a_keyframe(
    stage: LadderStage,
) -> None:
    _form, samples = Film().encode(LONGEST)
    await stage.send(samples[:100])
    await stage.settle(2)
    pid = kill(stage, signal.SIGSTOP)
    for sample in samples[100:280]:
        stage.packager.add_video(sample)
        stage.now_s += 1 / 30
        stage.lane.follow()
    assert stage.lane.lateness_s > STILL_AFTER_S
    os.kill(pid, signal.SIGCONT)
    await stage.settle(2)
    assert stage.stills > 0
    await stage.send(samples[280:])
    await stage.finish()
    stills = stage.stills
    for side, track in stage.tracks.items():
        entries = track.window.list_entries(VIDEO)
        for entry, known in zip(entries, stage.window.list_entries(VIDEO), strict=True):
            assert (entry.number, entry.start_ticks) == (known.number, known.start_ticks)
            assert [p.duration_ticks for p in entry.parts] == [
                p.duration_ticks for p in known.parts
            ]
        check_contiguous(track.window, VIDEO)
        check_live(read(stage, side))
        one_picture = [p for e in entries for p in e.parts if p.pictures == 1]
        assert len(one_picture) >= stills > 3
        moving = [e for e in entries if min(p.pictures for p in e.parts) > 1]
        assert entries[-1] in moving


async def test_a_rung_is_given_up_and_tried_again_beside_another(stage: LadderStage) -> None:
    _form, samples = Film().encode(LONGEST)
    await stage.send(samples[:150])
    given_up = stage.lane.drop(240)
    assert given_up.is_over
    await stage.send(samples[150:300])
    again = stage.add(240)
    await stage.send(samples[300:])
    await stage.finish()
    assert len(given_up.window.list_entries(VIDEO)) < 6
    first = again.window.list_entries(VIDEO)[0].number
    assert first > given_up.window.get_edge(VIDEO)[0]
    assert list_times(again.window) == list_times(stage.window, first)
    del stage.tracks[240]
    check_like_the_live(stage)


async def test_a_process_steps_back_for_what_is_on_air() -> None:
    stage = LadderStage(niceness=NICENESS)
    stage.open()
    await stage.until(lambda: stage.lane.tap.pid is not None)
    pid = stage.lane.tap.pid
    assert pid is not None
    await stage.until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == NICENESS)
    await stage.lane.tap.close()


async def test_a_process_that_dies_again_and_again_is_given_up(stage: LadderStage) -> None:
    _form, samples = Film().encode(120)
    rubbish = [dataclasses.replace(s, data=b"\0\0\0\x08" + b"\xff" * 8) for s in samples]
    for sample in rubbish:
        stage.packager.add_video(sample)
    stage.packager.break_off()
    stage.window.end()
    await stage.until(lambda: stage.lane.tap.is_given_up)
    assert stage.lane.tap.restarts == RESTARTS_MAX
    assert stage.lane.tap.pid is None


def kill(stage: LadderStage, number: signal.Signals) -> int:
    """Send a signal to the process."""
    pid = stage.lane.tap.pid
    assert pid is not None
    os.kill(pid, number)
    return pid


def test_a_killed_process_costs_nothing_on_the_loop_that_ray_gives_its_actors() -> None:
    async def run() -> None:
        stage = LadderStage()
        stage.open()
        await check_killed(stage)
        await stage.lane.tap.close()

    uvloop.run(run())
