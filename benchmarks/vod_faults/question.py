"""What does kill -9 of a random media worker every five seconds cost a video in the making?"""

from __future__ import annotations

from functools import partial

from benchmarks.frame import Goal, Question
from benchmarks.vod_faults.rounds import CPU, KILL_EVERY_S, MBPS, WORKERS, Film, open_scene

FULL = Film(minutes=10.0, height=1080)


def make_question(film: Film) -> Question:
    """The question about a film of another length or size: both decide how long it takes."""
    return Question(
        name="vod_faults",
        sentence=__doc__ or "",
        stage=partial(open_scene, film),
        libraries=("av",),
        needs_product=True,
        is_costly=True,
        configuration={
            "source": f"{film.minutes:g} minutes of {film.height}p at 30 fps with sound, as from a "
            f"phone: H.264 at {MBPS} Mbit/s with a keyframe every 2 s, all of it encoded anew",
            "workers": f"{WORKERS} media workers",
            "killed": f"kill -9 of one of them, by chance, every {describe_clock(film)} from the "
            "last byte until the video is ready",
            "cpu": "user and system time of every process that ran a media task, its start and its "
            "children included: from /proc every 0.2 s, and just before a kill",
            "work": "number, times and SHA-256 of all pictures, sound, playlists' segments, sheets "
            "and thumbnails must be the same in both",
        },
        goals=(Goal("killed", CPU, 1.5, against="undisturbed"),),
        rounds=1,
        rounds_short=1,
    )


def describe_clock(film: Film) -> str:
    """Say when a worker is killed."""
    if film.is_shared:
        return f"{KILL_EVERY_S * WORKERS:g} s of their processor time (5 s if each had a core)"
    return f"{KILL_EVERY_S:g} s"


QUESTION = make_question(FULL)
