"""The pictures of the six scenes: pure functions from a moment to a frame.

Each drawer takes `t` (seconds since the scene began) and a `Stage` (size and precomputed grids) and
returns `(H, W, 3) uint8 RGB`. Nothing here encodes, reads or writes; the same moment always gives
the same picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
DrawFrame = Callable[[float, "Stage"], Picture]


@dataclass
class Stage:
    """Frame size, a fixed random source, and grids every drawer shares."""

    width: int = 960
    height: int = 540
    seed: int = 7
    x: NDArray[np.float32] = field(init=False)
    y: NDArray[np.float32] = field(init=False)
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.y, self.x = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        self.x /= self.width
        self.y /= self.height


def make_gradient(stage: Stage, stops: list[tuple[float, Colour]]) -> Picture:
    """Paint a vertical gradient through (height 0..1, colour) stops."""
    heights = np.linspace(0, 1, stage.height)
    places = [place for place, _ in stops]
    rows = [np.interp(heights, places, [colour[i] for _, colour in stops]) for i in range(3)]
    column = np.stack(rows, axis=-1).astype(np.uint8)
    return np.repeat(column[:, None, :], stage.width, axis=1)


def make_ridge(stage: Stage, level: float, roughness: float, seed: int) -> NDArray[np.int32]:
    """Return the heights (pixels) of a hill line twice as wide as the frame, for scrolling."""
    source = np.random.default_rng(seed)
    line = np.zeros(stage.width * 2)
    steps = np.arange(stage.width * 2) / (stage.width * 2) * 2 * np.pi
    for octave in range(1, 7):
        line += np.sin(steps * octave * 2 + source.uniform(0, 6.28)) / octave
    return (stage.height * (level + roughness * line / 3)).astype(np.int32)


def fill_below(frame: Picture, line: NDArray[np.int32], colour: Colour) -> None:
    """Paint everything under a line of heights, in place."""
    height, width = frame.shape[:2]
    points = np.stack([np.arange(width), line[:width]], axis=-1)
    corners = np.array([[width, height], [0, height]])
    cv2.fillPoly(frame, [np.concatenate([points, corners]).astype(np.int32)], colour, cv2.LINE_AA)


def draw_harbour(t: float, stage: Stage) -> Picture:
    """Evening over the water: the sun goes down and its light breaks on the waves."""
    fall = min(t / 16, 1.0)
    sky = make_gradient(
        stage,
        [(0, (24, 28, 66)), (0.35, (160, 74, 92)), (0.58, (250, 178, 108)), (1, (20, 30, 58))],
    )
    horizon = int(stage.height * 0.6)
    sun = (int(stage.width * 0.62), int(stage.height * (0.36 + 0.22 * fall)))
    cv2.circle(sky, sun, 46, (255, 226, 168), -1, cv2.LINE_AA)
    sea = make_gradient(stage, [(0, (20, 30, 58)), (0.6, (152, 88, 88)), (1, (14, 22, 46))])
    sky[horizon:] = sea[horizon:]
    for row in range(horizon + 3, stage.height, 7):
        depth = (row - horizon) / (stage.height - horizon)
        sway = np.sin(t * 1.7 + row * 0.35) * 30 * depth
        half = int(14 + 120 * depth * (0.6 + 0.4 * np.sin(t * 2.3 + row)))
        middle = int(sun[0] + sway)
        cv2.line(sky, (middle - half, row), (middle + half, row), (255, 205, 150), 2, cv2.LINE_AA)
    boat = int((0.1 + t * 0.022) * stage.width)
    base = horizon + 26 + int(3 * np.sin(t * 1.4))
    hull = [[boat - 46, base], [boat + 46, base], [boat + 30, base + 17], [boat - 34, base + 17]]
    sail = [[boat - 4, base - 4], [boat - 4, base - 84], [boat + 40, base - 10]]
    cv2.fillPoly(sky, [np.array(hull), np.array(sail)], (22, 20, 34), cv2.LINE_AA)
    return sky


def draw_train(t: float, stage: Stage) -> Picture:
    """Out of a night train's window: hills, towers and lit windows pass at their own speeds."""
    frame = make_gradient(stage, [(0, (8, 10, 28)), (0.7, (44, 40, 86)), (1, (18, 16, 34))])
    stars = np.random.default_rng(3).uniform(0, 1, (70, 2))
    for sx, sy in stars:
        place = int((sx - t * 0.003) % 1 * stage.width), int(sy * stage.height * 0.5)
        cv2.circle(frame, place, 1, (210, 214, 240), -1)
    ridge = make_ridge(stage, 0.62, 0.09, 11)
    fill_below(frame, np.roll(ridge, -int(t * 36) % ridge.size), (26, 26, 58))
    for layer, (speed, shade) in enumerate(((120, (18, 18, 40)), (300, (10, 10, 22)))):
        source = np.random.default_rng(20 + layer)
        for index in range(26):
            wide, tall = int(source.integers(40, 110)), int(source.integers(60, 210))
            left = int((index * 97 - t * speed) % (26 * 97)) - 120
            top = stage.height - 40 - tall - 40 * (1 - layer)
            cv2.rectangle(frame, (left, top), (left + wide, stage.height), shade, -1)
            for window in range(int(source.integers(2, 7))):
                wx = left + 8 + (window * 37) % max(wide - 16, 9)
                wy = top + 12 + (window * 53) % max(tall - 20, 9)
                cv2.rectangle(frame, (wx, wy), (wx + 7, wy + 9), (255, 206, 120), -1)
    post = int((1 - (t * 0.9) % 1) * (stage.width + 80)) - 40
    cv2.rectangle(frame, (post, 0), (post + 16, stage.height), (4, 4, 10), -1)
    return frame


