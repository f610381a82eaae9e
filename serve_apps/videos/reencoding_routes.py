"""Routes about making a video again with other settings: what may be chosen, and asking for it."""

from __future__ import annotations

import uuid

import orjson

from kit.errors import PermissionDenied
from media.vod.codecs import find_missing
from media.vod.info import decode_json
from media.vod.ladder import SHORT_SIDES, STEP_MIN
from media.vod.plan import TranscodePlan, name_encoders
from media.vod.recipe import EXTRA_CODECS
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.state import CurrentUser, Ports, Transaction
from serve_apps.videos import processing_rules, reencoding_rules, service
from serve_apps.videos.recipes import (
    CodecsNotProtected,
    CodecUnavailable,
    check_encoders,
    make_site_recipe,
    read_recipe,
)
from serve_apps.videos.reencoding_schemas import (
    RecipeBody,
    ReencodingChoiceBody,
    describe_recipe,
    read_body,
)
from serve_apps.videos.routes import show_video
from serve_apps.videos.schemas import VideoDetailBody
from storage import video_plans

routes = Routes("/videos", "videos")


@routes.get(
    "/{video_id}/reencode",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Look what may be chosen when your video is made again, and how it was made.",
    errors=(service.VideoNotFound, PermissionDenied),
)
async def show_choice(
    video_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> ReencodingChoiceBody:
    """Show what there is to choose."""
    video = await reencoding_rules.get_governed_video(connection, user, video_id)
    stored = await video_plans.find_plan(connection, video_id)
    processing = ports.settings.processing
    site = make_site_recipe(processing, is_protected=processing.protected)
    current, has_sound, encoders = site, True, {}
    if stored is not None:
        plan = decode_json(orjson.dumps(stored), TranscodePlan)
        current, has_sound, encoders = plan.recipe, plan.has_audio, name_encoders(plan)
    else:
        asked = await video_plans.find_recipe(connection, video_id)
        current = site if asked is None else read_recipe(asked)
    missing = find_missing(EXTRA_CODECS)
    short = min(video.width or 0, video.height or 0)
    return ReencodingChoiceBody.model_validate(
        {
            "qualities": [f"{side}p" for side in SHORT_SIDES if side * STEP_MIN <= short],
            "codecs": [codec for codec in EXTRA_CODECS if short and codec not in missing],
            "has_sound": has_sound,
            "current": describe_recipe(current),
            "site": describe_recipe(site),
            "encoders": encoders,
        }
    )


@routes.post(
    "/{video_id}/reencode",
    permission=Permission.OWNER,
    rate=RateTier.UPLOAD,
    summary="Make your ready or failed video again; the version before plays on until then.",
    status=202,
    errors=(
        service.VideoNotFound,
        PermissionDenied,
        CodecUnavailable,
        CodecsNotProtected,
        reencoding_rules.VideoHasNoSource,
        reencoding_rules.VideoInWork,
        reencoding_rules.ReencodingInWork,
        reencoding_rules.TooManyReencodings,
        processing_rules.VideoStillStopping,
    ),
)
async def reencode_video(
    video_id: uuid.UUID,
    body: RecipeBody,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
) -> VideoDetailBody:
    """Ask for another version."""
    before = await reencoding_rules.get_governed_video(connection, user, video_id)
    recipe = read_body(body, is_protected=before.is_protected)
    check_encoders(recipe, find_missing(recipe.codecs))
    limits = ports.settings.processing
    video = await reencoding_rules.request_reencoding(connection, limits, user, video_id, recipe)
    await reencoding_rules.record_operator(connection, user, video, recipe, ports.clock.now())
    return await show_video(connection, ports, user, video)
