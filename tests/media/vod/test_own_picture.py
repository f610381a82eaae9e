"""An owner's picture is read in a limited child and comes out as a plain JPEG, or is refused."""

import cv2
import numpy as np
import pytest

from media.vod.own_picture import PictureUnreadable, read_picture, renew_picture

pytestmark = pytest.mark.media


def draw(width: int, height: int, ending: str = ".png") -> bytes:
    picture = np.full((height, width, 3), (20, 40, 200), np.uint8)
    return bytes(cv2.imencode(ending, picture)[1])


def test_a_picture_comes_out_scaled_and_without_what_hung_on_it():
    renewed = renew_picture(draw(2560, 1440) + b"<?php and more ?>")
    picture = cv2.imdecode(np.frombuffer(renewed, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (720, 1280, 3)
    assert picture.mean(axis=(0, 1)) == pytest.approx((20, 40, 200), abs=4)
    assert b"php" not in renewed


def test_what_is_no_picture_is_refused():
    with pytest.raises(PictureUnreadable):
        renew_picture(b"\x89PNG\r\n\x1a\n" + b"\0" * 500)


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a" + b"\0" * 50, draw(8, 8), draw(13_000, 20), draw(64, 64, ".bmp")]
)
def test_kinds_and_sizes_we_do_not_take_are_refused(data: bytes):
    assert read_picture(data) is None


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
def test_the_usual_kinds_are_taken(ending: str):
    renewed = read_picture(draw(64, 48, ending))
    assert renewed is not None
    assert renewed[:2] == b"\xff\xd8"