def draw_ink(t: float, stage: Stage) -> Picture:
    """Three colours of ink turning in water."""
    field_a = np.sin(6 * stage.x + t * 0.7) + np.sin(7 * stage.y - t * 0.5)
    field_b = np.sin(5 * (stage.x + stage.y) + field_a + t * 0.4)
    field_c = np.sin(9 * np.hypot(stage.x - 0.5, stage.y - 0.5) - t + field_b * 1.6)
    red = 128 + 110 * np.sin(field_b * 1.9 + 0.4)
    green = 86 + 70 * np.sin(field_c * 1.7 + 2.1)
    blue = 140 + 100 * np.sin(field_a + field_c + 4.0)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 255).astype(np.uint8)


def draw_orbits(t: float, stage: Stage) -> Picture:
    """Five planets on their rounds, each with the tail of where it was."""
    frame = make_gradient(stage, [(0, (6, 8, 20)), (1, (16, 12, 34))])
    for sx, sy, light in np.random.default_rng(5).uniform(0, 1, (130, 3)):
        shade = int(90 + 160 * light * (0.6 + 0.4 * np.sin(t * 2 + light * 40)))
        cv2.circle(frame, (int(sx * stage.width), int(sy * stage.height)), 1, (shade,) * 3, -1)
    middle = np.array([stage.width / 2, stage.height / 2])
    cv2.circle(frame, (int(middle[0]), int(middle[1])), 42, (255, 214, 120), -1, cv2.LINE_AA)
    colours: list[Colour] = [
        *((120, 190, 255), (255, 140, 110), (150, 240, 190)),
        *((220, 160, 255), (250, 230, 150)),
    ]
    for index, colour in enumerate(colours):
        radius = 84 + 54 * index
        speed = 1.9 / (1 + index * 0.6)
        for back in range(26, -1, -1):
            angle = (t - back * 0.03) * speed + index * 1.3
            spot = middle + radius * np.array([np.cos(angle) * 1.35, np.sin(angle) * 0.62])
            fade = 1 - back / 28
            shade = tuple(int(part * fade) for part in colour)
            size = int((7 + index * 2) * (0.4 + 0.6 * fade))
            cv2.circle(frame, (int(spot[0]), int(spot[1])), size, shade, -1, cv2.LINE_AA)
    return frame


