"""How a version is made, between the site's settings, rows and the plan.

Preparing and the reencoding rules call it. What this machine has no encoder for is refused where
somebody asks for it; where it is the site's own setting it is left out, and said in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kit.errors import AppError
from kit.logs import get_log
from kit.settings import ProcessingSettings
from media.vod.codecs import find_missing
from media.vod.recipe import Recipe

log = get_log("videos")


class CodecUnavailable(AppError):
    """This installation has no encoder for it."""

    code, status = "codec_unavailable", 409
    message = "This site cannot make videos in this codec: its encoder is missing."


def make_site_recipe(settings: ProcessingSettings) -> Recipe:
    """Return what the site does where nobody asked for anything, as far as it can."""
    missing = find_missing(settings.codecs)
    if missing:
        log.warning("media.encoders_missing", **missing)
    return Recipe(
        short_side_max=settings.short_side_max,
        evens_loudness=settings.evens_loudness,
        codecs=tuple(codec for codec in settings.codecs if codec not in missing),
    )


def check_encoders(recipe: Recipe, missing: Mapping[str, str]) -> None:
    """Raise CodecUnavailable for a codec whose encoder is missing here."""
    for codec in recipe.codecs:
        if codec in missing:
            raise CodecUnavailable(codec=codec, encoder=missing[codec])


def read_recipe(stored: Any) -> Recipe:
    """Return a recipe from its row; what it does not say is as it was before it could be said."""
    return msgspec.convert(stored or {}, Recipe)


def write_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain values for its row."""
    written: dict[str, Any] = msgspec.to_builtins(recipe)
    return written
