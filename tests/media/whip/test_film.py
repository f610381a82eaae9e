"""A film for looping: no B-frames, keyframes every second, timestamps that only rise."""

from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest

from media.scenes.render import SCENES, render_scene
from media.whip.film import AUDIO_HZ, VIDEO_HZ, Film, encode_for_loop, loop_pieces, read_film

pytestmark = pytest.mark.media


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    folder: Path = tmp_path_factory.mktemp("film")
    source = render_scene(replace(SCENES[2], duration_s=3), folder)
    return read_film(encode_for_loop(source, folder / "loop.mkv", height=180))


def test_the_film_keeps_its_length_and_has_a_keyframe_a_second(film: Film):
    assert film.duration_s == Fraction(3)
    assert [piece.pts for piece in film.video if piece.is_keyframe] == [0, VIDEO_HZ, 2 * VIDEO_HZ]
    assert film.video[0].data.startswith(b"\0\0\0\1")


def test_pictures_come_in_the_order_they_are_shown(film: Film):
    shown = [piece.pts for piece in film.video]
    assert shown == sorted(set(shown))


@pytest.mark.parametrize(("kind", "hz"), [("video", VIDEO_HZ), ("audio", AUDIO_HZ)])
def test_timestamps_rise_across_rounds_without_drift(film: Film, kind: str, hz: int):
    pieces = getattr(film, kind)
    played = list(islice(loop_pieces(pieces, film.duration_s, hz), 3 * len(pieces)))
    times = [piece.pts for piece in played]
    assert times == sorted(set(times))
    rounds = [t for t in times if t % int(film.duration_s * hz) == pieces[0].pts]
    assert rounds[:3] == [pieces[0].pts + n * int(film.duration_s * hz) for n in range(3)]
