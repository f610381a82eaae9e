"""The route that leads to a video's file: a link that stays good where grants last some minutes.

A link that a browser opens by itself carries no token, so the address may carry a pass. It says
which session asks; whether that lives, and may see the video, is decided anew each time.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import Query
from fastapi.responses import RedirectResponse

from kit.errors import NotFound
from kit.setting_sections import AuthSettings
from serve_apps.access.grants import TEXT_CHARS_MAX, GrantExpired, GrantInvalid, read_pass
from serve_apps.access.identity import Identity, Role
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import make_terms
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.state import OptionalUser, Ports, Transaction
from serve_apps.videos.playback import has_file, make_file_url
from serve_apps.videos.service import VideoNotFound, get_video
from storage.database import Connection
from storage.sessions import is_living
from storage.users import find_user

routes = Routes("/videos", "videos")


class DownloadNotFound(NotFound):
    """It is not ready, is protected, or was sent in a way that one file cannot hold."""

    code, message = "download_not_found", "There is no file of this video to download."


@routes.get(
    "/{video_id}/download",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Go to a video's MP4 file on an edge, by a fresh right.",
    status=307,
    response_class=RedirectResponse,
    errors=(VideoNotFound, ForSubscribers, GrantInvalid, GrantExpired, DownloadNotFound),
)
async def download_video(
    video_id: uuid.UUID,
    viewer: OptionalUser,
    ports: Ports,
    connection: Transaction,
    pass_text: Annotated[
        str | None,
        Query(
            alias="pass",
            max_length=TEXT_CHARS_MAX,
            description="Says who asks in place of a token, as in `playback.download`.",
        ),
    ] = None,
) -> RedirectResponse:
    """Send whoever may watch it to the file."""
    now, auth = ports.clock.now(), ports.settings.auth
    if viewer is None and pass_text is not None:
        viewer = await _find_holder(connection, auth, pass_text, video_id, now)
    terms = await make_terms(connection, ports.settings, viewer, now)
    video = await get_video(connection, viewer, video_id)
    if not has_file(video):
        raise DownloadNotFound
    headers = {"Cache-Control": "no-store"}
    return RedirectResponse(make_file_url(video, terms), status_code=307, headers=headers)


async def _find_holder(
    connection: Connection, auth: AuthSettings, text: str, video_id: uuid.UUID, now: datetime
) -> Identity:
    """Return who asks by a pass; raises GrantInvalid, GrantExpired."""
    found = read_pass(auth.grant_public_key, text, now)
    if found.video != video_id:
        raise GrantInvalid
    user = await find_user(connection, found.viewer)
    if user is None or not await is_living(connection, found.session, now):
        raise GrantExpired
    return Identity(user.id, found.session, user.username, Role(user.role), user.plan)
