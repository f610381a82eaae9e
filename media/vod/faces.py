"""How much a picture is worth for the face in it; the thumbnails ask.

Upright faces seen from the front, by the cascade of `face_cascade` in every square of a small copy.
The same picture has the same answer wherever the cascade is. Decided in docs/decisions/0035.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from media.vod.face_cascade import WINDOW, Stage, Stump, load

Array = np.ndarray[Any, np.dtype[Any]]

LONG_SIDE = 240
"""Pixels of the copy's longer side: a face of a tenth of it is the smallest that is found."""
SHRINK = 1.15
"""From one size to the next. A face is as large as the window in one of them."""
HITS_MIN = 10
"""So many windows, a pixel or a size apart, agree on a face. In 754 pictures without one at most 8
did; 82 of 100 faces of Labeled Faces in the Wild (scikit-image's `lfw_subset`) had as many."""
NEAR = 0.25
SIZES_APART = 1.6
"""Windows show the same face when their middles are within this part of a side, and their sides."""
DENSE_STAGES = 2
WINDOWS_MAX = 12_000
"""Of a size, after the dense stages; in 324 frames of films at most 5,100. Where there are more is
texture and no face at that size, so that no picture takes long."""
MARGIN = 0.1
"""A whole face has this part of its side around it within the picture."""
SHARE_LEAST, SHARE_FULL = 0.1, 0.25
"""Of the picture's shorter side: a face so small counts nothing, so large in full."""
SHARP_SIDE = 64
SHARP_LEAST, SHARP_FULL = 0.03, 0.15
"""The Laplacian's variance in a face of 64 pixels by the grey's own: 0.35 in a sharp photograph,
0.1 to 0.2 from a webcam, 0.03 when it was blurred by a fiftieth of its side."""
OUTER = ((0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Column and row of the blocks around the middle one, highest bit first."""


@dataclass(frozen=True)
class Face:
    """A square from the brows to the chin, in the picture's pixels; `hits` windows agree on it."""

    x: float
    y: float
    side: float
    hits: int


def rate_faces(picture: Array) -> float:
    """0 to 1: how large and sharp the best whole face is; 0 without a face or a detector.

    picture: (H, W, 3) uint8 BGR. Some 30 ms, whatever its size.
    """
    return max((_rate(picture, face) for face in find_faces(picture)), default=0.0)


def find_faces(picture: Array) -> list[Face]:
    """The faces, whole or not, the surest first; none where the cascade is missing."""
    stages = load()
    if stages is None:
        return []
    height, width = picture.shape[:2]
    share = min(1.0, LONG_SIDE / max(height, width))
    grey = _resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), share)
    windows: list[Face] = []
    shrunk = 1.0
    while min(grey.shape) / shrunk >= WINDOW:
        small = _resize(grey, 1 / shrunk)
        scale = width / small.shape[1]
        windows += [
            Face(column * scale, row * scale, WINDOW * scale, 1)
            for column, row in find_windows(small, stages)
        ]
        shrunk *= SHRINK
    found = [face for face in _join(windows) if face.hits >= HITS_MIN]
    return sorted(found, key=lambda face: face.hits, reverse=True)


