"""How a version is made, between the site's settings, rows and the plan.

Preparing and the reencoding rules call it. What this machine has no encoder for is refused where
somebody asks for it; where it is the site's own setting it is left out, and said in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from actors.job_runner.ports import JobPorts
from kit.errors import AppError
from kit.logs import get_log
from kit.setting_sections import ProcessingSettings
from kit.settings import Settings
from media.vod.codecs import find_missing
from media.vod.plan import PlanOrder
from media.vod.protection import make_key_id
from media.vod.recipe import Recipe
from storage.database import Connection
from storage.video_plans import find_recipe
from storage.videos import Video

log = get_log("videos")


class CodecUnavailable(AppError):
    """This installation has no encoder for it."""

    code, status = "codec_unavailable", 409
    message = "This site cannot make videos in this codec: its encoder is missing."


class CodecsNotProtected(AppError):
    """Only H.264 and AAC are encrypted."""

    code, status = "codecs_not_protected", 409
    message = "A protected video is made in H.264 alone; ask for no other codecs."


def make_site_recipe(settings: ProcessingSettings, *, is_protected: bool = False) -> Recipe:
    """Return what the site does where nobody asked for anything, as far as it can.

    What is protected is made in H.264 alone.
    """
    if is_protected:
        return Recipe(
            short_side_max=settings.short_side_max,
            evens_loudness=settings.evens_loudness,
            is_protected=True,
        )
    missing = find_missing(settings.codecs)
    if missing:
        log.warning("media.encoders_missing", **missing)
    return Recipe(
        short_side_max=settings.short_side_max,
        evens_loudness=settings.evens_loudness,
        codecs=tuple(codec for codec in settings.codecs if codec not in missing),
    )


async def decide_recipe(
    connection: Connection, settings: ProcessingSettings, video: Video
) -> Recipe:
    """Return how a video's present version is made: as somebody asked, or as the site does."""
    asked = await find_recipe(connection, video.id)
    if asked is None:
        return make_site_recipe(settings, is_protected=video.is_protected)
    return read_recipe(asked)


def check_encoders(recipe: Recipe, missing: Mapping[str, str]) -> None:
    """Raise CodecUnavailable for a codec whose encoder is missing here, or CodecsNotProtected."""
    if recipe.is_protected and recipe.codecs:
        raise CodecsNotProtected
    for codec in recipe.codecs:
        if codec in missing:
            raise CodecUnavailable(codec=codec, encoder=missing[codec])


def is_gpu_wanted(ports: JobPorts) -> bool:
    """Whether a GPU makes some of a video: where the site wants that and one is there just now."""
    return ports.settings.processing.nvenc == "auto" and bool(ports.media.nvenc_slots)


def order_version(
    settings: Settings, video: Video, recipe: Recipe, version: int, *, nvenc: bool = False
) -> PlanOrder:
    """Say which version of a video is to be planned; a protected one has a key."""
    assert video.source_key is not None, "what has no source is not planned"
    video_id, key_id = str(video.id), ""
    if recipe.is_protected:
        key_id = make_key_id(settings.auth.content_key, video_id, version)
    return PlanOrder(video_id, video.source_key, recipe, version, key_id, nvenc=nvenc)


async def order_present(
    connection: Connection, ports: JobPorts, video: Video, source_key: str, hint: str = ""
) -> PlanOrder:
    """Say how a video's present version is planned from a source, whole or still arriving.

    Both ask here: what is made ahead is used where the order is the same.
    """
    recipe = await decide_recipe(connection, ports.settings.processing, video)
    sourced = msgspec.structs.replace(video, source_key=source_key)
    nvenc = is_gpu_wanted(ports)
    order = order_version(ports.settings, sourced, recipe, video.version, nvenc=nvenc)
    return replace(order, hint=hint, is_near=ports.objects.local_path(source_key) is not None)


def read_recipe(stored: Any) -> Recipe:
    """Return a recipe from its row; what it does not say is as it was before it could be said."""
    return msgspec.convert(stored or {}, Recipe)


def write_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain values for its row."""
    written: dict[str, Any] = msgspec.to_builtins(recipe)
    return written
