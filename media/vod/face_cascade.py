"""The trained classifier that `faces` looks for faces with: where its file is, and what it says.

OpenCV's cascade of local binary patterns, as scikit-image's wheel carries it. Setup brings the file
(`cluster/bootstrap.py`), named by its hash; where it is missing there is no detector. The doctor
asks too, so it loads nothing beyond the standard library.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

SHA256 = "03097789a3dcbb0e40d20b9ef82537dbc3b670b6a7f2268d735470f22e003a91"
"""Of the file that was measured; another one is not used."""
WINDOW = 24
"""Sides of the square that the classifier judges, in pixels."""

ROUNDING = 1e-5
"""A stage's least sum is one that its stumps can have, in decimals: OpenCV allows as much."""


@dataclass(frozen=True)
class Stump:
    """Adds a number to its stage, for the pattern of nine blocks of (width, height) at (x, y).

    `scores` has one (of 32 bits) for each of the 256 patterns: which of the eight outer blocks are
    at least as bright as the middle one, the top left the highest bit, then clockwise (Zhang et
    al. 2007, "Face Detection Based on Multi-Block LBP Representation").
    """

    x: int
    y: int
    width: int
    height: int
    scores: array[float]


@dataclass(frozen=True)
class Stage:
    """A window whose stumps add up to less than `least` is no face."""

    least: float
    stumps: tuple[Stump, ...]


def find_file() -> Path:
    """Return where setup puts the file, or would."""
    return Path(sys.prefix) / "lib" / f"socialflow-faces-{SHA256[:16]}.xml"


@functools.cache
def load() -> tuple[Stage, ...] | None:
    """As `read` of setup's file, once."""
    return read(find_file())


def read(path: Path) -> tuple[Stage, ...] | None:
    """Return the stages in their order; None where the file is missing or is another one."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != SHA256:
        return None
    return _parse(data)


def _parse(data: bytes) -> tuple[Stage, ...]:
    """Read OpenCV's format of a cascade whose features are LBP and whose trees are stumps."""
    cascade = ElementTree.fromstring(data)[0]  # noqa: S314 -- known by its hash
    places = [
        [int(word) for word in (place.text or "").split()]
        for place in cascade.iterfind("features/_/rect")
    ]
    return tuple(
        Stage(
            float(stage.findtext("stageThreshold", "")) - ROUNDING,
            tuple(_read_stump(stump, places) for stump in stage.iterfind("weakClassifiers/_")),
        )
        for stage in cascade.iterfind("stages/_")
    )


def _read_stump(stump: ElementTree.Element, places: list[list[int]]) -> Stump:
    """Two words that say nothing, the feature, 256 bits: which patterns have the first score."""
    _, _, feature, *words = (int(word) for word in stump.findtext("internalNodes", "").split())
    first, second = (float(word) for word in stump.findtext("leafValues", "").split())
    scores = (
        first if words[pattern >> 5] >> (pattern & 31) & 1 else second for pattern in range(256)
    )
    x, y, width, height = places[feature]
    return Stump(x, y, width, height, array("f", scores))
