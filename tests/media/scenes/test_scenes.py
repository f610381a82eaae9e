"""The scenes the seed uploads: real films, the same every time, moving, heard."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from media.scenes.pictures import Stage, draw_title
from media.scenes.render import SCENES, Scene, render_scene

pytestmark = pytest.mark.media


@pytest.mark.parametrize("scene", SCENES, ids=[scene.slug for scene in SCENES])
def test_a_scene_moves_and_is_the_same_every_time(scene: Scene):
    stage = Stage(320, 180)
    first, again, later = scene.draw(1.0, stage), scene.draw(1.0, stage), scene.draw(2.5, stage)
    assert first.shape == (180, 320, 3)
    assert np.array_equal(first, again)
    assert np.abs(first.astype(int) - later).mean() > 0.3
    assert first.std() > 10


def test_a_title_fades_in_and_is_gone_after_five_seconds():
    stage = Stage(320, 180)
    plain = SCENES[0].draw(2.0, stage)
    titled, late = plain.copy(), plain.copy()
    draw_title(titled, "Title", "line", 2.0)
    draw_title(late, "Title", "line", 6.0)
    assert not np.array_equal(titled, plain)
    assert np.array_equal(late, plain)


def test_a_rendered_scene_has_picture_and_sound_of_its_length_and_is_cached(tmp_path: Path):
    scene = replace(SCENES[2], duration_s=2)
    path = render_scene(scene, tmp_path)
    made_at = path.stat().st_mtime_ns
    assert render_scene(scene, tmp_path).stat().st_mtime_ns == made_at
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
        assert len(frames) == 60
        assert frames[-1].time == pytest.approx(59 / 30, abs=0.01)
    with av.open(str(path)) as film:
        sound = np.concatenate([frame.to_ndarray() for frame in film.decode(audio=0)], axis=1)
        assert sound.shape[1] / 48_000 == pytest.approx(2, abs=0.05)
        assert np.abs(sound).max() > 0.02


def test_durations_and_titles_are_those_of_a_believable_site():
    assert len(SCENES) == 6
    assert all(10 <= scene.duration_s <= 20 for scene in SCENES)
    assert len({scene.slug for scene in SCENES}) == 6
