"""How a version is made, between the site's settings, rows and the plan.

Pure. Preparing and the reencoding rules call it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kit.settings import ProcessingSettings
from media.vod.recipe import Recipe


def make_site_recipe(settings: ProcessingSettings) -> Recipe:
    """Return what the site does where nobody asked for anything."""
    return Recipe(short_side_max=settings.short_side_max, evens_loudness=settings.evens_loudness)


def read_recipe(stored: Any) -> Recipe:
    """Return a recipe from its row; what it does not say is as it was before it could be said."""
    return msgspec.convert(stored or {}, Recipe)


def write_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain values for its row."""
    written: dict[str, Any] = msgspec.to_builtins(recipe)
    return written
