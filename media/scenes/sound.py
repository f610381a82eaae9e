"""The sound of the scenes: soft chords and bells by additive synthesis, deterministic.

`make_sound` returns `(samples, 2) float32` in -1..1 at `RATE_HZ`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 48_000
Samples = NDArray[np.float32]


def note_hz(semitones: int) -> float:
    """Return the frequency `semitones` above A3 (220 Hz), equal temperament."""
    return float(220.0 * 2 ** (semitones / 12))


def make_pad(chord: tuple[int, ...], length_s: float) -> Samples:
    """Return a slow chord with a soft beginning and end."""
    t = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    tone = np.zeros_like(t)
    for semitones in chord:
        base = 2 * np.pi * note_hz(semitones) * t
        tone += np.sin(base) + 0.35 * np.sin(2 * base + 0.3) + 0.5 * np.sin(base * 1.003)
    shape = np.clip(np.minimum(t / 0.6, (length_s - t) / 0.9), 0, 1)
    return (tone * shape / (3.2 * len(chord))).astype(np.float32)


def make_bell(semitones: int, length_s: float = 1.8) -> Samples:
    """Return one struck tone that rings out."""
    t = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    base = 2 * np.pi * note_hz(semitones) * t
    tone = np.sin(base + 1.4 * np.sin(base * 3.01) * np.exp(-t * 5)) * np.exp(-t * 3.2)
    return tone.astype(np.float32)


def make_sound(chords: tuple[tuple[int, ...], ...], duration_s: float, seed: int) -> Samples:
    """Lay chords one after another under scattered bells, in stereo."""
    total = int(duration_s * RATE_HZ)
    left, right = np.zeros(total, np.float32), np.zeros(total, np.float32)
    length_s = duration_s / len(chords) + 0.6
    source = np.random.default_rng(seed)
    for index, chord in enumerate(chords):
        start = int(index * duration_s / len(chords) * RATE_HZ)
        pad = make_pad(chord, length_s)[: total - start]
        left[start : start + pad.size] += 0.5 * pad
        right[start : start + pad.size] += 0.5 * pad
        for _ in range(3):
            bell = make_bell(int(source.choice(chord)) + 12)
            at = start + int(source.uniform(0, duration_s / len(chords)) * RATE_HZ)
            side = source.uniform(0.2, 0.8)
            bell = bell[: max(total - at, 0)]
            left[at : at + bell.size] += 0.16 * side * bell
            right[at : at + bell.size] += 0.16 * (1 - side) * bell
    stereo = np.stack([left, right], axis=-1)
    return np.clip(stereo, -0.98, 0.98).astype(np.float32)