def find_windows(grey: Array, stages: Sequence[Stage]) -> list[tuple[int, int]]:
    """Column and row of the windows that pass every stage. grey: (H, W) uint8, 24 or more."""
    height, width = grey.shape
    sums = cv2.integral(grey)
    shape = (height - WINDOW + 1, width - WINDOW + 1)
    passing = np.ones(shape, dtype=bool)
    for stage in stages[:DENSE_STAGES]:
        passing &= sum(_score_all(sums, stump, shape) for stump in stage.stumps) >= stage.least
    rows, columns = np.nonzero(passing)
    if len(rows) > WINDOWS_MAX:
        return []
    places = rows * (width + 1) + columns
    for stage in stages[DENSE_STAGES:]:
        scores = sum(_score_some(sums, stump, places) for stump in stage.stumps)
        places = places[scores >= stage.least]
        if not len(places):
            return []
    return [(int(place % (width + 1)), int(place // (width + 1))) for place in places]


def _score_all(sums: Array, stump: Stump, shape: tuple[int, int]) -> Array:
    """The stump's score of every window: cheaper than one by one while most are there."""
    across, down = stump.width, stump.height
    bands = sums[down:] - sums[:-down]
    blocks = bands[:, across:] - bands[:, :-across]

    def block(column: int, row: int) -> Array:
        top, left = stump.y + row * down, stump.x + column * across
        part: Array = blocks[top : top + shape[0], left : left + shape[1]]
        return part

    middle = block(1, 1)
    return _score([block(column, row) >= middle for column, row in OUTER], stump)


def _score_some(sums: Array, stump: Stump, places: Array) -> Array:
    """The stump's score of the windows at `places` in the flat sums."""
    width = sums.shape[1]
    corners = [
        (stump.y + row * stump.height) * width + stump.x + column * stump.width
        for row in range(4)
        for column in range(4)
    ]
    at = sums.ravel()[places[:, None] + np.array(corners)].reshape(-1, 4, 4)
    blocks = at[:, 1:, 1:] - at[:, :-1, 1:] - at[:, 1:, :-1] + at[:, :-1, :-1]
    middle = blocks[:, 1, 1]
    return _score([blocks[:, row, column] >= middle for column, row in OUTER], stump)


def _score(brighter: Sequence[Array], stump: Stump) -> Array:
    pattern = np.zeros(brighter[0].shape, dtype=np.uint8)
    for bit in brighter:
        pattern <<= 1
        pattern |= bit.view(np.uint8)
    scores: Array = np.asarray(stump.scores)[pattern]
    return scores


def _join(windows: Sequence[Face]) -> list[Face]:
    """One face, the mean, for windows that show the same."""
    faces: list[Face] = []
    for window in windows:
        for number, face in enumerate(faces):
            if _is_same(face, window):
                faces[number] = _average(face, window)
                break
        else:
            faces.append(window)
    return faces


def _is_same(face: Face, window: Face) -> bool:
    near = NEAR * face.side
    half = (window.side - face.side) / 2
    return (
        abs(window.x + half - face.x) < near
        and abs(window.y + half - face.y) < near
        and face.side / SIZES_APART < window.side < face.side * SIZES_APART
    )


def _average(face: Face, window: Face) -> Face:
    hits = face.hits + 1
    return Face(
        face.x + (window.x - face.x) / hits,
        face.y + (window.y - face.y) / hits,
        face.side + (window.side - face.side) / hits,
        hits,
    )


def _rate(picture: Array, face: Face) -> float:
    height, width = picture.shape[:2]
    around = MARGIN * face.side
    left, top = face.x - around, face.y - around
    outside = face.side + 2 * around
    if min(left, top) < 0 or left + outside > width or top + outside > height:
        return 0.0
    size = _grade(face.side / min(height, width), SHARE_LEAST, SHARE_FULL)
    return size * _grade(_measure_sharpness(picture, face), SHARP_LEAST, SHARP_FULL)


def _measure_sharpness(picture: Array, face: Face) -> float:
    """How much of the face's contrast is fine detail; its brightness does not count."""
    left, top, side = int(face.x), int(face.y), int(face.side)
    grey = cv2.cvtColor(picture[top : top + side, left : left + side], cv2.COLOR_BGR2GRAY)
    grey = _resize(grey, min(1.0, SHARP_SIDE / side))
    contrast = float(grey.var())
    return float(cv2.Laplacian(grey, cv2.CV_64F).var()) / contrast if contrast else 0.0


def _grade(value: float, least: float, full: float) -> float:
    return min(1.0, max(0.0, (value - least) / (full - least)))


def _resize(grey: Array, share: float) -> Array:
    if share == 1.0:
        return grey
    size = (max(1, round(grey.shape[1] * share)), max(1, round(grey.shape[0] * share)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
