"""How a picture is meant to be seen: turned, mirrored, squared, coloured, paced."""

from fractions import Fraction

import pytest

from media.vod.pictures import (
    decide_display_size,
    decide_frame_rate,
    decide_matrix,
    decide_orientation,
    find_hdr_transfer,
)

pytestmark = pytest.mark.unit

ONE = 1 << 16


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((ONE, 0, 0, ONE), (0, False)),
        ((0, ONE, -ONE, 0), (90, False)),
        ((-ONE, 0, 0, -ONE), (180, False)),
        ((0, -ONE, ONE, 0), (270, False)),
        ((-ONE, 0, 0, ONE), (0, True)),
        ((ONE, 0, 0, -ONE), (180, True)),
        ((0, -ONE, -ONE, 0), (90, True)),
        ((0, ONE, ONE, 0), (270, True)),
        ((ONE, 700, -700, ONE), (0, False)),
    ],
)
def test_display_matrices_are_understood(
    matrix: tuple[int, int, int, int], expected: tuple[int, bool]
):
    assert decide_orientation(matrix, 0) == expected


def test_an_unusable_matrix_falls_back_to_the_angle():
    assert decide_orientation((ONE, ONE, -ONE, ONE), -45) in [(0, False), (90, False)]
    assert decide_orientation((0, 0, 0, 0), 0) == (0, False)
    assert decide_orientation(None, -90) == (90, False)
    assert decide_orientation(None, 90) == (270, False)
    assert decide_orientation(None, -180) == (180, False)


def test_sizes_are_squared_and_turned():
    assert decide_display_size(720, 576, Fraction(64, 45), 0) == (1024, 576)
    assert decide_display_size(720, 480, Fraction(8, 9), 0) == (640, 480)
    assert decide_display_size(1920, 1080, None, 90) == (1080, 1920)
    assert decide_display_size(1920, 1080, Fraction(0), 0) == (1920, 1080)
    assert decide_display_size(1920, 1080, Fraction(1, 5000), 0) == (1920, 1080)


def test_a_silent_file_is_taken_for_the_usual_colours_of_its_size():
    assert decide_matrix(2, 1080) == "bt709"
    assert decide_matrix(2, 480) == "smpte170m"
    assert decide_matrix(1, 480) == "bt709"
    assert decide_matrix(9, 2160) == "bt2020"
    assert [find_hdr_transfer(code) for code in (16, 18, 1)] == ["pq", "hlg", ""]


def steps(*milliseconds: int) -> list[Fraction]:
    return [Fraction(ms, 1000) for ms in milliseconds]


@pytest.mark.parametrize(
    ("guessed", "average", "intervals_s", "expected"),
    [
        ("30", "30", steps(33, 34, 33), "30"),
        ("30", "25", steps(33, 33, 133), "30"),
        ("90000", "24", steps(42, 41, 42), "24"),
        ("12", "12", steps(17, 17, 16, 500), "60000/1001"),
        ("30", None, [], "30"),
        (None, None, [], "25"),
        ("90000", None, [], "25"),
        ("15", "15", steps(67, 67), "15"),
    ],
)
def test_the_rate_is_the_one_the_frames_mostly_keep(
    guessed: str | None, average: str | None, intervals_s: list[Fraction], expected: str
):
    rates = [Fraction(rate) if rate else None for rate in (guessed, average)]
    assert decide_frame_rate(rates[0], rates[1], intervals_s) == Fraction(expected)
