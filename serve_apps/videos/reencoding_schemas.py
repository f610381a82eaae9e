"""What the API takes and gives about making a video again."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from media.vod.ladder import SHORT_SIDE_MAX
from media.vod.recipe import EXTRA_CODECS, Recipe
from serve_apps.videos.recipes import read_recipe
from storage.video_versions import VideoVersion

Quality = Literal["2160p", "1440p", "1080p", "720p", "480p", "360p", "240p"]
Codec = Literal["av1", "vp9", "hevc"]
EXAMPLE_RECIPE: dict[str, JsonValue] = {
    "quality_max": "720p",
    "evens_loudness": True,
    "codecs": ["av1"],
    "protected": False,
}


class RecipeBody(BaseModel):
    """How a version is made."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE_RECIPE]})

    quality_max: Quality | None = Field(
        default=None, description="The largest size made; null: as large as the file, up to 2160p."
    )
    evens_loudness: bool = Field(
        default=True, description="Whether sound is turned up or down to be as loud as others."
    )
    codecs: list[Codec] = Field(
        default=[],
        max_length=len(EXTRA_CODECS),
        description="What it is made in beside H.264, for players that can play it.",
    )
    protected: bool | None = Field(
        default=None,
        description="Whether its segments are encrypted, which goes with no other codecs; null: "
        "as they are.",
    )


class ReencodingBody(BaseModel):
    """The version in the making, or why the latest failed; the one before plays on."""

    status: Literal["queued", "processing", "failed"]
    progress: float
    error: str | None
    recipe: RecipeBody


class ReencodingChoiceBody(BaseModel):
    """What may be chosen for a video, and what it is made of now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "qualities": ["720p", "480p", "360p", "240p"],
                    "codecs": ["av1", "vp9", "hevc"],
                    "has_sound": True,
                    "current": EXAMPLE_RECIPE,
                    "site": {
                        "quality_max": None,
                        "evens_loudness": True,
                        "codecs": [],
                        "protected": False,
                    },
                    "encoders": {"240p": "x264", "720p": "nvenc"},
                }
            ]
        }
    )

    qualities: list[Quality] = Field(description="Sizes below the file's own; none for sound.")
    codecs: list[Codec] = Field(description="Those this site has encoders for; none for sound.")
    has_sound: bool
    current: RecipeBody
    site: RecipeBody = Field(description="What is done where nobody chose.")
    encoders: dict[str, str] = Field(
        description="What made each size of H.264: x264, or a GPU's nvenc; empty before its plan."
    )


def read_body(body: RecipeBody, *, is_protected: bool) -> Recipe:
    """Read what was asked for about a video that is protected or not."""
    side = SHORT_SIDE_MAX if body.quality_max is None else int(body.quality_max.removesuffix("p"))
    codecs = tuple(codec for codec in EXTRA_CODECS if codec in body.codecs)
    return Recipe(
        short_side_max=side,
        evens_loudness=body.evens_loudness,
        codecs=codecs,
        is_protected=is_protected if body.protected is None else body.protected,
    )


def describe_recipe(recipe: Recipe) -> RecipeBody:
    """Write a recipe as its answer."""
    quality = None if recipe.short_side_max >= SHORT_SIDE_MAX else f"{recipe.short_side_max}p"
    return RecipeBody.model_validate(
        {
            "quality_max": quality,
            "evens_loudness": recipe.evens_loudness,
            "codecs": list(recipe.codecs),
            "protected": recipe.is_protected,
        }
    )


def describe_reencoding(making: VideoVersion | None) -> ReencodingBody | None:
    """Write the version in the making as its answer."""
    if making is None:
        return None
    return ReencodingBody.model_validate(
        {
            "status": making.state,
            "progress": round(making.progress, 4),
            "error": making.error_message if making.state == "failed" else None,
            "recipe": describe_recipe(read_recipe(making.recipe)),
        }
    )
