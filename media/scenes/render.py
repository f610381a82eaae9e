"""Renders a scene to an MP4 file; called by `socialflow seed`, cached by its content.

H.264 with AAC, small and quick to encode: these films are inputs to upload, not showpieces of
compression. Rendering takes about as long as the film lasts on one slow core.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from media.scenes import pictures, sound
from media.scenes.pictures import DrawFrame, Stage

FPS = 30
LENGTH_S_MAX = 20
VERSION = 2  # raise when a drawing changes, so that caches are renewed


@dataclass(frozen=True)
class Scene:
    """One film: who draws it, how long, and its words."""

    slug: str
    title: str
    line: str
    duration_s: int
    draw: DrawFrame
    chords: tuple[tuple[int, ...], ...]


SCENES = (
    Scene("harbour", "Harbour, 20:41", "the last boat of the day", 16, pictures.draw_harbour,
          ((0, 4, 7, 11), (-3, 0, 4, 9), (5, 9, 12), (-5, 2, 7))),
    Scene("night-train", "Night train", "somewhere before midnight", 14, pictures.draw_train,
          ((-5, -2, 2, 7), (-7, -3, 0, 5), (-5, -2, 2, 9))),
    Scene("ink", "Ink", "three colours, one glass", 12, pictures.draw_ink,
          ((0, 3, 7, 10), (-4, 0, 3, 8), (-2, 2, 5, 10))),
    Scene("orbits", "Five small worlds", "each at its own pace", 15, pictures.draw_orbits,
          ((2, 7, 11, 14), (0, 5, 9, 12), (-3, 2, 7, 11))),
    Scene("first-snow", "First snow", "listen to how quiet it is", 18, pictures.draw_snow,
          ((-3, 0, 4, 7), (-7, -3, 0, 4), (0, 4, 7, 12), (-5, -1, 2, 7))),
    Scene("neon-road", "Neon road", "drive until the sun gives up", 12, pictures.draw_grid,
          ((-7, -4, 0, 3), (-9, -5, -2, 2), (-12, -7, -4, 0))),
)  # fmt: skip


def list_scenes(length_s_max: int = LENGTH_S_MAX) -> tuple[Scene, ...]:
    """Return the scenes, none longer than the given length."""
    return tuple(replace(s, duration_s=min(s.duration_s, length_s_max)) for s in SCENES)


def render_scene(
    scene: Scene, folder: Path, on_progress: Callable[[float], None] = lambda _done: None
) -> Path:
    """Render `scene` below `folder` unless it is there already; return the file."""
    name = hashlib.sha256(f"{VERSION}:{scene.slug}:{scene.duration_s}".encode()).hexdigest()[:12]
    target = folder / f"{scene.slug}-{name}.mp4"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.part")
    with av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as container:
        _write_pictures(container, scene, on_progress)
    partial.rename(target)
    return target


def _write_pictures(
    container: av.container.OutputContainer, scene: Scene, on_progress: Callable[[float], None]
) -> None:
    stage = Stage()
    video = container.add_stream("libx264", rate=FPS)
    video.width, video.height, video.pix_fmt = stage.width, stage.height, "yuv420p"
    video.options = {"preset": "veryfast", "crf": "24", "g": str(FPS * 2), "bf": "0"}
    audio = container.add_stream("aac", rate=sound.RATE_HZ, layout="stereo")
    samples = sound.make_sound(scene.chords, scene.duration_s, seed=len(scene.slug))
    step = sound.RATE_HZ // FPS
    for index in range(scene.duration_s * FPS):
        t = index / FPS
        picture = scene.draw(t, stage)
        pictures.draw_title(picture, scene.title, scene.line, t)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        container.mux(video.encode(frame))
        piece = np.ascontiguousarray(samples[index * step : (index + 1) * step].T)
        tone = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        tone.sample_rate, tone.pts = sound.RATE_HZ, index * step
        tone.time_base = Fraction(1, sound.RATE_HZ)
        container.mux(audio.encode(tone))
        on_progress((index + 1) / (scene.duration_s * FPS))
    container.mux(video.encode(None))
    container.mux(audio.encode(None))