def draw_snow(t: float, stage: Stage) -> Picture:
    """Snow falls on three rows of pines while the moon climbs."""
    frame = make_gradient(stage, [(0, (26, 40, 74)), (0.6, (120, 146, 184)), (1, (214, 224, 236))])
    moon = int(stage.width * 0.75), int(stage.height * (0.3 - t * 0.006))
    cv2.circle(frame, moon, 34, (240, 244, 252), -1, cv2.LINE_AA)
    for row, (scale, shade) in enumerate(
        ((0.7, (92, 116, 150)), (1.0, (54, 74, 104)), (1.5, (24, 36, 56)))
    ):
        source = np.random.default_rng(40 + row)
        drift = t * 6 * scale
        for index in range(22):
            left = (index * stage.width / 18 - drift + source.uniform(-20, 20)) % (
                stage.width * 1.2
            )
            foot = stage.height * (0.78 + 0.11 * row)
            tall = scale * source.uniform(90, 150)
            for part in range(3):
                top, wide = foot - tall * (0.45 + 0.27 * part), tall * (0.30 - 0.07 * part)
                low = foot - tall * 0.24 * part
                shape = [[left - wide, low], [left + wide, low], [left, top]]
                cv2.fillPoly(frame, [np.array(shape, np.int32)], shade, cv2.LINE_AA)
    for fx, fy, depth in np.random.default_rng(9).uniform(0, 1, (220, 3)):
        px = int((fx + 0.02 * np.sin(t + depth * 30)) % 1 * stage.width)
        py = int((fy + t * (0.04 + 0.10 * depth)) % 1 * stage.height)
        cv2.circle(frame, (px, py), 1 + int(depth * 2.4), (250, 252, 255), -1, cv2.LINE_AA)
    return frame


def draw_grid(t: float, stage: Stage) -> Picture:
    """A road of light towards a striped sun."""
    frame = make_gradient(stage, [(0, (14, 6, 36)), (0.55, (96, 22, 92)), (1, (10, 4, 26))])
    horizon = int(stage.height * 0.58)
    middle = stage.width // 2
    for row in range(-120, 120):
        half = int((120**2 - row**2) ** 0.5)
        level = horizon - 60 + row
        striped = row > 0 and (row + int(t * 12)) % 24 < 4 + row // 12
        if level < horizon and not striped:
            shade = (255, 190 - (row + 120) // 2, 90 + (row + 120) // 4)
            cv2.line(frame, (middle - half, level), (middle + half, level), shade, 1)
    frame[horizon:] = make_gradient(stage, [(0, (20, 6, 40)), (1, (30, 8, 54))])[horizon:]
    for line in range(14):
        depth = ((line + t * 1.6) % 14) / 14
        level = int(horizon + (stage.height - horizon) * depth**2.4)
        cv2.line(frame, (0, level), (stage.width, level), (70, 220, 240), 1 + int(depth * 2))
    for line in range(-14, 15):
        foot = (middle + line * 150, stage.height)
        cv2.line(frame, (middle + line * 18, horizon), foot, (190, 80, 220), 1, cv2.LINE_AA)
    return frame


def draw_title(frame: Picture, title: str, line: str, t: float) -> None:
    """Fade a title in and out over the first five seconds, in place."""
    strength = float(np.clip(min(t / 0.8, (5.0 - t) / 0.8), 0, 1))
    if strength <= 0:
        return
    layer = frame.copy()
    face = cv2.FONT_HERSHEY_DUPLEX
    cv2.putText(layer, title, (48, 84), face, 1.5, (255, 255, 255), 2, cv2.LINE_AA)
    cv2.putText(layer, line, (50, 122), face, 0.7, (235, 235, 245), 1, cv2.LINE_AA)
    cv2.addWeighted(layer, strength, frame, 1 - strength, 0, dst=frame)
