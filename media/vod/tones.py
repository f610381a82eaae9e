"""High dynamic range made standard: a table from BT.2020 PQ or HLG to BT.709, for FFmpeg's lut3d.

Pure arithmetic. `frames.py` asks for it when a source is HDR. Reference white is 203 cd/m²
(ITU-R BT.2408); what is brighter is rolled off up to 1,000 cd/m² by a Möbius curve on the largest
of red, green and blue, so that hues stay; then BT.2020 becomes BT.709 and is shown at gamma 2.4
(BT.1886).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Table = np.ndarray[Any, np.dtype[np.float64]]
"""(..., 3) red, green and blue, 0 to 1."""

POINTS = 33
WHITE_NITS = 203.0
PEAK_NITS = 1000.0
KNEE = 0.5
"""Up to this share of reference white nothing changes."""
DISPLAY_GAMMA = 2.4
HLG_SYSTEM_GAMMA = 1.2
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
PQ_C1, PQ_C2, PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
LUMA_2020 = np.array([0.2627, 0.6780, 0.0593])
FROM_2020_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)


def render_cube(transfer: str) -> str:
    """The table of a transfer ("pq" or "hlg") in the .cube format, red running fastest."""
    axis = np.linspace(0.0, 1.0, POINTS)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    table = convert(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer)
    rows = "\n".join(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in table)
    return f"LUT_3D_SIZE {POINTS}\n{rows}\n"


def convert(signal: Table, transfer: str) -> Table:
    """Standard-range signal for a high-range one."""
    nits = _pq_nits(signal) if transfer == "pq" else _hlg_nits(signal)
    light = nits / WHITE_NITS
    largest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    light = light * (_roll_off(largest) / largest)
    shown = np.clip(light @ FROM_2020_TO_709.T, 0.0, 1.0)
    return np.asarray(np.power(shown, 1 / DISPLAY_GAMMA))


def _roll_off(light: Table) -> Table:
    """Möbius: the identity up to the knee, then smoothly to 1 at the peak, and no further."""
    peak = PEAK_NITS / WHITE_NITS
    a = -(KNEE**2) * (peak - 1) / (KNEE**2 - 2 * KNEE + peak)
    b = (KNEE**2 - 2 * KNEE * peak + peak) / (peak - 1)
    scale = (b**2 + 2 * b * KNEE + KNEE**2) / (b - a)
    curve = scale * (light + a) / (light + b)
    return np.where(light <= KNEE, light, np.minimum(curve, 1.0))


def _pq_nits(signal: Table) -> Table:
    """SMPTE ST 2084."""
    power = np.power(signal, 1 / PQ_M2)
    return np.asarray(
        10_000 * np.power(np.maximum(power - PQ_C1, 0) / (PQ_C2 - PQ_C3 * power), 1 / PQ_M1)
    )


def _hlg_nits(signal: Table) -> Table:
    """ITU-R BT.2100 HLG on a display of 1,000 cd/m²."""
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - HLG_C) / HLG_A) + HLG_B) / 12)
    luma = np.maximum((scene @ LUMA_2020)[..., np.newaxis], 1e-6)
    return np.asarray(PEAK_NITS * np.power(luma, HLG_SYSTEM_GAMMA - 1) * scene)
