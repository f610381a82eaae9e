"""How often a piece may fail or lose its worker: progress is forgiven, a poisoned step is not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from media.pool import MediaTaskTooSlow, MediaWorkerLost
from media.vod.grid import FrameGrid
from media.vod.ladder import Rung
from media.vod.plan import Chunk
from media.vod.task_jobs import ChunkJob
from serve_apps.videos.attempts import (
    ATTEMPTS_MAX,
    LOSSES_MAX,
    LOST_PAUSE_S_MAX,
    Ending,
    count_attempt,
    decide_ending,
    decide_pause_s,
    explain,
    has_failed,
)
from storage.video_chunks import Tries
from tests.media.vod.sources import PICTURE as SOURCE_PICTURE

pytestmark = pytest.mark.unit


def lose(tries: Tries, *steps: int) -> Tries:
    """Lose one worker after the other, each having kept so many steps."""
    for kept in steps:
        tries = count_attempt(tries, Ending.LOST, kept)
    return tries


def test_a_piece_may_lose_any_number_of_workers_that_each_kept_a_step():
    tries = lose(Tries(), *range(1, 1000))
    assert tries == Tries(attempts=0, losses=1, steps=999)
    assert not has_failed(tries)


def test_a_step_that_kills_every_worker_ends_the_piece():
    tries = lose(Tries(), 3, *[3] * (LOSSES_MAX - 2))
    assert not has_failed(tries)
    assert has_failed(lose(tries, 3))


def test_a_step_kept_after_many_losses_begins_the_count_anew():
    tries = lose(Tries(), *[0] * (LOSSES_MAX - 1))
    assert lose(tries, 1).losses == 1


def test_what_an_earlier_runner_saw_kept_is_no_progress():
    assert lose(Tries(steps=5, losses=2), 0, 5) == Tries(steps=5, losses=4)


def test_failures_of_the_piece_itself_are_not_forgiven_by_progress():
    tries = Tries()
    for steps in range(1, ATTEMPTS_MAX + 1):
        assert not has_failed(tries)
        tries = count_attempt(tries, Ending.FAILED, steps)
    assert has_failed(tries)


def test_a_piece_that_took_too_long_goes_on_if_it_got_on():
    tries = count_attempt(Tries(), Ending.TOO_SLOW, 4)
    assert tries == Tries(steps=4)
    assert count_attempt(tries, Ending.TOO_SLOW, 4) == Tries(attempts=1, steps=4)


def test_a_lost_worker_is_told_from_a_failure_and_a_deadline():
    errors = [MediaWorkerLost(), MediaTaskTooSlow(), ValueError()]
    assert [decide_ending(it) for it in errors] == [Ending.LOST, Ending.TOO_SLOW, Ending.FAILED]


def test_a_piece_goes_on_at_once_after_a_loss_and_waits_longer_after_more():
    pauses = [decide_pause_s(Tries(losses=n), Ending.LOST) for n in (1, 2, 3, LOSSES_MAX)]
    assert pauses == [0.0, 0.5, 1.0, LOST_PAUSE_S_MAX]
    assert [decide_pause_s(Tries(attempts=n), Ending.FAILED) for n in (1, 2)] == [0.5, 1.0]


def test_the_owner_is_told_where_the_conversion_breaks_off():
    grid = FrameGrid(Fraction(25), 90_000, 3600, 100, 10_000, 0)
    video = replace(
        SOURCE_PICTURE,
        width=640,
        height=360,
        coded_width=640,
        coded_height=360,
        fps=Fraction(25),
        bit_rate_bps=None,
    )
    rungs = (Rung("360p", 640, 360, 800_000), Rung("240p", 426, 240, 400_000))
    job = ChunkJob("rest-00002", "v", "s", video, grid, Chunk(2, 16, 8), rungs)
    # The fourth of its parts is the second of its second step: from 64 + 2 s on.
    told = explain(Tries(losses=LOSSES_MAX, steps=3), job)
    assert told is not None
    assert told.endswith("its conversion broke off at 1:06.")
    assert explain(Tries(attempts=ATTEMPTS_MAX, steps=3), job) is None
    assert (explain(Tries(losses=LOSSES_MAX), "sound") or "").endswith("broke off.")
