"""Rungs fit the source: never larger, never shapeless, never empty."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.vod.ladder import decide_ladder, decide_source_bps, fit_inside

pytestmark = pytest.mark.unit


def names(width: int, height: int, fps: float = 30) -> list[str]:
    return [rung.name for rung in decide_ladder(width, height, fps)]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), ["240p", "360p", "480p", "720p", "1080p"]),
        ((3840, 2160), ["240p", "360p", "480p", "720p", "1080p", "1440p", "2160p"]),
        ((1080, 1920), ["240p", "360p", "480p", "720p", "1080p"]),
        ((1280, 720), ["240p", "360p", "480p", "720p"]),
        ((640, 360), ["240p", "360p"]),
        ((480, 270), ["270p"]),
        ((320, 240), ["240p"]),
        ((160, 90), ["90p"]),
        ((50, 50), ["50p"]),
    ],
)
def test_the_top_rung_is_the_source_and_the_others_are_clearly_smaller(
    size: tuple[int, int], expected: list[str]
):
    assert names(*size) == expected


def test_a_size_between_the_usual_ones_is_kept():
    ladder = decide_ladder(960, 540, 30)
    assert [rung.name for rung in ladder] == ["240p", "360p", "540p"]
    assert (ladder[-1].width, ladder[-1].height) == (960, 540)


def test_odd_sizes_become_even():
    (rung,) = decide_ladder(161, 91, 25)
    assert (rung.name, rung.width, rung.height) == ("90p", 160, 90)


def test_upright_video_keeps_its_shape():
    assert (decide_ladder(720, 1280, 30)[0].width, decide_ladder(720, 1280, 30)[0].height) == (
        240,
        426,
    )


def test_rates_follow_the_usual_ones_and_fast_motion_gets_more():
    rates = {rung.name: rung.bitrate_bps for rung in decide_ladder(1920, 1080, 30)}
    assert rates["240p"] == pytest.approx(400_000, rel=0.05)
    assert rates["1080p"] == pytest.approx(5_000_000, rel=0.05)
    fast = {rung.name: rung.bitrate_bps for rung in decide_ladder(1920, 1080, 60)}
    assert all(fast[name] > rates[name] for name in rates)


def test_no_rung_takes_much_more_than_its_share_of_the_source():
    free = decide_ladder(1920, 1080, 30)
    capped = decide_ladder(1920, 1080, 30, decide_source_bps("h264", 800_000))
    assert capped[-1].bitrate_bps == 1_000_000
    assert [rung.name for rung in capped] == [rung.name for rung in free]
    assert all(a.bitrate_bps <= b.bitrate_bps for a, b in zip(capped, free, strict=True))
    assert decide_ladder(1920, 1080, 30, decide_source_bps("h264", 50_000_000)) == free
    assert decide_source_bps("prores", 50_000_000) is None
    assert decide_source_bps("hevc", 1_000_000) == 1_700_000


@given(st.integers(16, 8192), st.integers(16, 8192), st.sampled_from([5, 24, 30, 60]))
def test_any_picture_gets_a_sane_ladder(width: int, height: int, fps: int):
    ladder = decide_ladder(width, height, fps)
    assert ladder
    assert len({rung.name for rung in ladder}) == len(ladder)
    areas = [rung.width * rung.height for rung in ladder]
    assert areas == sorted(set(areas))
    for rung in ladder:
        assert rung.width <= width
        assert rung.height <= height
        assert rung.width % 2 == rung.height % 2 == 0
        assert min(rung.width, rung.height) <= 2160
        assert rung.bitrate_bps >= 100_000


@given(st.integers(16, 8192), st.integers(16, 8192), st.integers(16, 2000))
def test_a_picture_fits_inside_without_growing(width: int, height: int, side: int):
    fitted = fit_inside(width, height, side)
    assert max(fitted) <= max(side + 1, 2)
    assert fitted[0] <= width
    assert fitted[1] <= height
