"""What an edit list hides is not shown, and what it shows stays together; one sound is taken."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from storage.objects import ObjectStore
from tests.media.vod.atoms import set_edits
from tests.media.vod.clips import (
    Made,
    read_number,
    run_ffmpeg,
    transcode,
    write_flash_and_tone,
    write_numbered,
)

pytestmark = pytest.mark.media

FPS = 30


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """Lend six seconds whose frames show their number."""
    return write_numbered(tmp_path / "whole.mp4", [Fraction(n, FPS) for n in range(6 * FPS)])


def read_numbers(made: Made) -> list[int]:
    return [read_number(frame) for frame in made.frames_of(made.plan.groups[0].rungs[-1].name)]


def read_sound(made: Made) -> np.ndarray:
    """Return how loud the sound is, one value per hundredth of a second."""
    with av.open(io.BytesIO(made.bytes_of("audio"))) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    whole = np.abs(np.concatenate(frames))
    step = 480
    return whole[: len(whole) // step * step].reshape(-1, step).max(axis=1)


def test_frames_that_an_edit_list_hides_at_the_beginning_are_not_shown(
    numbered: Path, tmp_path: Path, objects: ObjectStore
):
    run_ffmpeg("-ss", "1.5", "-i", numbered, "-c", "copy", tmp_path / "a.mp4")
    made = transcode(tmp_path / "a.mp4", objects, kinds=("chunk",))
    assert made.plan.copied is None
    assert read_numbers(made) == list(range(45, 180))


def test_frames_that_an_edit_list_hides_in_the_middle_are_not_shown(
    numbered: Path, tmp_path: Path, objects: ObjectStore
):
    edited = set_edits(numbered.read_bytes(), [(0, 2), (4, 6)])
    (tmp_path / "a.mp4").write_bytes(edited)
    made = transcode(tmp_path / "a.mp4", objects, kinds=("chunk",))
    assert read_numbers(made) == [*range(60), *range(120, 180)]


@pytest.mark.parametrize(
    ("edits", "at_s", "length_s"),
    [([(1.5, 6)], 1.5, 4.5), ([(0, 2), (2.8, 6)], 2.2, 5.2)],
    ids=["beginning", "middle"],
)
def test_picture_and_sound_behind_a_hidden_stretch_stay_together(
    edits: list[tuple[float, float]],
    at_s: float,
    length_s: float,
    tmp_path: Path,
    objects: ObjectStore,
):
    whole = write_flash_and_tone(tmp_path / "whole.mp4", at_s=3.0, length_s=6.0, sound_late_s=0.0)
    (tmp_path / "a.mp4").write_bytes(set_edits(whole.read_bytes(), edits))
    made = transcode(tmp_path / "a.mp4", objects)
    frames = made.frames_of("90p")
    white = next(f for f in frames if f.to_ndarray(format="gray").mean() > 127)
    assert float(white.pts * white.time_base) == pytest.approx(at_s, abs=0.041)
    loud = np.flatnonzero(read_sound(made) > 0.1)
    assert loud[0] / 100 == pytest.approx(at_s, abs=0.041)
    assert len(frames) / 25 == pytest.approx(length_s, abs=0.1)


def test_the_sound_that_the_file_names_as_its_own_is_taken(tmp_path: Path, objects: ObjectStore):
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=4"),
        *("-f", "lavfi", "-i", "anullsrc=d=4", "-f", "lavfi", "-i", "sine=d=4"),
        *("-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-c:a", "aac", "-t", "4", "-disposition:a:0", "0", "-disposition:a:1", "default"),
        *("-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra"),
        tmp_path / "a.mkv",
    )
    made = transcode(tmp_path / "a.mkv", objects, kinds=("audio", "chunk"))
    assert made.plan.info.warnings == ("1 further sound track was left out: track 2 (deu, aac).",)
    assert np.median(read_sound(made)) > 0.05
