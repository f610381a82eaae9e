"""From high to standard dynamic range: black, white and hues stay, brightness rises steadily."""

import numpy as np
import pytest

from media.vod.tones import POINTS, convert, render_cube

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_grey_stays_grey_and_rises_from_black_to_full(transfer: str):
    ramp = np.linspace(0, 1, 200)[:, np.newaxis].repeat(3, axis=1)
    shown = convert(ramp, transfer)
    assert np.allclose(shown, shown[:, :1], atol=2e-3)
    assert np.all(np.diff(shown[:, 0]) >= -1e-9)
    assert shown[0, 0] == pytest.approx(0, abs=1e-3)
    assert shown[-1, 0] == pytest.approx(1, abs=1e-3)


def test_reference_white_leaves_room_for_highlights():
    white = convert(np.array([[0.58] * 3, [0.75] * 3]), "pq")[:, 0]
    assert white[0] == pytest.approx(0.87, abs=0.03)
    assert white[1] == pytest.approx(1.0, abs=0.01)


def test_a_saturated_colour_keeps_its_hue_and_stays_in_range():
    red, green, blue = convert(np.array([[0.6, 0.5, 0.45]]), "pq")[0]
    assert 1 >= red > green > blue >= 0


def test_the_table_is_written_red_fastest():
    rows = render_cube("hlg").splitlines()
    assert rows[0] == f"LUT_3D_SIZE {POINTS}"
    assert len(rows) == POINTS**3 + 1
    assert float(rows[POINTS].split()[0]) > 0.9
    assert float(rows[POINTS].split()[2]) == 0
