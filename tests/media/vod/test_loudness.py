"""Loudness is measured as EBU R128 says and brought near the target without clipping."""

import io
import math
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from media.vod.loudness import Loudness, decide_gain_db, measure_loudness
from media.vod.plan import PlanOrder, plan_video
from media.vod.probe import probe_file
from media.vod.task_jobs import AudioJob, get_job
from storage.objects import ObjectStore
from tests.media.vod.clips import SOURCE_KEY, run_ffmpeg, transcode

pytestmark = pytest.mark.media


def make_job(path: Path) -> AudioJob:
    job = get_job(plan_video(probe_file(path), PlanOrder("v", SOURCE_KEY)), "audio")
    assert isinstance(job, AudioJob)
    return job


@pytest.mark.parametrize(
    ("lufs", "peak_db", "gain_db"),
    [
        (-14.2, -3.0, 0.0),
        (-8.0, 0.0, -6.0),
        (-20.0, -12.0, 6.0),
        (-20.0, -1.0, 3.0),
        (-40.0, -30.0, 10.0),
        (-20.0, 4.0, 0.0),
        (-60.0, -50.0, 0.0),
        (None, -math.inf, 0.0),
    ],
)
def test_the_gain_reaches_for_the_target_as_far_as_peaks_allow(
    lufs: float | None, peak_db: float, gain_db: float
):
    assert decide_gain_db(Loudness(lufs, peak_db)) == pytest.approx(gain_db)


def test_a_tone_of_known_level_is_measured_whole_and_in_windows(tmp_path: Path):
    # EBU Tech 3341, case 1: 1 kHz at -23 dBFS in both channels measures -23 LUFS.
    source = f"aevalsrc={10 ** (-23 / 20)}*sin(2*PI*1000*t)|{10 ** (-23 / 20)}*sin(2*PI*1000*t)"
    run_ffmpeg("-f", "lavfi", "-i", f"{source}:s=48000:d=140", tmp_path / "a.flac")
    whole = make_job(tmp_path / "a.flac")
    windows = measure_loudness(tmp_path / "a.flac", whole)
    assert windows.integrated_lufs == pytest.approx(-23.0, abs=0.2)
    assert windows.peak_db == pytest.approx(-23.0, abs=0.1)
    short = replace(whole, grid=replace(whole.grid, frames=5000))
    assert measure_loudness(tmp_path / "a.flac", short).integrated_lufs == pytest.approx(
        -23, abs=0.2
    )


def test_quiet_sound_is_turned_up_and_kept_from_clipping(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *(
            "-f",
            "lavfi",
            "-i",
            "aevalsrc='0.03*sin(6000*t)+if(between(t\\,2\\,2.01)\\,0.5\\,0)':d=5",
        ),
        tmp_path / "a.wav",
    )
    made = transcode(tmp_path / "a.wav", objects)
    gain_db = made.records["audio"].gain_db
    assert 5 < gain_db <= 10
    with av.open(io.BytesIO(made.bytes_of("audio"))) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    quiet = np.abs(sound[48_000:52_000]).max()
    assert quiet == pytest.approx(0.03 * math.sqrt(0.5) * 10 ** (gain_db / 20), rel=0.15)
    assert np.abs(sound).max() < 1.0


def test_silence_stays_silence(tmp_path: Path):
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=48000:d=2", tmp_path / "a.wav")
    loudness = measure_loudness(tmp_path / "a.wav", make_job(tmp_path / "a.wav"))
    assert decide_gain_db(loudness) == 0
