"""Routes of what somebody watched: note, list, remove, clear, pause. Only one's own."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from kit.cursors import CursorMalformed
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import make_terms
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import ItemPage, PageRequest
from serve_apps.http.state import CurrentUser, Ports, Transaction
from serve_apps.videos import history_service as service
from serve_apps.videos.history_schemas import (
    HistoryEntryBody,
    HistorySettingsBody,
    HistorySettingsRequest,
    PositionBody,
    PositionRequest,
    describe_entry,
)
from serve_apps.videos.playback import build_playback
from serve_apps.videos.schemas import describe_video
from serve_apps.videos.service import VideoNotFound
from storage import history

routes = Routes("/history", "history")


@routes.get(
    "",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="List what you watched, last watched first.",
    errors=(CursorMalformed,),
)
async def list_history(
    user: CurrentUser,
    query: PageRequest,
    ports: Ports,
    connection: Transaction,
    unfinished: Annotated[
        bool, Query(description="Only what you began and have not watched to its end.")
    ] = False,
) -> ItemPage[HistoryEntryBody]:
    """List a history."""
    terms = await make_terms(connection, ports.settings, user, ports.clock.now())
    page = await service.list_history(
        connection, user, cursor=query.cursor, limit=query.limit, unfinished_only=unfinished
    )
    return ItemPage(
        items=[
            describe_entry(it.watched, describe_video(it.video, build_playback(it.video, terms)))
            for it in page.items
        ],
        next_cursor=page.next_cursor,
    )


@routes.delete(
    "",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Forget everything that you watched, and where each video goes on.",
    status=204,
    response_class=Response,
)
async def clear_history(user: CurrentUser, connection: Transaction) -> None:
    """Clear a history."""
    await history.clear_history(connection, user.user_id)


@routes.get(
    "/settings",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Say whether your history is paused.",
)
async def get_history_settings(user: CurrentUser, connection: Transaction) -> HistorySettingsBody:
    """Say whether it is paused."""
    return HistorySettingsBody(paused=await history.is_history_paused(connection, user.user_id))


@routes.put(
    "/settings",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Pause your history, or go on with it; what is remembered stays.",
)
async def change_history_settings(
    body: HistorySettingsRequest, user: CurrentUser, ports: Ports, connection: Transaction
) -> HistorySettingsBody:
    """Pause a history."""
    await history.pause_history(connection, user.user_id, ports.clock.now(), is_paused=body.paused)
    return HistorySettingsBody(paused=body.paused)


@routes.put(
    "/{video_id}",
    permission=Permission.USER,
    rate=RateTier.WATCH,
    summary="Say where in a video you are; any device of yours goes on from there.",
    errors=(VideoNotFound, ForSubscribers),
)
async def note_position(
    video_id: uuid.UUID,
    body: PositionRequest,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
) -> PositionBody:
    """Remember a position."""
    remembered = await service.note_position(
        connection, user, video_id, body.position_ms, ports.clock.now()
    )
    return PositionBody(remembered=remembered)


@routes.delete(
    "/{video_id}",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Take a video out of your history.",
    status=204,
    response_class=Response,
)
async def forget_video(video_id: uuid.UUID, user: CurrentUser, connection: Transaction) -> None:
    """Remove an entry."""
    await history.forget_video(connection, user.user_id, video_id)
