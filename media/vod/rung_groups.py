"""Which rungs of a ladder are encoded together from one decode.

Pure; the plan is made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from media.vod.ladder import NVENC, Rung, repeat_ladder

LARGE_SHORT_SIDE = 1080
SMALL_SHORT_SIDE = 480
"""Rungs of other codecs up to that are made from one decode; larger ones each for themselves, as
their encoders take more memory than x264."""
GPU_GROUP = "gpu"


@dataclass(frozen=True)
class RungGroup:
    """Rungs that are encoded together from one decode; largest first."""

    name: str
    rungs: tuple[Rung, ...]


def decide_groups(ladder: tuple[Rung, ...], *, nvenc: bool = False) -> tuple[RungGroup, ...]:
    """The smallest rung alone, so that it plays soon; the others together from one decode.

    Rungs above 1080p are a group of their own: encoders of all at once would fill the memory. With
    `nvenc` a GPU makes all that are not small.
    """
    first, others = ladder[:1], ladder[1:]
    gpu = [replace(it, encoder=NVENC) for it in others if nvenc and not is_small(it)]
    others = others[: len(others) - len(gpu)]
    parts = {
        "first": first,
        "rest": [rung for rung in others if not is_large(rung)],
        "large": [rung for rung in others if is_large(rung)],
        GPU_GROUP: gpu,
    }
    return tuple(RungGroup(name, tuple(reversed(part))) for name, part in parts.items() if part)


def decide_other_groups(ladder: tuple[Rung, ...], codecs: tuple[str, ...]) -> tuple[RungGroup, ...]:
    """The whole ladder once more in each codec: small rungs together, larger ones alone."""
    groups = []
    for codec in codecs:
        rungs = repeat_ladder(ladder, codec)
        small = [it for it in rungs if is_small(it)]
        if small:
            groups.append(RungGroup(codec, tuple(reversed(small))))
        groups += [RungGroup(f"{codec}-{it.quality}", (it,)) for it in rungs if it not in small]
    return tuple(groups)


def needs_nvenc(rungs: Sequence[Rung]) -> bool:
    """Whether a GPU is to make them."""
    return any(rung.encoder == NVENC for rung in rungs)


def is_small(rung: Rung) -> bool:
    """Whether it goes with others of its codec."""
    return min(rung.width, rung.height) <= SMALL_SHORT_SIDE


def is_large(rung: Rung) -> bool:
    """Whether it is above 1080p."""
    return min(rung.width, rung.height) > LARGE_SHORT_SIDE
